"""Options and ini values become one frozen `Settings`; nothing else asks pytest for one."""

from __future__ import annotations

import math
import os
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast
from urllib.parse import urlsplit

from pytest_selfheal.bounds import Limits
from pytest_selfheal.errors import UsageError
from pytest_selfheal.option_table import OPTIONS
from pytest_selfheal.options import Option

if TYPE_CHECKING:
    import pytest

Mode = Literal["apply", "propose", "review", "check"]
Api = Literal["auto", "responses", "chat"]
SandboxKind = Literal["auto", "docker", "bubblewrap", "landlock"]

_UNITS = {"": 1, "b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_TRUE = frozenset({"true", "1", "yes", "on", "y", "t"})
_FALSE = frozenset({"false", "0", "no", "off", "n", "f"})
# More digits than this are a slip of the keyboard, and too much for some systems' counters.
_MOST = 10**15


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What this run is to do. All paths are absolute."""

    enabled: bool
    """`--selfheal` was given; without it nothing else here matters."""
    mode: Mode
    model: str
    """The model's name as sent to the API."""
    base_url: str | None
    """The endpoint: as set, else from OPENAI_BASE_URL, else None for OpenAI's own."""
    api: Api
    replay: Path | None
    """A recording to answer from; never together with `record`."""
    record: Path | None
    sandbox: SandboxKind
    image: str
    """docker: `host`, or an image's name."""
    attempts: int
    """Model replies tried for a stub or group; a marker may say otherwise."""
    holdout: float
    """The share of a test's cases that a model is not shown, 0 for none."""
    jobs: int
    """Stubs or groups healed at once."""
    limits: Limits
    max_requests: int | None
    max_tokens: int | None
    rpm: int | None
    """Requests a minute."""
    tpm: int | None
    """Tokens a minute."""
    patch: Path
    reports: tuple[Path, ...]
    """Each ends in `.json` or `.html`; its folder may not exist yet."""
    keep_marker: bool
    env: tuple[str, ...]
    """Names of the environment variables that a sandbox may see."""
    docker_runtime: str | None
    docker_network: str | None
    """Docker's network that code under test is put in; None for no network."""
    root_dir: Path
    invocation_dir: Path
    max_cost: float | None = None
    """US dollars, as all money here."""
    max_seconds: float | None = None
    max_requests_per_day: int | None = None
    max_tokens_per_day: int | None = None
    max_cost_per_day: float | None = None
    price: tuple[Decimal, ...] | None = None
    """For a million tokens: in, out, and where given those in that a cache served."""
    max_reply_tokens: int | None = None
    temperature: float | None = None
    reasoning_effort: str | None = None
    candidates: int = 1
    """Replies asked for at once for a stub or group."""
    when_stuck: Literal["change", "repeat"] = "change"
    escalate_model: str | None = None
    """The model that is asked where the first one does not get there."""
    escalate_after: int = 3
    """After how many failed attempts at the latest."""
    escalate_price: tuple[Decimal, ...] | None = None
    fresh: bool = False
    """Replies that are stored are not used."""
    prompt_tokens: int = 12_000
    """What one prompt may take, by our own count."""
    redact: tuple[str, ...] = ()
    """Names whose values no prompt holds."""
    exclude: tuple[str, ...] = ()
    """Patterns of files that are never read for a prompt."""
    show_prompt: bool = False
    """The prompts are printed, and nothing is asked."""

    @property
    def has_costly_budget(self) -> bool:
        """Whether a budget was set that needs a price, or an account on disk."""
        return any(
            budget is not None
            for budget in (
                self.max_cost,
                self.max_cost_per_day,
                self.max_requests_per_day,
                self.max_tokens_per_day,
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    """A value as somebody wrote it, and the name they wrote it under."""

    name: str
    value: object
    base_dir: Path

    def wrong(self, accepted: str, value: object = None) -> UsageError:
        shown = self.value if value is None else value
        return UsageError(f"{self.name}: {shown!r} is not {accepted}")


def read_settings(config: pytest.Config) -> Settings:
    """Give the settings of a run: the command line first, then ini, then the default.

    Relative paths count from where pytest was started if they come from the command
    line, and from the rootdir otherwise.

    Raises:
        UsageError: A value cannot be used; one line with its name as the user wrote it,
            the value and what is accepted.
    """
    given = {option.name: _given(config, option) for option in OPTIONS if option.ini}
    values = {
        option.name: _meaning(option, given[option.name], config.rootpath)
        for option in OPTIONS
        if option.ini
    }
    _refuse_replay_with_record(given)
    if values["base_url"] is None and values["replay"] is None and values["mode"] != "check":
        values["base_url"] = _base_url_of(os.environ, config.rootpath)
    return Settings(
        enabled=bool(config.getoption("selfheal")),
        fresh=bool(config.getoption("selfheal_fresh")),
        show_prompt=bool(config.getoption("selfheal_show_prompt")),
        limits=Limits(
            timeout_seconds=values.pop("timeout"),
            memory_bytes=values.pop("memory"),
            processes=values.pop("processes"),
            cpus=values.pop("cpus"),
            disk_bytes=values.pop("disk"),
            file_bytes=values.pop("file_size"),
            open_files=values.pop("open_files"),
        ),
        reports=values.pop("report"),
        root_dir=config.rootpath,
        invocation_dir=config.invocation_params.dir,
        **values,
    )


def _refuse_replay_with_record(given: Mapping[str, _Given | None]) -> None:
    replay, record = given["replay"], given["record"]
    if replay is not None and record is not None:
        raise UsageError(
            f"{replay.name} and {record.name} were both given ({replay.value!r}, "
            f"{record.value!r}): a recording is either answered from or written, leave one out"
        )


def _base_url_of(environ: Mapping[str, str], root_dir: Path) -> str | None:
    value = environ.get("OPENAI_BASE_URL", "").strip()
    if not value:
        return None
    return _url(_Given(name="OPENAI_BASE_URL (environment)", value=value, base_dir=root_dir))


# --- where a value comes from ----------------------------------------------------------


def _given(config: pytest.Config, option: Option) -> _Given | None:
    """The value that counts, or None where nobody set one."""
    if option.flag is not None:
        value = config.getoption(option.dest)
        if value is not None:
            return _Given(name=option.flag, value=value, base_dir=config.invocation_params.dir)
    assert option.ini is not None
    value = _ini_value(config, option.ini)
    # An empty ini value is how a file, or `-o key=`, takes an optional setting back.
    if value is None or (value in ("", []) and option.default is None):
        return None
    return _Given(name=option.ini, value=value, base_dir=config.rootpath)


def _ini_value(config: pytest.Config, key: str) -> object:
    """The ini value of a key as it stands in the file.

    Every key is registered as text or as lines. pytest refuses TOML's own types for
    these (`selfheal_attempts = 7` in `[tool.pytest]`), so where it refuses a value, the
    value is taken as written and judged here with all others.
    """
    import pytest

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a list where pytest wants text: refused below
            return cast(object, config.getini(key))
    except (TypeError, ValueError, pytest.UsageError) as error:
        entry = getattr(config, "_inicfg", {}).get(key)
        if entry is None:
            raise UsageError(f"{key}: {error}") from error
        return cast(object, getattr(entry, "value", entry))


# --- what a value means ----------------------------------------------------------------


def _meaning(option: Option, given: _Given | None, root_dir: Path) -> Any:
    """The value that `Settings` holds for an option."""
    many = option.is_many
    if given is None:
        if many:
            return ()
        if option.default is None:
            return None
        given = _Given(name=option.ini or "", value=option.default, base_dir=root_dir)
    if not many:
        return _one(option, given)
    items = given.value if isinstance(given.value, list) else [given.value]
    each = [_Given(name=given.name, value=item, base_dir=given.base_dir) for item in items]
    if option.kind == "names":
        names = tuple(dict.fromkeys(name for item in each for name in _names(item)))
        if option.name == "env" and "OPENAI_API_KEY" in map(str.upper, names):
            accepted = "a variable that a sandbox may see: the key stays outside"
            raise given.wrong(accepted, next(x for x in names if x.upper() == "OPENAI_API_KEY"))
        return names
    if option.kind == "patterns":
        return tuple(dict.fromkeys(_pattern(item) for item in each))
    return tuple(dict.fromkeys(_path(option, item) for item in each))


def _one(option: Option, given: _Given) -> Any:
    match option.kind:
        case "choice":
            return _choice(option, given)
        case "int":
            return _whole(option, given)
        case "float":
            return _number(option, given)
        case "size":
            return _size(option, given)
        case "url":
            return _url(given)
        case "path":
            return _path(option, given)
        case "bool":
            return _bool(given)
        case "price":
            return _price(given)
        case _:
            return _text(given)


def _text(given: _Given, accepted: str = "a line of text") -> str:
    value = given.value
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise given.wrong(accepted)
    return value.strip()


def _choice(option: Option, given: _Given) -> str:
    value = given.value
    if not isinstance(value, str) or value.strip() not in option.choices:
        raise given.wrong(f"one of {', '.join(option.choices)}")
    return value.strip()


def _whole(option: Option, given: _Given) -> int:
    accepted = f"a whole number of at least {option.least:g}"
    value = given.value
    if isinstance(value, str) and re.fullmatch(r"\s*[0-9]{1,16}\s*", value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < option.least:
        raise given.wrong(accepted)
    if value > _MOST:
        raise given.wrong(f"{accepted} and at most {_MOST}")
    return value


def _number(option: Option, given: _Given) -> float:
    accepted = f"a number of at least {option.least:g}"
    value = given.value
    if isinstance(value, str) and re.fullmatch(r"\s*([0-9]+\.?[0-9]*|\.[0-9]+)\s*", value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise given.wrong(accepted)
    if not math.isfinite(value) or value > option.most:
        raise given.wrong(f"{accepted} and at most {option.most:.15g}")
    if value < option.least:
        raise given.wrong(accepted)
    return float(value)


def _size(option: Option, given: _Given) -> int:
    accepted = "a size such as 512m, 2g or 1048576 (bytes)"
    value = given.value
    if isinstance(value, str):
        found = re.fullmatch(r"\s*([0-9]{1,16})([bkmgt]?)\s*", value.lower())
        if found is None:
            raise given.wrong(accepted)
        value = int(found[1]) * _UNITS[found[2]]
    if isinstance(value, bool) or not isinstance(value, int):
        raise given.wrong(accepted)
    if not option.least <= value <= _MOST:
        least = int(option.least)
        raise given.wrong(f"{accepted} of at least {least} and at most {_MOST} bytes")
    return value


def _price(given: _Given) -> tuple[Decimal, ...]:
    accepted = "a price for a million tokens such as 1.25,10 or 1.25,10,0.125 (in, out, cached in)"
    value = given.value
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list) or len(items) not in (2, 3):
        raise given.wrong(accepted)
    texts = [str(item).strip() for item in items]
    if not all(re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,9})?|\.[0-9]{1,9}", text) for text in texts):
        raise given.wrong(accepted)
    return tuple(Decimal(text) for text in texts)


def _bool(given: _Given) -> bool:
    value = given.value
    if isinstance(value, bool):
        return value
    word = value.strip().lower() if isinstance(value, str) else ""
    if word not in _TRUE | _FALSE:
        raise given.wrong("true or false")
    return word in _TRUE


def _url(given: _Given) -> str:
    accepted = "an http:// or https:// address such as http://localhost:11434/v1"
    value = _text(given, accepted)
    try:
        parts = urlsplit(value)
        _ = parts.port  # looks whether it is a number
        good = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        good = False
    if not good or re.search(r"\s", value):
        raise given.wrong(accepted)
    return value


def _path(option: Option, given: _Given) -> Path:
    accepted = "a path"
    if option.suffixes:
        accepted += f" that ends in {' or '.join(option.suffixes)}"
    value = _text(given, accepted)
    try:
        # Not `resolve`, which follows links: the user asked for this very name.
        path = Path(os.path.abspath(given.base_dir / Path(value).expanduser()))  # noqa: PTH100
        is_folder = path.is_dir()
    except (RuntimeError, ValueError, OSError):  # no such user's home, too long a name
        raise given.wrong(accepted) from None
    if option.suffixes and path.suffix.lower() not in option.suffixes:
        raise given.wrong(accepted)
    if is_folder:
        raise given.wrong(f"{accepted} of a file: there is a folder of that name")
    return path


def _pattern(given: _Given) -> str:
    accepted = "a pattern of paths below the rootdir such as data/private/* or *.csv"
    value = _text(given, accepted).removeprefix("./")
    if value.startswith("/") or ".." in value.split("/") or "\\" in value:
        raise given.wrong(accepted)
    return value


def _names(given: _Given) -> list[str]:
    """The names in one item of a list; an ini line may hold several."""
    if not isinstance(given.value, str):
        raise given.wrong("a name of an environment variable")
    names = [name for name in re.split(r"[\s,]+", given.value) if name]
    for name in names:
        if not re.fullmatch(r"[^\W\d]\w*", name):
            raise given.wrong("a name of an environment variable", name)
    return names
