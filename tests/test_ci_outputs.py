"""What CI services are shown of a run, from reports that anybody may have written."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from pytest_selfheal.ci.markdown import SUMMARY_BYTES, markdown
from pytest_selfheal.ci.places import places
from pytest_selfheal.ci.read import read_report
from pytest_selfheal.ci.workflow import MAX_OF_A_KIND, annotated, as_output_file, command
from pytest_selfheal.commands import main
from pytest_selfheal.errors import UsageError
from pytest_selfheal.records import Attempt, HealReport, ModelUsage, Status, StubReport
from pytest_selfheal.report.json_report import as_json, write_json

PASSED, FAILED = Attempt(verdict="passed"), Attempt(verdict="failed", why="assert 1 == 2")


def stub(target: str, status: Status = "healed", **more: Any) -> StubReport:
    given = {"attempts": (FAILED, PASSED), "tests": ("t.py::test_a", "t.py::test_b")} | more
    return StubReport(target=target, status=status, **given)


REPORT = HealReport(
    mode="propose",
    exit_status=1,
    seconds=3.21,
    model=ModelUsage(name="m-1", requests=3, input_tokens=10, output_tokens=20, cost=0.5),
    backend="docker",
    verifications=4,
    stubs=(
        stub("src/a.py::f", diff="--- a/src/a.py\n+++ b/src/a.py\n@@ -1 +1 @@\n-...\n+return 1\n"),
        stub("src/a.py::A.g", "unhealed", reason="5 attempts were used up: assert 1 == 2"),
        stub("src/a.py::lost", "unreached", attempts=(), tests=()),
    ),
    healed_tests=("t.py::test_a", "t.py::test_b"),
    still_failing=("t.py::test_c",),
    notes=("a note",),
    patch="/elsewhere/selfheal.patch",
)
SOURCE = (
    "# selfheal\ndef f():\n    ...\n\n\nclass A:\n    # selfheal\n    def g(self):\n        ...\n"
)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with its rootdir in a folder, and the report beside it."""
    for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT", "GITHUB_ACTIONS", "GITLAB_CI"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / ".git").mkdir()
    root = tmp_path / "ser vices"
    (root / "src").mkdir(parents=True)
    (root / "src" / "a.py").write_text(SOURCE)
    write_json(REPORT, root / "selfheal.json")
    monkeypatch.chdir(root)
    return root


def run(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(["ci", *arguments])
    out, err = capfd.readouterr()
    return status, out, err


# --- reading ---------------------------------------------------------------------------


def test_a_report_is_read_as_it_was_written(project: Path) -> None:
    read = read_report(project / "selfheal.json")
    assert as_json(replace(read, model=REPORT.model)) == as_json(REPORT)


def changed(path: str, value: Any) -> Any:
    report: Any = as_json(REPORT)
    inner = report
    *keys, last = [int(key) if key.isdigit() else key for key in path.split(".")]
    for key in keys:
        inner = inner[key]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return report


BAD = [
    (changed("schema", 2), "schema is 2, not 1: another version"),
    (changed("mode", "heal\n::error::"), "mode is 'heal.*', not one of apply"),
    (changed("exit_status", True), "exit_status is True, not a whole number"),
    (changed("exit_status", 10**400), "exit_status is 1000.*…, not a number of this size"),
    (changed("seconds", float("nan")), "seconds is nan, not a number"),
    (changed("seconds", None), "the report has no 'seconds'"),
    (changed("stubs", {}), "stubs is {}, not a list"),
    (changed("stubs.1", []), r"stubs\[1\] is \[\], not an object"),
    (changed("stubs.1.status", "fine"), r"stubs\[1\].status is 'fine', not one of"),
    (changed("stubs.0.attempts.1.verdict", 1), r"stubs\[0\].attempts\[1\].verdict is 1"),
    (changed("stubs.0.target", "a.py"), r"stubs\[0\].target is 'a.py', not path::name"),
    (changed("stubs.0.target", "/etc/a.py::f"), "with a path inside the project"),
    (changed("stubs.0.target", "a/../../b.py::f"), "with a path inside the project"),
    (changed("model.cost", "free"), "model.cost is 'free', not a number"),
    (changed("tests.still_failing.0", 1), r"tests.still_failing\[0\] is 1, not a text"),
    ([], r"the report is \[\], not an object"),
]


@pytest.mark.parametrize(("report", "message"), BAD, ids=[each[1] for each in BAD])
def test_a_bad_report_is_one_clear_line(
    project: Path, capfd: pytest.CaptureFixture[str], report: Any, message: str
) -> None:
    (project / "bad.json").write_text(json.dumps(report))
    status, out, err = run(capfd, "summary", "bad.json")
    assert (status, out) == (4, "")
    assert err.startswith("selfheal ci: 'bad.json' is no report: ")
    assert re.search(message, err)
    assert err.count("\n") == 1
    assert err.endswith("\n")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is no JSON"),
        (b"\xff\xfe\xfa", "is no JSON"),
        (b"[" * 100_000, "is no JSON"),
        (b"1" * 5000, "is no JSON"),
        (None, r"cannot be read \(No such file or directory\): name one that --selfheal-report"),
    ],
    ids=["empty", "no text", "deep", "long", "none"],
)
def test_what_is_no_json(project: Path, data: bytes | None, message: str) -> None:
    file = project / "bad.json"
    if data is not None:
        file.write_bytes(data)
    with pytest.raises(UsageError, match=message) as raised:
        read_report(file)
    assert "\n" not in str(raised.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
PLACES = ["schema", "mode", "model", "model.name", "sandbox", "stubs", "stubs.0.diff", "notes"]


@settings(max_examples=60, deadline=None)
@given(place=st.sampled_from([*PLACES, "stubs.0", "stubs.0.target", "patch"]), value=JSON)
def test_whatever_stands_in_a_report(
    tmp_path_factory: pytest.TempPathFactory, place: str, value: Any
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.json"
    file.write_text(json.dumps(changed(place, value)))
    try:
        report = read_report(file)
    except UsageError as error:
        assert "\n" not in str(error)  # noqa: PT017
        return
    assert markdown(report).startswith("## selfheal ")


# --- the summary -----------------------------------------------------------------------


class Tags(HTMLParser):
    """What a browser would make of a page: its tags, and the text in code or not."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.rows = 0
        self.outside = ""
        self.inside: list[str] = []
        self._code = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.rows += tag == "tr"
        assert {name for name, _ in attrs} <= {"style", "class"}
        if tag == "code":
            self._code += 1
            self.inside.append("")

    def handle_endtag(self, tag: str) -> None:
        self._code -= tag == "code"

    def handle_data(self, data: str) -> None:
        if self._code:
            self.inside[-1] += data
        else:
            self.outside += data


def rendered(text: str) -> Tags:
    return Tags(MarkdownIt("commonmark").enable("table").render(text))


ALLOWED = {"h2", "p", "ul", "li", "code", "pre", "details", "summary"}
ALLOWED |= {"table", "thead", "tbody", "tr", "th", "td"}
NASTY = (
    "a | b\\| c\\` `x` ``` \n```\n# h <img src=x> @me [l](http://e.org) http://e.org &lt; *b* \\"
)


def test_the_summary_of_a_run() -> None:
    text = markdown(REPORT)
    assert text.startswith("## selfheal propose: 1 healed, 1 unhealed, 1 unreached\n\n| | stub |")
    assert "| ✅ healed | `src/a.py::f` | 2 | 2 |  |\n" in text
    assert (
        "| ❌ unhealed | `src/a.py::A.g` | 2 | 2 | `5 attempts were used up: assert 1 == 2` |\n"
        in text
    )
    assert "2 tests turned green with the patch · 1 test not · 3 requests to `m-1` (10 " in text
    assert "The patch is `selfheal.patch`." in text
    assert "```diff\n--- a/src/a.py\n" in text
    page = rendered(text)
    assert page.tags == ALLOWED
    assert page.rows == 4


LINES = st.text(
    st.characters(codec="utf-8") | st.sampled_from(list("`|\\<>*_[]()!#@&\n\r~- :/.,%=")),
    max_size=60,
)


@settings(max_examples=100, deadline=None)
@given(text=LINES)
def test_no_text_is_read_as_markdown(text: str) -> None:
    check_inert(text)


def test_a_nasty_text_is_shown_as_it_is() -> None:
    page = check_inert(NASTY)
    assert " ".join(NASTY.split()) in page.inside


def check_inert(text: str) -> Tags:
    """Put a text everywhere, and see that it is in code and nowhere else."""
    marked = f"Zq{text}qZ"
    report = replace(
        REPORT,
        model=replace(REPORT.model, name=marked),
        backend=marked,
        stubs=(stub(f"{marked}::f", "unhealed", reason=text, tests=(marked,), diff=marked),),
        still_failing=(marked,),
        notes=(marked, text),
        patch=marked,
    )
    page = rendered(markdown(report))
    assert page.tags == ALLOWED
    assert page.rows == 2
    assert "Zq" not in page.outside
    return page


def test_a_large_run_fits(project: Path) -> None:
    many = [stub(f"src/m{n}.py::f", diff=f"+{'ä' * 900}\n") for n in range(3000)]
    text = markdown(replace(REPORT, stubs=tuple(many)))
    assert 1_000_000 < len(text.encode()) <= SUMMARY_BYTES
    left_out = re.search(r"\n(\d+) diffs are left out here; the reports have all.\n$", text)
    assert left_out is not None
    assert int(left_out[1]) == 3000 - text.count("```diff\n")
    assert rendered(text).rows == 3001
    crowd = [stub(f"src/{'x' * 250}{n}.py::f", reason="y" * 290) for n in range(3000)]
    text = markdown(replace(REPORT, stubs=tuple(crowd)), 60_000)
    assert len(text.encode()) <= 60_000
    more = re.search(r"and (\d+) more \|", text)
    assert more is not None
    assert int(more[1]) == 3000 - text.count("✅")


# --- what GitHub reads -----------------------------------------------------------------


def read_outputs(text: str) -> dict[str, str]:
    """As the runner reads the file: a name, a delimiter, lines up to that."""
    lines, values = iter(text.split("\n")), {}
    for line in lines:
        if line:
            name, _, delimiter = line.partition("<<")
            values[name] = "\n".join(iter(lambda end=delimiter: next(lines), delimiter))  # type: ignore[misc]
    return values


@settings(max_examples=50)
@given(st.dictionaries(st.sampled_from("abc"), LINES))
def test_outputs_come_back_as_they_were(values: Mapping[str, str]) -> None:
    assert read_outputs(as_output_file(values)) == values


def test_delimiters_are_not_to_be_guessed() -> None:
    texts = {as_output_file({"a": "b"}) for _ in range(20)}
    assert len(texts) == 20


def test_the_files_of_a_step(
    project: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project / "summary.md"))
    monkeypatch.setenv("GITHUB_OUTPUT", str(project / "output"))
    (project / "output").write_text("mine=1\n")
    (project / "summary.md").write_text("# Mine\n")
    for name in ("summary", "outputs"):
        assert run(capfd, name) == (0, "", "")
    assert (project / "summary.md").read_text() == "# Mine\n" + markdown(REPORT)
    first, _, rest = (project / "output").read_text().partition("\n")
    assert first == "mine=1"
    assert read_outputs(rest) == {
        "status": "1",
        "healed": "1",
        "unhealed": "1",
        "rejected": "0",
        "unreached": "1",
        "skipped": "0",
        "failed": "1",
        "targets": '["src/a.py::f"]',
        "patch": "/elsewhere/selfheal.patch",
    }
    (project / "summary.md").write_text("x" * SUMMARY_BYTES)
    assert run(capfd, "summary") == (0, "", "")
    assert (project / "summary.md").stat().st_size == SUMMARY_BYTES


def test_annotations_of_the_stubs(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capfd, "annotations")
    assert status == 0
    assert out.splitlines() == [
        "::error file=ser vices/src/a.py,title=selfheal%3A unhealed,line=8::"
        "A.g is not written: 5 attempts were used up: assert 1 == 2",
        "::warning file=ser vices/src/a.py,title=selfheal%3A unreached::"
        "lost is not written: no failing test reaches it",
        "::notice file=ser vices/src/a.py,title=selfheal%3A healed,line=2::"
        "f is written in the patch, after 2 attempts, held by 2 tests",
    ]


@settings(max_examples=100)
@given(message=LINES, file=LINES)
@example(message="%0A::error::x", file="a,line=1::b%2C\r\n")
def test_a_text_ends_no_command(message: str, file: str) -> None:
    line = command("error", f"a{message}", {"file": file, "line": "1"})
    assert line.splitlines()[0].startswith("::error file=")
    assert "\n" not in line
    assert "\r" not in line
    properties, _, said = line[len("::error ") :].partition("::")
    name, _, value = properties.partition(",line=1")[0].partition("=")
    assert (name, properties.count(",")) == ("file", 1)
    assert unescaped(value) == file
    assert unescaped(said).startswith("a")
    assert ":" not in value


def unescaped(text: str) -> str:
    for char in ",:\n\r%":
        text = text.replace(f"%{ord(char):02X}", char)
    return text


def test_no_more_annotations_than_are_shown(project: Path) -> None:
    stubs = [stub("src/a.py::f", "rejected", reason="r")] * 25
    lines = annotated(places(stubs, project), "apply")
    assert len(lines) == MAX_OF_A_KIND
    assert lines[-1] == (
        "::error title=selfheal::16 more stubs of this kind: see the job's summary"
    )


def test_a_file_outside_is_not_looked_at(project: Path) -> None:
    (project.parent / "out.py").write_text(SOURCE)
    (project / "link.py").symlink_to(project.parent / "out.py")
    (place,) = places([stub("link.py::f")], project)
    assert place.line is None
    assert place.path == "ser vices/link.py"


# --- what GitLab reads -----------------------------------------------------------------


def test_code_quality(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capfd, "code-quality", "--output", "out/gl.json")
    assert (status, out) == (0, "")
    text = (project / "out" / "gl.json").read_text()
    findings = json.loads(text)
    assert [(each["severity"], each["location"]) for each in findings] == [
        ("info", {"path": "ser vices/src/a.py", "lines": {"begin": 2}}),
        ("major", {"path": "ser vices/src/a.py", "lines": {"begin": 8}}),
        ("minor", {"path": "ser vices/src/a.py", "lines": {"begin": 1}}),
    ]
    assert len({each["fingerprint"] for each in findings}) == 3
    assert findings[1]["description"] == (
        "A.g is a stub, unhealed: 5 attempts were used up: assert 1 == 2"
    )
    assert all(re.fullmatch("[0-9a-f]{64}", each["fingerprint"]) for each in findings)
    (project / "src" / "a.py").write_text("\n\n" + SOURCE)
    _, moved, _ = run(capfd, "code-quality")
    assert [each["fingerprint"] for each in json.loads(moved)] == [
        each["fingerprint"] for each in findings
    ]
    write_json(replace(REPORT, mode="apply"), project / "selfheal.json")
    _, applied, _ = run(capfd, "code-quality")
    assert len(json.loads(applied)) == 2


def test_two_of_one_name_are_two_findings(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (project / "src" / "a.py").write_text(f"{SOURCE}\n\n{SOURCE}")
    write_json(replace(REPORT, stubs=(stub("src/a.py::f"),) * 2), project / "selfheal.json")
    first, second = json.loads(run(capfd, "code-quality")[1])
    assert first["fingerprint"] != second["fingerprint"]
    assert first["location"]["lines"]["begin"] < second["location"]["lines"]["begin"]


# --- the command -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required: COMMAND; see python -m pytest_selfheal ci --help"),
        (["heal"], "invalid choice: 'heal'"),
        (["summary", "a", "b"], "unrecognized arguments: b"),
        (["summary", "--output", "no/such/folder"], "'no/such/folder' cannot be written: No such"),
        (["code-quality", "--output", "selfheal.json/x"], "the code quality report cannot be wri"),
    ],
    ids=repr,
)
def test_misuse_is_one_line(
    project: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    status, out, err = run(capfd, *arguments)
    assert (status, out) == (4, "")
    assert message in err
    assert err.startswith("selfheal ci: ")
    assert err.count("\n") == 1


def test_as_a_program_in_an_ascii_world(project: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest_selfheal", "ci", "summary"],
        env={"PATH": "/usr/bin", "LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode("utf-8") == markdown(REPORT)
