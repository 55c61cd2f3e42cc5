"""What launchers share, and what host and sandbox call the same.

`inside_tests` repeats the names of the planted test and of the checks, being sent alone.
"""

CHECKS = "selfheal_checks"
PLANTED = "selfheal_planted"
LABEL = "pytest-selfheal"

NOBODY = 65534
"""The user and the group that code runs as."""

ETC_FILES = {
    "etc/passwd": "root:x:0:0:root:/:/sbin/nologin\n"
    "nobody:x:65534:65534:nobody:/tmp:/sbin/nologin\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    "etc/hosts": "127.0.0.1 localhost sandbox\n::1 localhost\n",
}
"""The few lines of `/etc` that programs look for; the machine's own stays outside."""
