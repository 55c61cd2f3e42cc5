"""What no candidate may reach for: modules, functions and attributes, each with why not."""

from __future__ import annotations

import re

from pytest_selfheal.source.policy_context import Context

FORBIDDEN_MODULES = {
    "pytest": "the code may not know that it is tested",
    "_pytest": "the code may not know that it is tested",
    "pluggy": "the code may not reach the test runner",
    "unittest": "the code may not reach a test runner",
    "conftest": "the code may not reach the tests' own files",
    "pytest_selfheal": "the code may not reach what heals it",
    "xdist": "the code may not reach the test runner",
    "ctypes": "it reaches into the interpreter's memory",
    "_ctypes": "it reaches into the interpreter's memory",
    "__main__": "that is the program that runs the tests",
    **dict.fromkeys(
        ("mock", "dirty_equals", "hamcrest", "testfixtures", "pytest_mock", "nose", "hypothesis"),
        "that is for tests, and the code may not know that it is tested",
    ),
}
_HARMLESS = {"pytest_selfheal.heal", "pytest_selfheal.StubCalled"}
_FOR_CHECKS = {"pytest", "pytest.raises", "pytest.approx", "pytest.warns"}
_TEST_MODULE = re.compile(r"(?:^|\.)(?:test_\w+|\w+_test|conftest)(?:\.|$)|^tests?(?:\.|$)")


def import_reason(dotted: str, context: Context) -> str | None:
    """Tell why a module, or a name of one, may not be imported; None where it may."""
    package = dotted.partition(".")[0]
    if package in context.user or dotted in context.user or dotted in _HARMLESS:
        return None
    if context.is_checks and dotted in _FOR_CHECKS:
        return None
    if package in FORBIDDEN_MODULES:
        return FORBIDDEN_MODULES[package]
    if _TEST_MODULE.search(dotted):
        return "the code may not reach the tests' own files"
    return None


ENDS = "it ends the process, or the run, before the tests are done"
_RUNNER = "it reaches what the test runner stands on"
_OBJECTS = "it finds objects that belong to the tests"
_CODE = "it makes code that nobody can read"
FRAMES = "it reads its callers' frames"
FORBIDDEN_NAMES = {
    "os._exit": ENDS,
    "os.abort": ENDS,
    "_thread.interrupt_main": ENDS,
    "signal.raise_signal": ENDS,
    "atexit._run_exitfuncs": ENDS,
    "atexit._clear": _RUNNER,
    "sys.meta_path": _RUNNER,
    "sys.path_hooks": _RUNNER,
    "sys.addaudithook": _RUNNER,
    "sys.settrace": _RUNNER,
    "sys.setprofile": _RUNNER,
    "sys.monitoring": _RUNNER,
    "threading.settrace": _RUNNER,
    "threading.setprofile": _RUNNER,
    "threading.settrace_all_threads": _RUNNER,
    "threading.setprofile_all_threads": _RUNNER,
    "importlib.reload": _RUNNER,
    "builtins.__builtins__": _RUNNER,
    "sys._getframe": FRAMES,
    "sys._getframemodulename": FRAMES,
    "sys._current_frames": FRAMES,
    "sys._current_exceptions": FRAMES,
    "inspect.currentframe": FRAMES,
    "inspect.stack": FRAMES,
    "inspect.trace": FRAMES,
    "inspect.getouterframes": FRAMES,
    "inspect.getinnerframes": FRAMES,
    "inspect.getframeinfo": FRAMES,
    "traceback.walk_stack": FRAMES,
    "traceback.walk_tb": FRAMES,
    "traceback.extract_stack": FRAMES,
    "logging.currentframe": FRAMES,
    "sys.call_tracing": _RUNNER,
    "gc.get_objects": _OBJECTS,
    "gc.get_referrers": _OBJECTS,
    "gc.get_referents": _OBJECTS,
    "gc.garbage": _OBJECTS,
    "gc.callbacks": _RUNNER,
    "gc.set_debug": _OBJECTS,
    "builtins.object.__subclasses__": _OBJECTS,
    "builtins.BaseException.__subclasses__": _OBJECTS,
    "builtins.type.__subclasses__": _OBJECTS,
}
EXEC = re.compile(r"os\.exec[a-z]+$")

_FRAME_ATTRIBUTES_LIST = """
    f_back f_locals f_globals f_builtins tb_frame gi_frame cr_frame ag_frame
    __globals__ __builtins__ _getframe _current_frames
    """
FRAME_ATTRIBUTES = frozenset(_FRAME_ATTRIBUTES_LIST.split())
"""The attributes that lead from an object to a frame or to its globals."""


def name_reason(dotted: str, context: Context) -> str | None:
    """Tell why what has a dotted name may not be used; None where it may."""
    if dotted in context.user:
        return None
    reason = FORBIDDEN_NAMES.get(dotted) or (ENDS if EXEC.match(dotted) else None)
    package = dotted.partition(".")[0]
    if reason is None and package in FORBIDDEN_MODULES and "." in dotted:
        reason = import_reason(dotted, context)
    return reason
