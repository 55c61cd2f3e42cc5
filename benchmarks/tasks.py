"""Small functions to be healed: each with its tests, a right body and a wrong one."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_selfheal.records import EarlyEnd, Job, Watch


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A function of one argument, in a module of its own."""

    name: str
    argument: str
    returns: str
    doc: str
    body: str
    wrong: str
    """What the wrong body returns; at least one case tells it from the right one."""
    cases: tuple[tuple[object, object], ...]

    @property
    def path(self) -> str:
        """The module, relative to the project."""
        return f"{self.name}.py"

    @property
    def test_path(self) -> str:
        """Its tests, relative to the project."""
        return f"test_{self.name}.py"

    @property
    def target(self) -> str:
        """The stub as the wire calls it."""
        return f"{self.path}::{self.name}"

    def stub(self) -> str:
        """The module as a user writes it."""
        return f"from pytest_selfheal import heal\n\n\n@heal\n{self._definition('...')}"

    def solution(self) -> str:
        """The module with the right body and no marker."""
        return self._definition(self.body)

    def job(self, body: str | None = None, early_end: EarlyEnd | None = None) -> Job:
        """The verification of its solution or of another body, with all that a verdict asks for."""
        solution = self._definition(body or self.body)
        line = solution[: solution.index("def ")].count("\n") + 1
        return Job(
            nodes=(self.test_path,),
            overlay={self.path: solution.encode()},
            watch=(Watch(key=self.target, path=self.path, first_line=line),),
            under_trial=frozenset({self.target}),
            early_end=early_end,
        )

    def tests(self) -> str:
        """The test module."""
        return (
            f"import pytest\nfrom {self.name} import {self.name}\n\n\n"
            f'@pytest.mark.parametrize(("given", "expected"), {list(self.cases)!r})\n'
            f"def test_{self.name}(given, expected):\n"
            f"    assert {self.name}(given) == expected\n"
        )

    def right_reply(self) -> str:
        """A model's reply that heals it, as long as such replies are."""
        return self._reply("The cases follow from the docstring.", self.body)

    def wrong_reply(self) -> str:
        """A reply whose code runs and is wrong."""
        return self._reply("A first version.", f"return {self.wrong}")

    def mutant_replies(self) -> list[str]:
        """Replies that are wrong in other ways: one is right for the first case alone."""
        given, expected = self.cases[0]
        return [
            self._reply("By the first case.", f"return {expected!r}", checked=False),
            self._reply("Not everything is meant.", f"raise ValueError({given!r})", checked=False),
        ]

    def _reply(self, prose: str, body: str, *, checked: bool = True) -> str:
        given, expected = self.cases[0]
        code = f"{prose}\n\n```python\n{self._definition(body)}```\n"
        if not checked:
            return code
        return f"{code}\n```python checks\nassert {self.name}({given!r}) == {expected!r}\n```\n"

    def _definition(self, body: str) -> str:
        inner = textwrap.indent(f'"""{self.doc}"""\n{textwrap.dedent(body).strip()}', "    ")
        return f"def {self.name}({self.argument}) -> {self.returns}:\n{inner}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowTask(Task):
    """One whose tests take their time."""

    seconds: float
    """For each of its cases."""

    def tests(self) -> str:
        """The test module."""
        waits = f"    time.sleep({self.seconds})\n    assert "
        return "import time\n" + Task.tests(self).replace("    assert ", waits)


SLOW = SlowTask(
    name="triangular",
    argument="n: int",
    returns="int",
    doc="Give the sum of the whole numbers from 1 to n.",
    body="return n * (n + 1) // 2",
    wrong="n * n",
    cases=tuple((n, n * (n + 1) // 2) for n in range(2, 202)),
    seconds=0.02,
)


def _task(name: str, argument: str, returns: str, doc: str, body: str, wrong: str,
          *cases: tuple[object, object]) -> Task:  # fmt: skip
    return Task(
        name=name, argument=argument, returns=returns, doc=doc, body=body, wrong=wrong, cases=cases
    )


TASKS: Sequence[Task] = (
    _task(
        "slugify", "title: str", "str",
        "Give a title as a slug: lower case, its words joined by single hyphens.",
        'return "-".join(title.lower().split())', "title.lower()",
        ("Hello World", "hello-world"), ("  One  two ", "one-two"),
    ),
    _task(
        "initials", "name: str", "str",
        "Give the first letters of a name's words, in upper case.",
        'return "".join(word[0].upper() for word in name.split())', "name.upper()",
        ("ada lovelace", "AL"), ("alan m turing", "AMT"),
    ),
    _task(
        "run_lengths", "text: str", "list[tuple[str, int]]",
        "Give each run of equal characters with its length.",
        """
        runs: list[tuple[str, int]] = []
        for character in text:
            if runs and runs[-1][0] == character:
                runs[-1] = (character, runs[-1][1] + 1)
            else:
                runs.append((character, 1))
        return runs
        """,
        "[(character, 1) for character in text]",
        ("aab", [("a", 2), ("b", 1)]), ("", []),
    ),
    _task(
        "is_palindrome", "text: str", "bool",
        "Whether a text reads the same backwards; only letters and digits count.",
        """
        kept = [character.lower() for character in text if character.isalnum()]
        return kept == kept[::-1]
        """,
        "text == text[::-1]",
        ("Never odd or even", True), ("python", False),
    ),
    _task(
        "roman", "number: int", "str",
        "Give a number from 1 to 3999 in Roman numerals.",
        """
        values = [1000, 900, 500, 400, 100, 90, 50, 40, 10, 9, 5, 4, 1]
        names = ["M", "CM", "D", "CD", "C", "XC", "L", "XL", "X", "IX", "V", "IV", "I"]
        parts = []
        for value, name in zip(values, names):
            count, number = divmod(number, value)
            parts.append(name * count)
        return "".join(parts)
        """,
        'number * "I"',
        (1994, "MCMXCIV"), (8, "VIII"),
    ),
    _task(
        "digit_sum", "number: int", "int",
        "Add up the decimal digits of a number; its sign does not count.",
        "return sum(int(digit) for digit in str(abs(number)))", "number",
        (1234, 10), (-56, 11),
    ),
    _task(
        "gcd_of", "numbers: list[int]", "int",
        "Give the greatest common divisor of some numbers, 0 if there are none.",
        """
        result = 0
        for number in numbers:
            other = abs(number)
            while other:
                result, other = other, result % other
        return result
        """,
        "min(numbers, default=0)",
        ([12, 18, 30], 6), ([], 0),
    ),
    _task(
        "median_of", "numbers: list[float]", "float",
        "Give the median; of an even count, the mean of the middle two.",
        """
        ordered = sorted(numbers)
        middle = len(ordered) // 2
        if len(ordered) % 2:
            return ordered[middle]
        return (ordered[middle - 1] + ordered[middle]) / 2
        """,
        "numbers[len(numbers) // 2]",
        ([3, 1, 2], 2), ([4, 1, 3, 2], 2.5),
    ),
    _task(
        "flatten", "rows: list[list[int]]", "list[int]",
        "Give the elements of all rows, in order, as one list.",
        "return [element for row in rows for element in row]", "rows",
        ([[1, 2], [], [3]], [1, 2, 3]), ([], []),
    ),
    _task(
        "transpose", "rows: list[list[int]]", "list[list[int]]",
        "Turn the rows of a table into its columns.",
        "return [list(column) for column in zip(*rows)]", "rows",
        ([[1, 2], [3, 4], [5, 6]], [[1, 3, 5], [2, 4, 6]]), ([], []),
    ),
    _task(
        "unique", "items: list[str]", "list[str]",
        "Give the items without repetitions, each where it came first.",
        "return list(dict.fromkeys(items))", "sorted(set(items))",
        (["b", "a", "b"], ["b", "a"]), ([], []),
    ),
    _task(
        "word_counts", "text: str", "dict[str, int]",
        "Count the words of a text, without regard to case.",
        """
        counts: dict[str, int] = {}
        for word in text.lower().split():
            counts[word] = counts.get(word, 0) + 1
        return counts
        """,
        "dict.fromkeys(text.lower().split(), 1)",
        ("To be or not to be", {"to": 2, "be": 2, "or": 1, "not": 1}), ("", {}),
    ),
    _task(
        "balanced", "text: str", "bool",
        "Whether the brackets of a text, of three kinds, close in order.",
        """
        pairs = {")": "(", "]": "[", "}": "{"}
        opened = []
        for character in text:
            if character in pairs.values():
                opened.append(character)
            elif character in pairs and (not opened or opened.pop() != pairs[character]):
                return False
        return not opened
        """,
        "True",
        ("a[b(c)]{d}", True), ("([)]", False), ("(", False),
    ),
    _task(
        "caesar", "text: str", "str",
        "Move each Latin letter on by 13 places, and leave the rest alone.",
        """
        moved = []
        for character in text:
            base = "A" if character.isupper() else "a"
            if character.isascii() and character.isalpha():
                character = chr((ord(character) - ord(base) + 13) % 26 + ord(base))
            moved.append(character)
        return "".join(moved)
        """,
        "text",
        ("Hello, World", "Uryyb, Jbeyq"), ("42", "42"),
    ),
    _task(
        "seconds_of", "clock: str", "int",
        "Give a time of day such as 01:02:03 in seconds; the seconds may be missing.",
        """
        parts = [int(part) for part in clock.split(":")]
        hours, minutes, seconds = [*parts, 0][:3]
        return hours * 3600 + minutes * 60 + seconds
        """,
        "int(clock[:2])",
        ("01:02:03", 3723), ("00:10", 600),
    ),
    _task(
        "leap_year", "year: int", "bool",
        "Whether a year of the Gregorian calendar is a leap year.",
        "return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)", "year % 4 == 0",
        (2024, True), (1900, False), (2000, True),
    ),
    _task(
        "chunks", "items: list[int]", "list[list[int]]",
        "Split a list into lists of three; the last may be shorter.",
        "return [items[start : start + 3] for start in range(0, len(items), 3)]", "[items]",
        ([1, 2, 3, 4], [[1, 2, 3], [4]]), ([], []),
    ),
    _task(
        "moving_sums", "numbers: list[int]", "list[int]",
        "Give the sum of all numbers up to and including each.",
        """
        total = 0
        sums = []
        for number in numbers:
            total += number
            sums.append(total)
        return sums
        """,
        "numbers",
        ([1, 2, 3], [1, 3, 6]), ([], []),
    ),
    _task(
        "camel_case", "name: str", "str",
        "Turn a name with underscores into camel case, with a small first letter.",
        """
        first, *rest = name.split("_")
        return first.lower() + "".join(word.title() for word in rest)
        """,
        'name.replace("_", "")',
        ("snake_case_name", "snakeCaseName"), ("one", "one"),
    ),
    _task(
        "grouped", "words: list[str]", "dict[str, list[str]]",
        "Group words by their first letter, in the order in which they come.",
        """
        groups: dict[str, list[str]] = {}
        for word in words:
            groups.setdefault(word[0], []).append(word)
        return groups
        """,
        "{word[0]: [word] for word in words}",
        (["apple", "bean", "avocado"], {"a": ["apple", "avocado"], "b": ["bean"]}), ([], {}),
    ),
)  # fmt: skip
