"""The HTML report in a real browser: what it shows, and that it asks nobody for anything."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pytest_selfheal.records import Attempt, HealReport, ModelUsage, StubReport, Verdict
from pytest_selfheal.report.html_report import as_html, write_html
from tests.harness import Project, python, require
from tests.scripted_server import ScriptedServer

HOSTILE = (
    "</pre></details></style><script>document.title='owned'</script>"
    "<img src=http://203.0.113.1/x onerror=\"document.title='owned'\">"
    "<style>@import 'http://203.0.113.1/y';</style><svg onload=\"document.title='owned'\">"
    "<meta http-equiv=refresh content='0;url=http://203.0.113.1/z'>"
    "<link rel=stylesheet href=http://203.0.113.1/w><base href=http://203.0.113.1/>"
    "<!-- ]]> &lt;script&gt; javascript:document.title='owned' $policy ${style}"
)
DIFF = "--- a/m.py\n+++ b/m.py\n@@ -1 +1,2 @@\n-def f(): ...\n+def f():\n+    return '<b>'\n"
TOKEN = "ghp_" + "x7Kd92LmQp0RtVw4Yz6Bc8NfHjSa1GuEoIqT"
"""Of a form that is known; nobody's."""
PHONE = {"width": 320, "height": 640}


def find_browser() -> str | None:
    """A Chromium that is installed, None where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if (path := shutil.which(name))), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    path = find_browser()
    if path is None:
        if os.environ.get("SELFHEAL_NO_SKIP"):
            pytest.fail("no Chromium is installed")
        pytest.skip("no Chromium is installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        opened = started.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield opened
        opened.close()


@dataclass
class Seen:
    """A page, and what it did while it was looked at."""

    page: Any
    said: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def look(self, report: HealReport, folder: Path) -> Any:
        path = folder / "report.html"
        write_html(report, path)
        return self.look_at(path)

    def look_at(self, path: Path) -> Any:
        self.page.goto(path.as_uri())
        assert self.requests == [path.as_uri()]
        assert self.said == []
        return self.page


@pytest.fixture
def seen(browser: Any, request: pytest.FixtureRequest) -> Iterator[Seen]:
    options = getattr(request, "param", {})
    context = browser.new_context(**options)
    watched = Seen(context.new_page())
    watched.page.on("console", lambda message: watched.said.append(message.text))
    watched.page.on("pageerror", lambda error: watched.said.append(str(error)))
    watched.page.on("request", lambda each: watched.requests.append(each.url))
    yield watched
    assert watched.said == []
    assert len(watched.requests) == 1, watched.requests
    context.close()


def story(number: int) -> StubReport:
    """A stub of a large run: every third was not healed."""
    verdicts: tuple[Verdict, ...] = ("failed", "timeout") if number % 3 == 0 else ("failed",)
    attempts = [
        Attempt(
            verdict=verdict,
            why=f"assert {number} == 2",
            seconds=0.4,
            asking_seconds=1.2,
            input_tokens=900,
            output_tokens=100,
            code=f"def f{number}():\n    return {number}\n",
            traceback=f"E   assert {number} == 2\n",
        )
        for verdict in verdicts
    ]
    if number % 3:
        attempts.append(Attempt(verdict="passed", seconds=0.3, asking_seconds=1.0))
    return StubReport(
        target=f"src/package/a_module_with_a_long_name_{number}.py::Class.f{number}",
        status="healed" if number % 3 else "unhealed",
        reason=None if number % 3 else f"assert {number} == 2",
        attempts=tuple(attempts),
        tests=tuple(f"tests/test_{number}.py::test[{each}]" for each in range(5)),
        diff=DIFF if number % 3 else "",
    )


def report_of(*stubs: StubReport, **more: Any) -> HealReport:
    values: dict[str, Any] = {
        "mode": "apply",
        "exit_status": 1,
        "seconds": 12.5,
        "model": ModelUsage(name="m", requests=9, input_tokens=9000, output_tokens=900),
        "backend": "docker",
        "verifications": 7,
    }
    return HealReport(**values | more, stubs=stubs)


def test_a_stub_shows_its_timeline_diff_and_attempts(seen: Seen, tmp_path: Path) -> None:
    page = seen.look(report_of(story(1), story(3)), tmp_path)
    assert page.title() == "selfheal: 1 of 2 stubs healed"
    unhealed, healed = page.locator("details.stub").all()
    assert healed.get_attribute("open") is None
    assert unhealed.get_attribute("open") is not None
    bars = healed.locator("svg.timeline rect")
    assert [bar.get_attribute("class") for bar in bars.all()] == [
        "asking", "verifying", "end failed", "asking", "verifying", "end passed",
    ]  # fmt: skip
    boxes = [bar.bounding_box() for bar in bars.all()]
    assert all(box["width"] > 0 and box["height"] > 4 for box in boxes)
    assert boxes == sorted(boxes, key=lambda box: box["x"])
    label = healed.get_by_role("img").first.get_attribute("aria-label")
    assert label == "Attempts: 1 failed, 2 passed"

    added = healed.locator(".add").first
    assert not added.is_visible()
    healed.locator("summary").first.click()
    assert added.is_visible()
    failed_code = healed.get_by_text("return 1", exact=False).first
    assert not failed_code.is_visible()
    healed.get_by_text("Attempt 1:").click()
    assert failed_code.is_visible()
    assert healed.get_by_text("E   assert 1 == 2").is_visible()
    assert unhealed.get_by_text("Attempt 2:").is_visible()


@pytest.mark.parametrize(
    "seen",
    [{"color_scheme": "light"}, {"color_scheme": "dark"}],
    indirect=True,
    ids=["light", "dark"],
)
def test_text_can_be_read_in_light_and_in_the_dark(seen: Seen, tmp_path: Path) -> None:
    page = seen.look(report_of(story(1), story(3)), tmp_path)
    page.locator("details").evaluate_all("all => all.forEach(each => each.open = true)")
    contrasts = page.evaluate(CONTRASTS)
    assert len(contrasts) > 30
    assert [each for each in contrasts if each[1] < 4.5] == []


CONTRASTS = """() => {
  const numbers = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
    .map(c => c <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
  const behind = node => {
    for (; node; node = node.parentElement) {
      const colour = numbers(getComputedStyle(node).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim()) continue;
    const pair = [light(numbers(getComputedStyle(node).color)), light(behind(node))];
    found.push([walker.currentNode.data,
      (Math.max(...pair) + .05) / (Math.min(...pair) + .05)]);
  }
  return found;
}"""


@pytest.mark.parametrize("seen", [{"viewport": PHONE}], indirect=True, ids=["phone"])
def test_a_phone_scrolls_in_one_direction(seen: Seen, tmp_path: Path) -> None:
    page = seen.look(report_of(story(1), story(3)), tmp_path)
    page.locator("details").evaluate_all("all => all.forEach(each => each.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert page.locator("svg.timeline").first.bounding_box()["width"] > 200
    size = page.evaluate("parseFloat(getComputedStyle(document.querySelector('pre')).fontSize)")
    assert size >= 12


def test_keys_alone_will_do(seen: Seen, tmp_path: Path) -> None:
    page = seen.look(report_of(story(1)), tmp_path)
    keys = page.keyboard
    keys.press("Tab")
    keys.press("Enter")
    assert page.locator(".add").first.is_visible()
    keys.press("Tab")
    keys.press("Space")
    code = page.locator("figure pre").first
    assert code.is_visible()
    keys.press("Tab")
    assert code.evaluate("node => node === document.activeElement")


def test_a_screen_reader_finds_its_way(seen: Seen, tmp_path: Path) -> None:
    report = report_of(story(1), story(3), still_failing=("t.py::test_a",), notes=("a note",))
    page = seen.look(report, tmp_path)
    assert page.get_by_role("banner").get_by_role("heading", level=1).is_visible()
    headings = page.get_by_role("main").get_by_role("heading", level=2).all_inner_texts()
    assert headings == ["Notes 1", "Not healed 1", "Healed 1", "Tests that still fail 1"]
    assert page.get_by_role("img").count() == 2  # what the legend's colours are is said in words
    page.locator("details").evaluate_all("all => all.forEach(each => each.open = true)")
    captions = page.get_by_role("figure").locator("figcaption").all_inner_texts()
    assert captions == ["The code", "What came of it"] * 3


@pytest.mark.parametrize("seen", [{"color_scheme": "dark"}], indirect=True, ids=["dark"])
def test_on_paper_all_is_there_and_the_ground_is_white(seen: Seen, tmp_path: Path) -> None:
    page = seen.look(report_of(story(1), story(3)), tmp_path)
    hidden = page.locator(".add, figure pre, li code").all()
    assert not any(each.is_visible() for each in hidden)
    page.emulate_media(media="print", color_scheme="dark")
    assert all(each.is_visible() for each in hidden)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == "rgb(255, 255, 255)"


def test_five_hundred_stubs(seen: Seen, tmp_path: Path) -> None:
    page = seen.look(report_of(*map(story, range(500))), tmp_path)
    assert page.locator("details.stub").count() == 500
    last = page.locator("details.stub").last
    last.scroll_into_view_if_needed()
    last.locator("summary").first.click()
    assert last.locator(".add").first.is_visible()
    assert page.get_by_role("heading", level=1).inner_text() == "selfheal: 333 of 500 stubs healed"


def test_what_a_model_writes_is_text_and_nothing_else(seen: Seen, tmp_path: Path) -> None:
    attempt = Attempt(verdict="failed", why=HOSTILE, code=HOSTILE, traceback=HOSTILE)
    stub = StubReport(
        target=HOSTILE,
        status="unhealed",
        reason=HOSTILE,
        attempts=(attempt,),
        tests=(HOSTILE,),
        diff=DIFF + HOSTILE,
    )
    model = ModelUsage(name=HOSTILE)
    page = seen.look(report_of(stub, notes=(HOSTILE,), model=model, patch=HOSTILE), tmp_path)
    page.wait_for_timeout(200)
    assert page.title() == "selfheal: 0 of 1 stub healed"
    assert page.locator("main").count() == 1
    assert page.locator("script, img, link, base, [onerror], [onload]").count() == 0
    assert page.locator("style").count() == 1
    assert page.locator("pre").first.text_content() == HOSTILE


def test_the_policy_would_hold_without_the_escaping(browser: Any, tmp_path: Path) -> None:
    """A page with such markup in its midst, put there by hand: nothing runs, nothing is loaded."""
    path = tmp_path / "owned.html"
    bad = HOSTILE.replace("<meta http-equiv=refresh content='0;url=http://203.0.113.1/z'>", "")
    path.write_text(as_html(report_of(story(1))).replace("</h1>", f"</h1>{bad}"))
    page = browser.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(path.as_uri())
    page.wait_for_timeout(200)
    assert page.title() == "selfheal: 1 of 1 stub healed"
    stopped = " ".join(each for each in said if "Content Security Policy" in each)
    for what in ("inline script", "img-src", "style-src"):
        assert what in stopped, said
    assert page.evaluate("document.styleSheets.length") == 1
    page.close()


def test_the_report_of_a_real_run(seen: Seen, tmp_path: Path) -> None:
    require("landlock")
    project = Project(
        tmp_path / "project",
        {
            "calc.py": "# selfheal\ndef add(a, b):\n    ...\n",
            "test_calc.py": (
                "import calc\n\n\ndef test_add():\n"
                f"    print('{TOKEN}')\n    assert calc.add(1, 2) == 3\n"
            ),
        },
    )
    wrong = python("def add(a, b):\n    return '<i>'\n")
    right = python("def add(a, b):\n    return a + b\n")
    path = tmp_path / "report.html"
    with ScriptedServer({"calc.py::add": [wrong, right]}) as server:
        run = project.heal(
            "--selfheal-sandbox=landlock", f"--selfheal-report={path}", server=server
        )
    assert run.status == 0, run.output
    attempts = run.stubs["calc.py::add"]["attempts"]
    assert all(each["input_tokens"] > 0 and each["asking_seconds"] > 0 for each in attempts)
    page = seen.look_at(path)
    assert page.title() == "selfheal: 1 of 1 stub healed"
    for text in (path.read_text(), json.dumps(run.report)):
        assert TOKEN not in text
    assert "Captured stdout call" in page.content()
    assert "[redacted]" in page.content()
    page.locator("summary").first.click()
    page.get_by_text("Attempt 1:").click()
    assert page.get_by_text("return '<i>'").first.is_visible()
    assert page.locator(".add").get_by_text("return a + b").is_visible()
