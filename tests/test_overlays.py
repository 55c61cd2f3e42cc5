"""Files with code in place: made once, and forgotten in time. And what a reply is held against."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from pytest_selfheal.healing import overlays as module
from pytest_selfheal.healing.code import Code
from pytest_selfheal.healing.groups import Group, key_of
from pytest_selfheal.healing.kit import Kit
from pytest_selfheal.healing.overlays import Overlays
from pytest_selfheal.records import Piece, Reply, Stub
from pytest_selfheal.source.find import find_in_source
from tests.simulated import settings

FILES = {
    f"m{number}.py": b"\n\n".join(
        f"# selfheal\ndef f{place}():\n    ...\n".encode() for place in range(3)
    )
    for number in range(4)
}
WRAPPED = b"""\
from pytest_selfheal import heal


@heal
def g():
    ...


@heal
def h():
    ...
"""


def found(files: dict[str, bytes]) -> dict[str, Stub]:
    stubs = [stub for path, data in files.items() for stub in find_in_source(data, path).stubs]
    return {key_of(stub): stub for stub in stubs}


def piece(stub: Stub, value: int = 0) -> Piece:
    name = stub.qualname
    return Piece(stub=stub, definition=f"def {name}():\n    # a line more\n    return {value}")


@pytest.fixture
def rewritten(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were made, one after the other."""
    made: list[str] = []
    plain = module.rewrite

    def rewrite(source: bytes, pieces: Sequence[Piece], *, keep_marker: bool) -> bytes:
        made.append(pieces[0].stub.path)
        return plain(source, pieces, keep_marker=keep_marker)

    monkeypatch.setattr(module, "rewrite", rewrite)
    return made


def test_only_files_whose_own_code_differs_are_made(rewritten: list[str]) -> None:
    stubs = found(FILES)
    made = Overlays(stubs, FILES, keep_marker=False)
    code = Code().including({key: piece(stub) for key, stub in stubs.items()})
    assert set(made.files(code)) == set(FILES)
    assert sorted(rewritten) == sorted(FILES)
    rewritten.clear()
    changed = code.including({"m1.py::f0": piece(stubs["m1.py::f0"], 5)})
    files = made.files(changed)
    assert rewritten == ["m1.py"]
    assert b"return 5" in files["m1.py"].data
    made.files(code)
    made.files(changed.without(["m1.py::f0"]).including({"m1.py::f0": code["m1.py::f0"]}))
    assert rewritten == ["m1.py"], "the same pieces in another order of events"
    assert made.files(Code()) == {}


def test_what_was_made_is_forgotten_in_time(
    rewritten: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_KEPT_BYTES", 3 * len(FILES["m0.py"]))
    stubs = found(FILES)
    made = Overlays(stubs, FILES, keep_marker=False)
    for value in range(20):
        made.files({"m0.py::f0": piece(stubs["m0.py::f0"], value)})
    assert len(rewritten) == 20
    assert len(made._made) <= 4
    assert sum(len(each.data) for each in made._made.values()) <= 4 * len(FILES["m0.py"])


def test_what_is_watched_is_where_it_is_now() -> None:
    files = {**FILES, "w.py": WRAPPED}
    stubs = found(files)
    made = Overlays(stubs, files, keep_marker=False)
    bare = {each.key: each for each in made.watch({})}
    assert bare.keys() == stubs.keys()
    assert bare["w.py::h"].first_line == 9
    assert not bare["w.py::h"].compiled_in, "its wrapper tells"
    placed = made.files({key: piece(stubs[key]) for key in ("w.py::g", "m0.py::f0")})
    watched = {each.key: each for each in made.watch(placed)}
    assert watched.keys() == stubs.keys()
    for key in stubs:
        path = key.partition("::")[0]
        data = placed[path].data if path in placed else files[path]
        line = data.decode().splitlines()[watched[key].first_line - 1]
        assert line in ("@heal", f"def {stubs[key].qualname}():"), key
    assert watched["w.py::g"].compiled_in
    assert not watched["w.py::h"].compiled_in


def test_a_reply_is_held_against_its_targets_files_alone() -> None:
    class Sources(dict[str, bytes]):
        """Every file but those of the targets is none of the reply's business."""

        def __getitem__(self, path: str) -> bytes:
            assert path == "m2.py", f"{path} was read"
            return super().__getitem__(path)

    class Silent:
        def veto(self, candidate: object) -> None: ...

    stubs = found(FILES)
    kit = Kit(
        settings=settings(),
        model=cast(Any, None),
        pool=cast(Any, None),
        progress=cast(Any, None),
        relay=cast(Any, Silent()),
        root=Path(),
        stubs=stubs,
        sources=Sources(FILES),
        files=(),
    )
    reply = Reply(text="", blocks=("def f1():\n    return 1\n",))
    (got,) = kit.candidate(Group(keys=("m2.py::f1",), tests=()), reply).pieces
    assert got.stub == stubs["m2.py::f1"]
