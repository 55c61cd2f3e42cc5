"""Reports that stand for those of real runs, plain and hostile."""

from __future__ import annotations

from dataclasses import replace

from pytest_selfheal.records import Attempt, HealReport, ModelUsage, SourceWarning, StubReport

DIFF = (
    "--- a/src/tax.py\n+++ b/src/tax.py\n@@ -1 +1 @@\n-def due(): ...\n+def due(): return '<1>'\n"
)
NASTY = (
    '\x1b[31mred\x1b[0m \x1b]0;title\x07<script>alert("1")</script> & \r\n two'
    "\u2028Target: x\x9b2J\ud800"
)

REPORT = HealReport(
    mode="apply",
    exit_status=1,
    seconds=3.20049,
    model=ModelUsage(name="gpt-x", requests=3, input_tokens=1200, output_tokens=340),
    backend="docker",
    verifications=4,
    stubs=(
        StubReport(
            target="src/tax.py::TaxTable.due",
            status="healed",
            attempts=(
                Attempt(
                    verdict="failed",
                    why="assert 1 == 2",
                    seconds=0.41234,
                    code="def due(self):\n    return 1 < 2\n",
                    traceback="E  assert 1 == 2\n",
                    asking_seconds=1.5,
                    input_tokens=500,
                    output_tokens=40,
                    number=1,
                    model="gpt-x",
                ),
                Attempt(
                    verdict="passed",
                    seconds=0.3,
                    code="SECRET_OF_THE_PASSED = 1\n",
                    number=2,
                    strategy="second-model",
                    model="gpt-xl",
                ),
            ),
            tests=("tests/test_tax.py::test_due[a]", "tests/test_tax.py::test_due[b]"),
            diff=DIFF,
        ),
        StubReport(target="src/a.py::f", status="unhealed", reason="attempts used up"),
        StubReport(target="src/b.py::g", status="unreached"),
        StubReport(target="src/c.py::h", status="rejected", reason="a cheat was seen"),
        StubReport(target="src/d.py::i", status="skipped", reason="the reviewer said no"),
    ),
    healed_tests=("tests/test_tax.py::test_due[a]", "tests/test_tax.py::test_due[b]"),
    still_failing=("tests/test_a.py::test_f",),
    sandbox_only_failures=("tests/test_net.py::test_n",),
    warnings=(SourceWarning(path="src/w.py", line=3, message="cannot be read"),),
    notes=("a budget is used up",),
)
EMPTY = HealReport(
    mode="check", exit_status=0, seconds=0.0, model=ModelUsage(), backend=None, verifications=0
)


def nasty_report(text: str) -> HealReport:
    """A report in which every text that others write is this one."""
    attempt = Attempt(verdict="failed", why=text, code=text, traceback=text)
    stub = StubReport(
        target=text,
        status="unhealed",
        reason=text,
        attempts=(attempt,),
        tests=(text,),
        diff=DIFF + text,
    )
    return replace(
        REPORT,
        model=replace(REPORT.model, name=text),
        backend=text,
        stubs=(stub,),
        healed_tests=(text,),
        still_failing=(text,),
        sandbox_only_failures=(text,),
        warnings=(SourceWarning(path=text, line=1, message=text),),
        notes=(text,),
        patch=text,
    )


def is_clean(text: str) -> bool:
    """Whether a terminal would show the text as it stands."""
    return all(char in "\n\t" or not (ord(char) < 32 or 127 <= ord(char) < 160) for char in text)
