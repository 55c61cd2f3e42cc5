"""What code under test reaches for, told by the interpreter. Sent as text like `inside_tests`.

Frames, what the collector knows and the files of tests are asked for under many names; the
interpreter tells of all of them (audit events), and the frame that asks tells whose code it is.
"""

from __future__ import annotations

import contextlib
import functools
import glob
import linecache
import os
import re
import shlex
import sys
import threading
import types
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

MAX_FRAMES = 32
MAX_WORDS = 64
"""How many words of a command are looked at."""

_EVENTS = frozenset(
    {
        "open", "sys._getframe", "sys._current_frames", "sys.settrace", "sys.setprofile",
        "sys.addaudithook", "gc.get_objects", "gc.get_referrers", "gc.get_referents",
        "object.__setattr__", "object.__getattr__", "subprocess.Popen", "os.system",
        "os.posix_spawn", "os.link", "os.symlink", "os.rename",
    }
)  # fmt: skip
_COMMANDS = {"subprocess.Popen": 1, "os.system": 0, "os.posix_spawn": 1}
"""Where in an event's arguments the command stands."""
_OF_ALL = frozenset(
    {"sys._current_frames", "gc.get_objects", "gc.get_referrers", "gc.get_referents"}
)
"""What tells of other threads as well, whichever asks."""
_MOVED = frozenset({"os.link", "os.symlink", "os.rename"})
_HIDDEN = frozenset({"tb_frame", "gi_frame", "cr_frame", "ag_frame"})
_TEST_FILE = re.compile(r"test_.*\.py|.*_test\.py|conftest\.py")
_ASK_THEMSELVES = ("importlib", "_pytest", "pytest")
"""Modules that read sources, or look at frames, on their own account."""
_SHOWS = ("traceback", "warnings", "logging", "pdb")
"""Those that show lines of sources to whoever calls them, without being asked for any."""
_SEARCHERS = frozenset({"grep", "egrep", "rg", "ag", "ack", "pytest"})
"""Programs that read all that is in a folder."""
_SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh", "ash", "fish"})
_QUOTE = re.compile(r"""['"]""")
_ARITHMETIC = re.compile(r"\$\(\(.*?\)\)")
_WILDCARDS = re.compile(r"[*?/]+")
_IMPORTING = "<frozen importlib"
_READS_A_TEST = "the code read a file of tests"


class Reach:
    """Listens to the interpreter for what the candidate's files ask for."""

    def __init__(
        self,
        root: str,
        files: Collection[str],
        originals: Mapping[str, str],
        judges: Collection[str],
        tell: Callable[[str], None],
    ) -> None:
        """Take what is to be listened for.

        Args:
            root: The project's folder.
            files: The real paths of the files that hold the candidate.
            originals: Their texts as they were before.
            judges: The real paths of the files that judge.
            tell: Tells the verdict.
        """
        self._root = os.path.realpath(root) + os.sep
        self._files = files
        self._originals = originals
        self._judges = frozenset(judges)
        self._inodes = frozenset(filter(None, map(_inode, judges)))
        self._tell = tell
        self._may_read_tests = any(map(_names_itself, judges))
        self._tests: set[types.CodeType] = set()
        self._is_looking = False

    def install(self) -> None:
        """Begin to listen."""
        sys.addaudithook(self._audit)

    def remember_tests(self, values: Iterable[Any]) -> None:
        """Note the tests among what a module of tests holds."""
        for each in values:
            if isinstance(each, types.FunctionType) and each.__name__.startswith("test"):
                self._tests.add(each.__code__)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._is_looking or event not in _EVENTS:
            return
        self._is_looking = True  # to look at frames is an event as well
        is_denied = False
        try:
            frame = sys._getframe(0).f_back
            if event == "open" or event in _MOVED:
                is_denied = self._opened(arguments[0], frame)
            else:
                self._heard(event, arguments, frame)
        except Exception:  # noqa: BLE001 - whatever it is, the test is not to fail for it
            return
        finally:
            self._is_looking = False
        if is_denied:
            raise PermissionError("lines of tests are not shown")  # who shows them does without

    def _heard(self, event: str, arguments: tuple[Any, ...], frame: Any) -> None:
        if event in _COMMANDS:
            self._started(arguments[_COMMANDS[event]], frame)
            return
        word = event.rpartition(".")[2]
        if event.startswith("object."):
            owner, word = arguments[:2]
            if event == "object.__getattr__" and word == "__code__":
                self._looked_into(owner, frame)
                return
            if word not in (("__code__",) if event == "object.__setattr__" else _HIDDEN):
                return
        if event not in _OF_ALL or not _is_handed_over(frame):
            frame = _who_asks(frame)
            if frame is None:
                return
            path = real(frame.f_code.co_filename)
            if path not in self._files or word in self._originals.get(path, ""):
                return
            if word == "setprofile" and "cProfile" in frame.f_globals:
                return  # it measures, and says with what
        self._tell(f"the code reached for {word!r} under a name that it hid")

    # --- files of tests ---

    def forget_lines(self) -> None:
        """Have the lines of tests read anew: what a report has shown, no code is to find."""
        with contextlib.suppress(Exception):
            for name in tuple(linecache.cache):
                if real(name) in self._judges:
                    linecache.cache.pop(name, None)

    def _opened(self, path: Any, frame: Any) -> bool:
        """A file: whether it is to stay shut, since a listing would show lines of a test.

        Honest code logs its stack, and does not miss them.
        """
        if self._may_read_tests or not isinstance(path, (str, bytes, os.PathLike)):
            return False
        path = os.fsdecode(path)
        asked = self._asked(frame)
        if asked == "shows":
            return self._is_a_test(path)
        if asked and (self._is_judge(path) if asked == "imports" else self._is_a_test(path)):
            self._tell(_READS_A_TEST)
        return False

    def _is_a_test(self, path: str) -> bool:
        target = os.path.realpath(path)
        if target in self._files or os.path.basename(target) == "__init__.py":
            return False
        is_named = _TEST_FILE.fullmatch(os.path.basename(target)) and target.startswith(self._root)
        return bool(is_named) or self._is_judge(path)

    def _is_judge(self, path: str) -> bool:
        """Whether it is a file of tests, under whatever name."""
        is_named = path.endswith(".py") and os.path.realpath(path) in self._judges
        return is_named or _inode(path) in self._inodes

    def _asked(self, frame: Any) -> str:
        """How a candidate's file asked: it "opens", "imports", "hands over" to a thread, or has
        one of those that show lines do so; empty if it did not, or what lies between asks itself.
        """
        how = "opens"
        is_handed_over = _is_handed_over(frame)
        for _ in range(MAX_FRAMES):
            if frame is None and is_handed_over:
                return "hands over" if how == "opens" else how
            if frame is None:
                return ""
            if real(frame.f_code.co_filename) in self._files:
                # What stands at the top of its module is imported as the user's own is.
                return "" if how == "imports" and frame.f_code.co_name == "<module>" else how
            name = str(frame.f_globals.get("__name__", ""))
            package = name.partition(".")[0]
            is_import = frame.f_code.co_filename.startswith(_IMPORTING)
            if is_import or name in ("importlib", "_pytest.assertion.rewrite"):
                how = "imports" if how == "opens" else how
            elif package in _ASK_THEMSELVES:
                return ""
            elif package in _SHOWS:
                how = "shows"
            frame = frame.f_back
        return ""

    def _started(self, command: Any, frame: Any) -> None:
        """A process: whether its command names a file of tests, be it by a pattern."""
        if self._may_read_tests or not self._asked(frame):
            return
        words = list(_words(command))
        searches = not _SEARCHERS.isdisjoint(map(os.path.basename, words))
        for word in words:
            found = glob.iglob(word, recursive=True) if glob.has_magic(word) else (word,)
            for path, _ in zip(found, range(MAX_WORDS), strict=False):
                if self._is_judge(path) or (searches and self._holds_judges(path)):
                    self._tell(_READS_A_TEST)
                    return

    def _holds_judges(self, path: str) -> bool:
        folder = os.path.join(os.path.realpath(path), "")
        return any(each.startswith(folder) for each in self._judges)

    # --- tests themselves ---

    def _looked_into(self, function: Any, frame: Any) -> None:
        if not isinstance(function, types.FunctionType) or function.__code__ not in self._tests:
            return
        asking = _who_asks(frame)
        if asking is not None and real(asking.f_code.co_filename) in self._files:
            self._tell("the code looked into a test")


def _is_handed_over(frame: Any) -> bool:
    """Whether a thread does nothing but what it was given, with nobody's code around it."""
    if threading.get_ident() == threading.main_thread().ident:
        return False
    while frame is not None:
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if package not in sys.stdlib_module_names and not is_made(frame.f_code.co_filename):
            return False
        frame = frame.f_back
    return True


def _who_asks(frame: Any) -> Any:
    """The frame that asks, be it through `inspect`, or through `exec`."""
    while frame is not None and (
        is_made(frame.f_code.co_filename) or frame.f_globals.get("__name__") == "inspect"
    ):
        frame = frame.f_back
    return frame


def _words(command: Any) -> Iterator[str]:
    """The words of a command, those of a shell's line and of a program's text among them.

    An asterisk by itself stands for files only where a shell comes upon it; elsewhere it
    multiplies.
    """
    given = [command] if isinstance(command, (str, bytes, os.PathLike)) else list(command)
    texts = list(map(os.fsdecode, given[:MAX_WORDS]))
    is_shell = len(given) == 1 or os.path.basename(texts[0]) in _SHELLS
    for each in texts:
        found = [each]
        if " " in each:
            found += _QUOTE.split(each)[:MAX_WORDS]
        tokens: list[str] = []
        with contextlib.suppress(ValueError):
            tokens = shlex.split(_ARITHMETIC.sub(" ", each), posix=False)[:MAX_WORDS]
        yield from (word for word in found if not _WILDCARDS.fullmatch(word))
        yield from (word for word in tokens if is_shell or not _WILDCARDS.fullmatch(word))


def _inode(path: str) -> tuple[int, int] | None:
    with contextlib.suppress(OSError):
        found = os.stat(path)
        return found.st_dev, found.st_ino
    return None


@functools.cache
def real(path: str) -> str:
    """A file's real path; that of an installed library's, which no candidate's is, as it stands.

    The interpreter tells of a frame for each entry of a traceback, and a look at the disk
    for each part of a path is dear where a supervisor is asked.
    """
    return path if path.startswith(_libraries()) else os.path.realpath(path)


@functools.cache
def _libraries() -> tuple[str, ...]:
    homes = [os.path.dirname(os.__file__)]
    runner = getattr(sys.modules.get("pytest"), "__file__", None)
    if runner:
        homes.append(os.path.dirname(os.path.dirname(runner)))
    return ("<frozen ", "<selfheal", *(os.path.join(home, "") for home in homes))


@functools.cache
def is_made(path: str) -> bool:
    """Whether code of this file name was made by code, and by none of the tools' own."""
    return not path.startswith(("<frozen ", "<selfheal", "<decorator-gen", "<doctest")) and (
        path.startswith("<") or not os.path.exists(path)
    )


def _names_itself(path: str) -> bool:
    """Whether a test speaks of its own file, as sample data that the code may then read."""
    if path.endswith(".py"):
        with contextlib.suppress(OSError), open(path, "rb") as file:
            return b"__file__" in file.read()
    return False
