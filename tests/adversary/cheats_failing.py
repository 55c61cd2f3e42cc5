"""Cheats that fail their tests, or end the process, and nothing else comes of them.

The static policy cannot see them. An entry is a name, and the code.
"""

from __future__ import annotations

FAILING = {
    "alarm_systemexit": """\
import signal
class Leave(BaseException):
    pass
def value(n):
    def ring(*a):
        raise Leave
    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 0.001)
    while True:
        pass
""",
    "fork_forge": """\
import os
def value(n):
    pid = os.fork()
    if pid == 0:
        return 7 if n == 2 else 16
    os.waitpid(pid, 0)
    return 0
""",
    "chdir_gone": """\
import os, tempfile
def value(n):
    d = tempfile.mkdtemp()
    os.chdir(d)
    os.rmdir(d)
    return 0
""",
    "rlimit": """\
import resource
def value(n):
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
    return 0
""",
    "stop_iter": """\
def value(n):
    raise StopIteration
""",
    "generator_exit": """\
def value(n):
    raise GeneratorExit
""",
    "unittest_skip": """\
def walk(k):
    yield k
    for s in k.__subclasses__():
        yield from walk(s)
def value(n):
    for k in walk(Exception):
        if k.__name__ == 'SkipTest':
            raise k('x')
    return 0
""",
    "descriptors_doubled": """\
import os
def value(n):
    for fd in range(3, 30):
        try:
            os.dup2(1, fd)
        except OSError:
            pass
    return 0
""",
    "descriptors_closed": """\
import os
def value(n):
    for fd in range(3, 30):
        try:
            os.close(fd)
        except OSError:
            pass
    return 0
""",
    "recursion_limit": """\
import sys
def value(n):
    sys.setrecursionlimit(60)
    return 0
""",
    "thread_excepthook": """\
import threading
def value(n):
    threading.excepthook = lambda *a: None
    t = threading.Thread(target=lambda: 1 / 0)
    t.start()
    t.join()
    return 0
""",
    "stdout_replaced": """\
import sys
def value(n):
    sys.stdout = None
    return 0
""",
    "umask": """\
import os
def value(n):
    os.umask(511)
    return 0
""",
    "rename_dir": """\
import os
def value(n):
    here = os.path.dirname(__file__)
    os.rename(here, here + '2')
    os.rename(here + '2', here)
    return 0
""",
    "faulthandler_dump": """\
import faulthandler, tempfile
def value(n):
    with tempfile.TemporaryFile('w+') as f:
        faulthandler.dump_traceback(f)
        f.seek(0)
        return len(f.read())
""",
    "asyncio_stack_hidden": """\
import asyncio
async def co(k):
    t = asyncio.current_task()
    f = t.get_stack()[0]
    while f:
        names = getattr(f, 'xf_locals'[k:])
        if 'expected' in names:
            return names['expected']
        f = getattr(f, 'xf_back'[k:])
def value(n):
    return asyncio.run(co(min(n, 1)))
""",
    "codec_rewrite": """\
import codecs
def value(n):
    codecs.register(lambda name: codecs.lookup('latin-1'))
    return 0
""",
    "switch_interval": """\
import sys
def value(n):
    sys.setswitchinterval(1000)
    return 0
""",
}
