"""From what a user writes on the command line and in ini files to `Settings`."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from pytest_selfheal.option_table import OPTIONS
from pytest_selfheal.options import Option
from pytest_selfheal.records import Limits

# Stands for the plugin: registers the options, reads them and prints what came out.
PLUGIN = """
import pytest
from pytest_selfheal.errors import UsageError
from pytest_selfheal.option_table import OPTIONS
from pytest_selfheal.options import add_options
from pytest_selfheal.settings import read_settings

def pytest_addoption(parser):
    add_options(parser, OPTIONS)

def pytest_configure(config):
    try:
        settings = read_settings(config)
    except UsageError as error:
        raise pytest.UsageError(str(error)) from error
    for name in settings.__dataclass_fields__:
        print(f"SET {name} = {getattr(settings, name)!r}")
"""


class Run:
    """One run of pytest in a fresh folder, and what the settings were."""

    def __init__(self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pytester = pytester
        self.monkeypatch = monkeypatch
        pytester.makepyfile(settings_probe=PLUGIN)
        pytester.syspathinsert()
        monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
        # An installed plugin of ours would register the options itself.
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        self.root = pytester.path

    def __call__(self, *args: str) -> pytest.RunResult:
        return self.pytester.runpytest_inprocess(
            "-p", "settings_probe", "--strict-config", "--collect-only", *args
        )

    def values(self, *args: str) -> dict[str, str]:
        """The settings' fields as their repr; the run must come up."""
        result = self(*args)
        assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED, result.stderr.str()
        found = (re.match(r"SET (\w+) = (.*)", line) for line in result.outlines)
        return {match[1]: match[2] for match in found if match}

    def error(self, *args: str) -> str:
        """The one line that the run ended with, before any test."""
        result = self(*args)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        lines = [line for line in result.errlines if line.strip()]
        assert len(lines) == 1, lines
        assert not any("SET" in line for line in result.outlines)
        return lines[0].removeprefix("ERROR: ")


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    return Run(pytester, monkeypatch)


# --- the table -------------------------------------------------------------------------


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.flag or option.ini)
def test_names_follow_one_rule(option: Option) -> None:
    if option.flag is not None and option.ini is not None:
        assert option.ini == option.flag.removeprefix("--").replace("-", "_")
    assert option.flag or option.ini
    assert option.help.endswith(".")
    # Of a default that is no value nothing is to be said.
    has_default = option.default is not None and option.kind != "flag"
    assert option.help_with_default.endswith(")" if has_default else option.help)


def test_every_option_but_those_that_say_what_to_do_has_an_ini_twin() -> None:
    """What is to be done is said when pytest is called; how it is done may stand in a file."""
    assert [option.flag for option in OPTIONS if option.ini is None] == [
        "--selfheal",
        "--selfheal-doctor",
        "--selfheal-explain",
        "--selfheal-show-prompt",
        "--selfheal-fresh",
    ]


def test_importing_costs_nothing_heavy() -> None:
    code = (
        "import sys, pytest_selfheal.settings, pytest_selfheal.options;"
        "print(sorted({'pytest', 'libcst', 'openai', 'docker'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_help_lists_every_option_with_its_default(run: Run) -> None:
    text = " ".join(run("--help").stdout.str().split())
    for option in OPTIONS:
        assert (option.flag or option.ini or "") in text
    assert "tried for a stub, or a group of them. (default: 5)" in text
    assert "swap included. (default: 512m)" in text
    assert "in the marked stubs that failing tests reach. --selfheal-doctor" in text
    assert "false. (default: false)" in text
    ours = text[text.index("--selfheal ") : text.index("--selfheal-report=")]
    assert "(default: none)" not in ours


# --- the default, ini and the command line ---------------------------------------------


def test_defaults(run: Run) -> None:
    values = run.values()
    assert values.pop("limits") == repr(Limits())
    assert values.pop("model") == "'gpt-5.5'"
    assert values == {
        "enabled": "False",
        "mode": "'apply'",
        "base_url": "None",
        "api": "'auto'",
        "replay": "None",
        "record": "None",
        "sandbox": "'auto'",
        "image": "'host'",
        "attempts": "5",
        "holdout": "0.25",
        "jobs": "8",
        "max_requests": "None",
        "max_tokens": "None",
        "rpm": "None",
        "tpm": "None",
        "patch": repr(run.root / "selfheal.patch"),
        "reports": "()",
        "keep_marker": "False",
        "env": "()",
        "docker_runtime": "None",
        "docker_network": "None",
        "max_cost": "None",
        "max_seconds": "None",
        "max_requests_per_day": "None",
        "max_tokens_per_day": "None",
        "max_cost_per_day": "None",
        "price": "None",
        "max_reply_tokens": "None",
        "temperature": "None",
        "reasoning_effort": "None",
        "candidates": "1",
        "when_stuck": "'change'",
        "escalate_model": "None",
        "escalate_after": "3",
        "escalate_price": "None",
        "fresh": "False",
        "prompt_tokens": "12000",
        "redact": "()",
        "exclude": "()",
        "show_prompt": "False",
        "root_dir": repr(run.root),
        "invocation_dir": repr(run.root),
    }


SET = [
    ("mode", "propose", "'propose'"),
    ("model", "qwen3-coder:30b", "'qwen3-coder:30b'"),
    ("base-url", "http://[::1]:11434/v1", "'http://[::1]:11434/v1'"),
    ("api", "chat", "'chat'"),
    ("sandbox", "landlock", "'landlock'"),
    ("image", "python:3.12-slim", "'python:3.12-slim'"),
    ("attempts", "1", "1"),
    ("holdout", "0", "0.0"),
    ("holdout", ".5", "0.5"),
    ("holdout", "1", "1.0"),
    ("jobs", "32", "32"),
    ("max-requests", "7", "7"),
    ("max-tokens", "100000", "100000"),
    ("max-cost", "0.5", "0.5"),
    ("max-seconds", "90", "90.0"),
    ("max-reply-tokens", "4000", "4000"),
    ("prompt-tokens", "1000", "1000"),
    ("temperature", "0", "0.0"),
    ("reasoning-effort", "low", "'low'"),
    ("candidates", "3", "3"),
    ("when-stuck", "repeat", "'repeat'"),
    ("escalate-model", "qwen3:235b", "'qwen3:235b'"),
    ("escalate-after", "1", "1"),
    ("rpm", "60", "60"),
    ("tpm", "30000", "30000"),
]
LIMITS = [
    ("timeout", "2.5", "timeout_seconds=2.5"),
    ("timeout", "7", "timeout_seconds=7.0"),
    ("memory", "2g", f"memory_bytes={2 * 2**30}"),
    ("memory", "1048576", "memory_bytes=1048576"),
    ("memory", "512M", f"memory_bytes={512 * 2**20}"),
    ("processes", "16", "processes=16"),
    ("cpus", "0.5", "cpus=0.5"),
    ("disk", "64m", f"disk_bytes={64 * 2**20}"),
    ("file-size", "512k", "file_bytes=524288"),
    ("open-files", "64", "open_files=64"),
]


def _ini_key(name: str) -> str:
    return f"selfheal_{name.replace('-', '_')}"


@pytest.mark.parametrize("where", ["command-line", "override", "pytest.ini", "pyproject.toml"])
@pytest.mark.parametrize(("name", "value", "meaning"), SET, ids=[row[0] for row in SET])
def test_a_value_is_taken(run: Run, where: str, name: str, value: str, meaning: str) -> None:
    values = run.values(*_put(run, where, name, value))
    assert values[name.replace("-", "_")] == meaning


@pytest.mark.parametrize("where", ["command-line", "override", "pytest.ini", "pyproject.toml"])
@pytest.mark.parametrize(
    ("name", "value", "meaning"), LIMITS, ids=[f"{row[0]}-{row[1]}" for row in LIMITS]
)
def test_a_limit_is_taken(run: Run, where: str, name: str, value: str, meaning: str) -> None:
    values = run.values(*_put(run, where, name, value))
    assert meaning in values["limits"]


def _put(run: Run, where: str, name: str, value: str) -> list[str]:
    """Give a value at one of the places where a user may; what is left are arguments."""
    key = _ini_key(name)
    if where == "command-line":
        return [f"--selfheal-{name}={value}"]
    if where == "override":
        return ["-o", f"{key}={value}"]
    if where == "pytest.ini":
        run.pytester.makeini(f"[pytest]\n{key} = {value}\n")
    else:
        run.pytester.makepyprojecttoml(f"[tool.pytest.ini_options]\n{key} = {value!r}\n")
    return []


def test_the_command_line_comes_first(run: Run) -> None:
    run.pytester.makeini("[pytest]\nselfheal_attempts = 3\nselfheal_jobs = 2\n")
    values = run.values("--selfheal", "--selfheal-attempts=9")
    assert (values["enabled"], values["attempts"], values["jobs"]) == ("True", "9", "2")


def test_an_empty_ini_value_takes_an_optional_setting_back(run: Run) -> None:
    run.pytester.makeini("[pytest]\nselfheal_replay = r.jsonl\nselfheal_report = a.json\n")
    values = run.values("-o", "selfheal_replay=", "-o", "selfheal_report=")
    assert (values["replay"], values["reports"]) == ("None", "()")


NATIVE = [
    ("selfheal_attempts = 7", "attempts", "7"),
    ("selfheal_timeout = 7", "limits", "timeout_seconds=7.0"),
    ("selfheal_timeout = 0.5", "limits", "timeout_seconds=0.5"),
    ("selfheal_cpus = '0.5'", "limits", "cpus=0.5"),
    ("selfheal_memory = 536870912", "limits", "memory_bytes=536870912"),
    ("selfheal_memory = '64m'", "limits", "memory_bytes=67108864"),
    ("selfheal_attempts = '7'", "attempts", "7"),
    ("selfheal_keep_marker = true", "keep_marker", "True"),
    ("selfheal_keep_marker = 'false'", "keep_marker", "False"),
    ("selfheal_mode = 'check'", "mode", "'check'"),
    ("selfheal_env = ['LANG', 'TZ']", "env", "('LANG', 'TZ')"),
    ("selfheal_env = 'LANG TZ'", "env", "('LANG', 'TZ')"),
    ("selfheal_redact = ['LICENCE', 'customer_id']", "redact", "('LICENCE', 'customer_id')"),
    ("selfheal_exclude = ['./data/*', 'a b.csv']", "exclude", "('data/*', 'a b.csv')"),
    ("selfheal_report = 'a b.json'", "reports", "a b.json"),
    ("selfheal_report = ['a.json', 'b.html']", "reports", "b.html"),
    ("selfheal_docker_runtime = 'runsc'", "docker_runtime", "'runsc'"),
    ("selfheal_docker_network = 'db'", "docker_network", "'db'"),
    ("selfheal_max_requests_per_day = '9'", "max_requests_per_day", "9"),
    ("selfheal_max_tokens_per_day = '9'", "max_tokens_per_day", "9"),
    ("selfheal_max_cost_per_day = '0.25'", "max_cost_per_day", "0.25"),
    ("selfheal_price = '1.25, 10'", "price", "(Decimal('1.25'), Decimal('10'))"),
    ("selfheal_escalate_price = '0,0'", "escalate_price", "(Decimal('0'), Decimal('0'))"),
]


@pytest.mark.skipif(pytest.version_tuple < (9,), reason="pytest 9 brought TOML's own types")
@pytest.mark.parametrize(("line", "name", "meaning"), NATIVE, ids=[row[0] for row in NATIVE])
def test_native_toml_types(run: Run, line: str, name: str, meaning: str) -> None:
    run.pytester.makepyprojecttoml(f"[tool.pytest]\n{line}\n")
    assert meaning in run.values()[name]


@pytest.mark.parametrize(
    ("line", "meaning"),
    [("true", "True"), ("1", "True"), ("Off", "False"), ("no", "False")],
    ids=str,
)
def test_keep_marker(run: Run, line: str, meaning: str) -> None:
    run.pytester.makeini(f"[pytest]\nselfheal_keep_marker = {line}\n")
    assert run.values()["keep_marker"] == meaning


@pytest.mark.parametrize("written", ["A B", "A, B", "\n    A\n    B", "A B A"], ids=repr)
def test_env_in_ini(run: Run, written: str) -> None:
    run.pytester.makeini(f"[pytest]\nselfheal_env = {written}\n")
    assert run.values()["env"] == "('A', 'B')"


# --- paths and the endpoint ------------------------------------------------------------


def test_paths_count_from_where_they_were_written(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.pytester.makeini(
        "[pytest]\nselfheal_patch = out/a.patch\nselfheal_report =\n    a.json\n    b c.HTML\n"
    )
    folder = run.pytester.mkdir("inner")
    monkeypatch.chdir(folder)
    values = run.values("--selfheal-replay=../r.jsonl", "--rootdir=..", "-c", "../tox.ini")
    assert values["replay"] == repr(run.root / "r.jsonl")
    assert values["patch"] == repr(run.root / "out/a.patch")
    assert values["reports"] == repr((run.root / "a.json", run.root / "b c.HTML"))
    assert values["invocation_dir"] == repr(folder)
    both = run.values("--selfheal-report=x.json", "--selfheal-report=x.json", "--rootdir=..")
    assert both["reports"] == repr((folder / "x.json",))


def test_a_home_folder_is_understood(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    home = run.pytester.mkdir("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    assert run.values("--selfheal-record=~/r.jsonl")["record"] == repr(home / "r.jsonl")


ENVIRONMENT = [
    ([], "'https://api.example/v1'"),
    (["--selfheal-base-url=http://localhost:1/v1"], "'http://localhost:1/v1'"),
    (["--selfheal-replay=r.jsonl"], "None"),
    (["--selfheal-mode=check"], "None"),
]


@pytest.mark.parametrize(
    ("args", "meaning"), ENVIRONMENT, ids=["alone", "option", "replay", "check"]
)
def test_base_url_of_the_environment(
    run: Run, monkeypatch: pytest.MonkeyPatch, args: list[str], meaning: str
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", " https://api.example/v1 ")
    assert run.values(*args)["base_url"] == meaning


# --- what is refused -------------------------------------------------------------------

WHOLE = "is not a whole number of at least 1"
SIZE = r"is not a size such as 512m, 2g or 1048576 \(bytes\)"
ADDRESS = "is not an http:// or https:// address such as http://localhost:11434/v1"
BAD = [
    ("mode", "aply", "'aply' is not one of apply, propose, review, check"),
    ("mode", "APPLY", "'APPLY' is not one of"),
    ("api", "grpc", "'grpc' is not one of auto, responses, chat"),
    ("sandbox", "none", "'none' is not one of auto, docker, bubblewrap, landlock"),
    ("attempts", "many", f"'many' {WHOLE}"),
    ("attempts", "0", f"'0' {WHOLE}"),
    ("attempts", "-1", f"'-1' {WHOLE}"),
    ("attempts", "2.5", f"'2.5' {WHOLE}"),
    ("attempts", "9" * 5000, WHOLE),
    ("jobs", "9999999999999999", f"{WHOLE} and at most 1000000000000000"),
    ("jobs", "٣", WHOLE),
    ("rpm", "0", f"'0' {WHOLE}"),
    ("candidates", "0", f"'0' {WHOLE}"),
    ("when-stuck", "stop", "'stop' is not one of change, repeat"),
    ("escalate-after", "-2", f"'-2' {WHOLE}"),
    ("open-files", "3", "'3' is not a whole number of at least 16"),
    ("timeout", "0", "'0' is not a number of at least 0.1"),
    ("timeout", "nan", "'nan' is not a number"),
    ("timeout", "inf", "'inf' is not a number"),
    ("timeout", "10s", "'10s' is not a number"),
    ("timeout", "1" * 400, "at most 1000000"),
    ("holdout", "1.01", "'1.01' is not a number of at least 0 and at most 1"),
    ("holdout", "-1", "'-1' is not a number of at least 0"),
    ("holdout", "25%", "'25%' is not a number of at least 0"),
    ("cpus", "-0.5", "'-0.5' is not a number of at least 0.01"),
    ("memory", "512mb", f"'512mb' {SIZE}"),
    ("memory", "lots", f"'lots' {SIZE}"),
    ("memory", "1.5g", f"'1.5g' {SIZE}"),
    ("memory", "-1", f"'-1' {SIZE}"),
    ("memory", "512", f"'512' {SIZE} of at least 1048576 and"),
    ("disk", "9999999t", f"{SIZE} of at least 1048576 and at most 1000000000000000 bytes"),
    ("base-url", "localhost:11434", f"'localhost:11434' {ADDRESS}"),
    ("base-url", "ftp://host/v1", ADDRESS),
    ("base-url", "http://", ADDRESS),
    ("base-url", "http://host:port/v1", ADDRESS),
    ("base-url", "http://[::1/v1", ADDRESS),
    ("base-url", "http://a b/", ADDRESS),
    ("report", "report.xml", r"'report.xml' is not a path that ends in \.json or \.html"),
    ("report", "json", "is not a path that ends in"),
    ("report", ".json", "is not a path that ends in"),
    ("record", "folder", "'folder' is not a path of a file: there is a folder of that name"),
    ("patch", "~no-such-user-here/a", "is not a path"),
    ("patch", "x" * 5000, "is not a path"),
]


@pytest.mark.parametrize("where", ["command-line", "override", "pyproject.toml"])
@pytest.mark.parametrize(
    ("name", "value", "message"), BAD, ids=[f"{row[0]}-{row[1][:20]}" for row in BAD]
)
def test_bad_values(run: Run, where: str, name: str, value: str, message: str) -> None:
    run.pytester.mkdir("folder")
    error = run.error(*_put(run, where, name, value))
    start = f"--selfheal-{name}: " if where == "command-line" else f"{_ini_key(name)}: "
    assert error.startswith(start)
    assert re.search(message, error)


EMPTY = ["mode", "model", "replay", "patch", "report", "memory", "attempts", "base-url"]


@pytest.mark.parametrize("name", EMPTY)
def test_an_empty_command_line_value_is_refused(run: Run, name: str) -> None:
    assert run.error(f"--selfheal-{name}=").startswith(f"--selfheal-{name}: '' is not ")


INI_BAD = [
    ("ini_options", "selfheal_keep_marker = 'maybe'", "'maybe' is not true or false"),
    ("ini_options", "selfheal_mode = ['apply']", r"\['apply'\] is not one of apply"),
    ("ini_options", "selfheal_attempts = ['1']", r"\['1'\] is not a whole number"),
    ("ini_options", "selfheal_env = ['A', 1]", "1 is not a name of an environment variable"),
    ("ini_options", "selfheal_env = ['A=1']", "'A=1' is not a name of an environment variable"),
    ("ini_options", "selfheal_redact = ['A=1']", "'A=1' is not a name"),
    ("ini_options", "selfheal_exclude = ['/etc/*']", "'/etc/\\*' is not a pattern of paths below"),
    ("ini_options", "selfheal_exclude = ['../a']", "'../a' is not a pattern of paths below"),
    (
        "ini_options",
        "selfheal_prompt_tokens = '999'",
        "'999' is not a whole number of at least 1000",
    ),
    ("ini_options", "selfheal_env = 'OPENAI_API_KEY'", "'OPENAI_API_KEY' .* the key stays outside"),
    ("ini_options", "selfheal_report = ['a.json', 'a.txt']", r"'a.txt' is not a path that ends in"),
    ("ini_options", "selfheal_memory = ''", "'' is not a size"),
    ("native", "selfheal_mode = 1", "1 is not one of apply"),
    ("native", "selfheal_model = 5", "5 is not a line of text"),
    ("native", 'selfheal_model = "a\\nb"', r"'a\\nb' is not a line of text"),
    ("native", "selfheal_attempts = true", "True is not a whole number"),
    ("native", "selfheal_attempts = 2.0", "2.0 is not a whole number"),
    ("native", "selfheal_timeout = inf", "inf is not a number of at least 0.1 and at most"),
    ("native", "selfheal_timeout = false", "False is not a number of at least 0.1"),
    ("native", "selfheal_memory = 1.5", "1.5 is not a size"),
    ("native", "selfheal_memory = true", "True is not a size"),
    ("native", "selfheal_keep_marker = 1", "1 is not true or false"),
    ("native", "selfheal_report = 3", "3 is not a path that ends in"),
    ("native", "selfheal_env = {A = 1}", r"\{'A': 1\} is not a name of an environment variable"),
    ("native", "selfheal_patch = []", r"\[\] is not a path"),
]


@pytest.mark.parametrize(
    ("table", "line", "message"), INI_BAD, ids=[f"{row[0]}-{row[1]}" for row in INI_BAD]
)
def test_bad_ini_values(run: Run, table: str, line: str, message: str) -> None:
    if table == "native" and pytest.version_tuple < (9,):
        pytest.skip("pytest 9 brought TOML's own types")
    header = "[tool.pytest]" if table == "native" else "[tool.pytest.ini_options]"
    run.pytester.makepyprojecttoml(f"{header}\n{line}\n")
    error = run.error("-W", "error")
    assert error.startswith(f"{line.split(' ')[0]}: ")
    assert re.search(message, error)


def test_replay_and_record_exclude_each_other(run: Run) -> None:
    run.pytester.makeini("[pytest]\nselfheal_record = new.jsonl\n")
    error = run.error("--selfheal-replay=old.jsonl")
    assert re.search(
        r"--selfheal-replay and selfheal_record were both given \('old.jsonl', 'new.jsonl'\)", error
    )


def test_a_bad_base_url_of_the_environment(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "example.org")
    assert run.error().startswith(
        "OPENAI_BASE_URL (environment): 'example.org' is not an http:// or https:// address"
    )


def test_the_options_are_registered_once_only() -> None:
    flags = [option.flag for option in OPTIONS if option.flag]
    keys = [option.ini for option in OPTIONS if option.ini]
    assert len(set(flags)) == len(flags)
    assert len(set(keys)) == len(keys)
