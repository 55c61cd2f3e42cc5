"""Replies: which parts of a model's Markdown count."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_selfheal.model.reply import read_reply

CODE = "def f():\n    return 1\n"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"```python\n{CODE}```", id="plain"),
        pytest.param(f"Sure!\n\n```python\n{CODE}```\nDone.", id="prose-around"),
        pytest.param(f"```py\n{CODE}```", id="py"),
        pytest.param(f"```python3\n{CODE}```", id="python3"),
        pytest.param(f"```Python\n{CODE}```", id="capital"),
        pytest.param(f"``` python \n{CODE}```", id="blanks-in-the-info"),
        pytest.param(f"```{{.python}}\n{CODE}```", id="attribute-form"),
        pytest.param(f"```python:src/a.py\n{CODE}```", id="with-a-path"),
        pytest.param(f"```python title=a.py\n{CODE}```", id="with-a-title"),
        pytest.param(f"~~~python\n{CODE}~~~", id="tildes"),
        pytest.param(f"`````python\n{CODE}`````", id="long-fence"),
        pytest.param(f"```python\n{CODE}``````", id="longer-closing"),
        pytest.param(f"```python\n{CODE}", id="never-closed"),
        pytest.param(f"```python\n{CODE}```   ", id="blanks-after-closing"),
        pytest.param(f"```python\n{CODE}```\n```python\n\n```", id="empty-block-beside"),
        pytest.param(f"```\n{CODE}```", id="unnamed"),
        pytest.param(f"```\nnot this\n```\n```python\n{CODE}```", id="unnamed-beside-named"),
        pytest.param(f"```sh\nrm -r x\n```\n```python\n{CODE}```", id="other-language-beside"),
        pytest.param(
            f"```python-repl\n>>> f()\n```\n```python\n{CODE}```", id="python-repl-beside"
        ),
        pytest.param(
            "1. so:\n   ```python\n   def f():\n       return 1\n   ```\n", id="in-a-list"
        ),
        pytest.param("- ```python\n  def f():\n      return 1\n  ```\n", id="first-in-a-list"),
        pytest.param("```python\r\ndef f():\r\n    return 1\r\n```\r\n", id="crlf"),
        pytest.param(f"<think>\n```python\nno\n```\n</think>\n```python\n{CODE}```", id="thinking"),
        pytest.param(f"I think\n```python\nno\n```\n</think>\n```python\n{CODE}```", id="half-tag"),
        pytest.param(
            f"<think>\n```python\nno\n```\nBetter:\n```python\n{CODE}```", id="endless-thinking"
        ),
        pytest.param(f"Cannot: be shorter\n```python\n{CODE}```", id="cannot-beside-a-block"),
        pytest.param(f"Use `f` and ```x```:\n```python\n{CODE}```", id="inline-code"),
    ],
)
def test_the_block_is_found(text: str) -> None:
    reply = read_reply(text)
    assert reply.blocks == (CODE,)
    assert reply.checks == ()
    assert reply.gave_up is None


@pytest.mark.parametrize(
    ("text", "block"),
    [
        pytest.param("````python\n```\nx\n```\n````", "```\nx\n```\n", id="fence-in-longer-fence"),
        pytest.param("```python\n~~~\nx\n```", "~~~\nx\n", id="tildes-in-backticks"),
        pytest.param("~~~python\n```\nx\n~~~", "```\nx\n", id="backticks-in-tildes"),
        pytest.param(
            '```python\ndef f():\n    """\n    ```\n    """\n```',
            'def f():\n    """\n    ```\n    """\n',
            id="fence-deep-in-a-docstring",
        ),
        pytest.param(
            "```python\nx = 1\n```python\n```", "x = 1\n```python\n", id="no-closing-info"
        ),
        pytest.param(
            "  ```python\n  a\n b\n   c\n  ```", "a\nb\n c\n", id="indent-stripped-at-most"
        ),
        pytest.param(
            "```python\nx\x0c\u2028y\n```", "x\x0c\u2028y\n", id="only-newline-ends-a-line"
        ),
        pytest.param("```python\nx = 'a'\n\n\n```", "x = 'a'\n\n\n", id="blank-lines-kept"),
    ],
)
def test_a_blocks_text_is_exact(text: str, block: str) -> None:
    assert read_reply(text).blocks == (block,)


@pytest.mark.parametrize(
    "info", ["python checks", "Python  Checks", "py checks", " python\tCHECKS "]
)
def test_checks_are_kept_apart(info: str) -> None:
    reply = read_reply(f"```python\n{CODE}```\n```{info}\nassert f() == 1\n```")
    assert reply.blocks == (CODE,)
    assert reply.checks == ("assert f() == 1\n",)


def test_all_blocks_count_in_their_order() -> None:
    reply = read_reply("```python\na\n```\n```python\nb\n```\n```py\nc\n```\n")
    assert reply.blocks == ("a\n", "b\n", "c\n")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("Cannot: the tests contradict", "the tests contradict", id="alone"),
        pytest.param("Sorry.\n  Cannot:  x   y \nBye", "x y", id="among-prose"),
        pytest.param("**Cannot:** x", "x", id="bold"),
        pytest.param("Cannot:", "no reason given", id="no-reason"),
        pytest.param("```\nCannot: x\n```", "x", id="fenced"),
        pytest.param("Cannot: x\n```\nE  assert 1\n```", "x", id="beside-quoted-output"),
        pytest.param("Cannot: x\n```text\nabc\n```", "x", id="beside-another-language"),
        pytest.param("Cannot: x\n```python checks\nassert 1\n```", "x", id="beside-checks"),
        pytest.param("Cannot: x\nCannot: y", "x", id="the-first-counts"),
        pytest.param("Cannot: x\r\n", "x", id="crlf"),
    ],
)
def test_giving_up(text: str, reason: str) -> None:
    reply = read_reply(text)
    assert reply.gave_up == reason
    assert reply.blocks == ()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("def f(): return 1", id="no-fence"),
        pytest.param("I Cannot: x", id="not-at-the-beginning"),
        pytest.param("cannot: x", id="small-letter"),
        pytest.param("```js\nf()\n```", id="another-language"),
        pytest.param("```text\nCannot: x\n```", id="cannot-in-another-language"),
        pytest.param("<think>Cannot: x\n```\nx\n```", id="thinking-never-ends"),
        pytest.param("```python x`y\ncode\n", id="backtick-in-the-info"),
        pytest.param("``python\ncode\n``", id="two-backticks"),
    ],
)
def test_nothing_that_counts(text: str) -> None:
    reply = read_reply(text)
    assert (reply.blocks, reply.checks, reply.gave_up) == ((), (), None)


def test_tokens_and_text_are_kept() -> None:
    reply = read_reply("a\r\nb", 3, 4)
    assert (reply.text, reply.input_tokens, reply.output_tokens) == ("a\nb", 3, 4)


def test_lone_surrogates_do_not_survive() -> None:
    reply = read_reply("```python\nx = '\ud800'\n```")
    assert reply.blocks == ("x = '?'\n",)


@given(st.lists(st.text(st.characters(blacklist_characters="\r\n`~", codec="utf-8"), max_size=20)))
def test_whatever_is_fenced_comes_back(lines: list[str]) -> None:
    code = "".join(f"{line}\n" for line in ["x", *lines])
    assert read_reply(f"Here:\n```python\n{code}```\nBye").blocks == (code,)


@given(
    st.lists(st.sampled_from(["```", "~~~~", "python", "\n", "  ", "Cannot: x", "<think>", "x"]))
)
def test_any_reply_can_be_read(pieces: list[str]) -> None:
    reply = read_reply("".join(pieces))
    assert not (reply.blocks and reply.gave_up)


@pytest.mark.parametrize(
    "unit", ["```\n", "`", "- ", " ", "<think>", "Cannot", "~~~ `\n", "</think>", "1. ```py\n"]
)
def test_megabytes_are_read_in_one_pass(unit: str) -> None:
    # Anything but a linear pass would not come back from this within minutes.
    assert read_reply(unit * (5_000_000 // len(unit))).gave_up is None
