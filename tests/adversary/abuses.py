"""What code under test tries to get at, from inside a sandbox.

A case is an entry of `ABUSES`: its name, and the body of a function `attack(host)` that returns
something true, or returns at all where it says `return True` last, only if it got through. `host`
says where things are outside: `port` (a listener on the host's loopback), `udp`, `abstract` and
`path_socket` (listeners on Unix sockets), `secret` (a file below the user's home), `project` and
`outside` (folders), `pid` (a process of the user's), `canary` (what the secrets hold).

`NOT_STOPPED` names what a sandbox does not stop, with the reason; `docs/security.md` says it too.
"""

from __future__ import annotations

ABUSES = {
    # the network
    "tcp_loopback": "socket.create_connection(('127.0.0.1', host['port']), 2)\nreturn True",
    "tcp_localhost_name": "socket.create_connection(('localhost', host['port']), 2)\nreturn True",
    "tcp_ipv6_loopback": "socket.create_connection(('::1', host['port']), 2)\nreturn True",
    "tcp_internet": "return left_the_machine('192.0.2.1')",
    "tcp_metadata": "return left_the_machine('169.254.169.254')",
    "tcp_docker_bridge": "socket.create_connection(('172.17.0.1', host['port']), 2)\nreturn True",
    "dns": "return socket.getaddrinfo('example.com', 80)",
    "udp_loopback": (
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "s.connect(('127.0.0.1', host['udp']))\n"
        "s.settimeout(1)\ns.send(b'x')\nreturn s.recv(10)"
    ),
    "udp_dns_server": (
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.settimeout(1)\n"
        "s.sendto(b'x', ('192.0.2.53', 53))\nreturn True"
    ),
    "raw_socket": "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)\nreturn True",
    "packet_socket": "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)\nreturn True",
    "unix_abstract": (
        "s = socket.socket(socket.AF_UNIX)\ns.connect('\\0' + host['abstract'])\nreturn True"
    ),
    "unix_path": "s = socket.socket(socket.AF_UNIX)\ns.connect(host['path_socket'])\nreturn True",
    "docker_socket": (
        "s = socket.socket(socket.AF_UNIX)\ns.connect('/var/run/docker.sock')\nreturn True"
    ),
    "docker_socket_run": (
        "s = socket.socket(socket.AF_UNIX)\ns.connect('/run/docker.sock')\nreturn True"
    ),
    # what can be read
    "secret_file": "return host['canary'] in open(host['secret']).read()",
    "secret_by_link": (
        "link = os.path.join(tempfile.mkdtemp(), 'x')\n"
        "os.symlink(host['secret'], link)\n"
        "return host['canary'] in open(link).read()"
    ),
    "home_listing": "return os.listdir(os.path.dirname(host['secret']))",
    "shadow": "return open('/etc/shadow').read()",
    "ssh_key": (
        "home = os.path.dirname(host['secret'])\n"
        "return open(os.path.join(home, '.ssh', 'id_ed25519')).read()"
    ),
    "environment": "return host['canary'] in str(os.environ)",
    "own_start_environment": (
        "return host['canary'].encode() in open('/proc/self/environ', 'rb').read()"
    ),
    "key_variable": "return os.environ.get('OPENAI_API_KEY')",
    "other_environment": "return open('/proc/%d/environ' % host['pid'], 'rb').read()",
    "other_memory": "return open('/proc/%d/mem' % host['pid'], 'rb').fileno()",
    "other_command_line": (
        "return b'selfheal-outside' in open('/proc/%d/cmdline' % host['pid'], 'rb').read()"
    ),
    "project_dot_env": "return open('.env').read()",
    "project_git": "return open('.git/config').read()",
    "kernel_memory": "return open('/dev/mem', 'rb').read(1)",
    "kernel_log": "return open('/dev/kmsg', 'rb').fileno()",
    "disks": "return [open(p, 'rb').read(1) for p in glob.glob('/dev/[svn]d*')]",
    # what can be written
    "write_usr": "open('/usr/selfheal-was-here', 'w').write('x')\nreturn True",
    "write_etc": "open('/etc/selfheal-was-here', 'w').write('x')\nreturn True",
    "write_python": (
        "open(os.path.join(os.path.dirname(os.__file__), 'selfheal_was_here.py'), 'w')\nreturn True"
    ),
    "write_packages": (
        "import pytest\n"
        "open(os.path.join(os.path.dirname(pytest.__file__), 'was_here.py'), 'w')\nreturn True"
    ),
    "write_outside": "open(os.path.join(host['outside'], 'x'), 'w').write('x')\nreturn True",
    "write_through_link": (
        "os.symlink(host['outside'], 'way_out')\nopen('way_out/x', 'w').write('x')\nreturn True"
    ),
    "hard_link": (
        "os.link(os.path.join(host['outside'], 'file'), 'hard')\n"
        "open('hard', 'a').write('x')\nreturn True"
    ),
    "sysctl": "open('/proc/sys/kernel/hostname', 'w').write('x')\nreturn True",
    "sysctl_core_pattern": "os.open('/proc/sys/kernel/core_pattern', os.O_WRONLY)\nreturn True",
    "any_sysctl": (
        "found = 0\n"
        "for path in glob.glob('/proc/sys/**', recursive=True):\n"
        "    try:\n"
        "        os.close(os.open(path, os.O_WRONLY))\n"
        "        found += 1\n"
        "    except OSError:\n"
        "        pass\n"
        "return found"
    ),
    "sysrq": "open('/proc/sysrq-trigger', 'w').write('b')\nreturn True",
    "cgroup": "open('/sys/fs/cgroup/cgroup.procs', 'w').write('1')\nreturn True",
    # privileges
    "recording_written": (
        "path = os.path.join(host['project'], 'recording.jsonl')\n"
        "with open(path, 'a') as file:\n    file.write('{}')\n"
        "os.truncate(path, 0)\nreturn False"  # the host looks for it
    ),
    "recording_replaced": (
        "path = os.path.join(host['project'], 'recording.jsonl')\n"
        "with open(path + '.new', 'w') as file:\n    file.write('{}')\n"
        "os.replace(path + '.new', path)\nreturn False"
    ),
    "recording_removed": (
        "os.remove(os.path.join(host['project'], 'recording.jsonl'))\nreturn False"
    ),
    "setuid_file_of_the_project": (
        "words = [os.path.join(host['project'], 'set-uid'), '-u']\n"
        "return subprocess.run(words, capture_output=True).stdout.strip() == b'0'"
    ),
    "setuid_file_of_its_own": (
        "path = os.path.join(tempfile.mkdtemp(), 'set-uid')\n"
        "shutil.copy(os.path.join(host['project'], 'set-uid'), path)\nos.chmod(path, 0o6755)\n"
        "return subprocess.run([path, '-u'], capture_output=True).stdout.strip() == b'0'"
    ),
    "become_root": "os.setuid(0)\nreturn os.geteuid() == 0",
    "new_privileges": ("return b'NoNewPrivs:\\t1' not in open('/proc/self/status', 'rb').read()"),
    "chroot": "os.chroot(tempfile.mkdtemp())\nreturn True",
    "mount": ("return libc.mount(b'none', tempfile.mkdtemp().encode(), b'tmpfs', 0, None) == 0"),
    "unshare_user": "return libc.unshare(0x10000000) == 0",
    "device_node": (
        "os.mknod(tempfile.mkdtemp() + '/sda', 0o600 | stat.S_IFBLK, os.makedev(8, 0))\nreturn True"
    ),
    "reboot": "return libc.reboot(0x01234567) == 0",
    "host_name": "return libc.sethostname(b'x', 1) == 0",
    "clock": "time.clock_settime(time.CLOCK_REALTIME, 0)\nreturn True",
    "kill_outside": "os.kill(host['pid'], 15)\nreturn True",
    "ptrace_outside": "return libc.ptrace(16, host['pid'], 0, 0) == 0",
    "nice": "os.nice(-10)\nreturn True",
    "more_files": ("resource.setrlimit(resource.RLIMIT_NOFILE, (10**6, 10**6))\nreturn True"),
    # limits
    "open_files": (
        "held = [open(os.devnull) for _ in range(200_000)]\nreturn len(held) == 200_000"
    ),
    "large_file": (
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "with open(tempfile.gettempdir() + '/big', 'wb') as file:\n"
        "    for _ in range(400):\n"
        "        file.write(bytes(2**20))\n"
        "return True"
    ),
    "shared_memory": (
        "os.makedirs('/dev/shm', exist_ok=True)\n"
        "for number in range(8):\n"
        "    with open('/dev/shm/full-%d' % number, 'wb') as file:\n"
        "        for _ in range(40):\n"
        "            file.write(bytes(2**20))\n"
        "return True"
    ),
    "devices_folder": "open('/dev/full-of-it', 'wb').write(b'x')\nreturn True",
    "sparse_file": (
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "with open(tempfile.gettempdir() + '/sparse', 'wb') as file:\n"
        "    file.truncate(10 * 2**30)\n"
        "return True"
    ),
    # system calls that have been ways out
    "add_key": "return call(248, 217, addressof(b'user'), addressof(b'x'), 0, 0, -3)",
    "keyctl": "return call(250, 219, 0, -3, 1)",
    "request_key": "return call(249, 218, addressof(b'user'), addressof(b'x'), 0, 0)",
    "bpf": "return call(321, 280, 0, addressof(bytes(128)), 128)",
    "userfaultfd": "return call(323, 282, 1)",
    "io_uring": "return call(425, 425, 4, addressof(bytes(256)))",
    "perf_events": "return call(298, 241, addressof(bytes(128)), 0, -1, -1, 0)",
    "other_memory_by_vm_read": "return call(310, 270, os.getppid(), 0, 0, 0, 0, 0)",
    "other_memory_by_vm_write": "return call(311, 271, os.getppid(), 0, 0, 0, 0, 0)",
    "other_descriptors": "return call(438, 438, 0, 0, 0)",
    "compare_processes": "return call(312, 272, os.getpid(), os.getppid(), 0, 0, 0)",
    "new_mount_api": "return call(430, 430, addressof(b'tmpfs'), 0)",
    "open_tree": "return call(428, 428, -100, addressof(b'/'), 1)",
    "move_mount": "return call(429, 429, -1, 0, -1, 0, 0)",
    "pivot_root": "return call(155, 41, addressof(b'/tmp'), addressof(b'/tmp'))",
    "unmount": "return call(166, 39, addressof(b'/proc'), 0)",
    "enter_namespace": "return call(308, 268, os.open('/proc/self/ns/net', os.O_RDONLY), 0)",
    "new_namespaces": (
        "return any(call(272, 97, flag) for flag in (0x20000, 0x2000000, 0x4000000, 0x8000000,\n"
        "                                            0x10000000, 0x20000000, 0x40000000))"
    ),
    "child_in_user_namespace": (
        "pid = libc.syscall(ctypes.c_long(56 if platform.machine() == 'x86_64' else 220),\n"
        "                   ctypes.c_long(0x10000000 | 17), None, None, None, None)\n"
        "if pid == 0:\n"
        "    os._exit(0)\n"
        "return pid > 0"
    ),
    "clone3_in_user_namespace": (
        "arguments = (ctypes.c_uint64 * 11)(0x10000000, 0, 0, 0, 17)\n"
        "pid = libc.syscall(ctypes.c_long(435), ctypes.byref(arguments), ctypes.c_long(88))\n"
        "if pid == 0:\n"
        "    os._exit(0)\n"
        "return pid > 0"
    ),
    "kernel_modules": "return call(175, 105, 0, 0, 0) or call(313, 273, -1, 0, 0)",
    "new_kernel": "return call(246, 104, 0, 0, 0, 0) or call(320, 294, -1, -1, 0, 0, 0)",
    "swap": "return call(167, 224, addressof(b'/tmp/x'), 0) or call(168, 225, addressof(b'/x'))",
    "quotas": "return call(179, 60, 0, 0, 0, 0)",
    "accounting": "return call(163, 89, 0)",
    "randomness_of_addresses": "return libc.personality(0x0040000) != -1",
    "handles": "return call(304, 265, -1, addressof(bytes(64)), 0)",
    "kernel_log_call": "return call(103, 116, 3, addressof(bytes(64)), 64)",
    "other_word_size": (
        "if platform.machine() != 'x86_64':\n"
        "    return False\n"
        "page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)\n"
        "page.write(bytes.fromhex('b814000000cd80c3'))  # getpid, as 32-bit programs ask\n"
        "start = ctypes.addressof(ctypes.c_char.from_buffer(page))\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    os._exit(ctypes.CFUNCTYPE(ctypes.c_int)(start)() <= 0)\n"
        "return os.waitpid(pid, 0)[1] == 0"
    ),
    "x32": (
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    os._exit(not call(0x40000000 + 39, 1 << 30))\n"
        "return os.waitpid(pid, 0)[1] == 0"
    ),
    "virtual_machine_socket": "socket.socket(40, socket.SOCK_STREAM)\nreturn True",
    "kernel_crypto_socket": "socket.socket(38, socket.SOCK_SEQPACKET)\nreturn True",
    "bluetooth_socket": "socket.socket(31, socket.SOCK_RAW, 1)\nreturn True",
    "core_dump": "return resource.getrlimit(resource.RLIMIT_CORE)[1] != 0",
}

NOT_STOPPED: dict[str, dict[str, str]] = {"docker": {}, "bubblewrap": {}, "landlock": {}}
