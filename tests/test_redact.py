"""What is cut out of a prompt as a secret, and what is left alone."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_selfheal.model.detectors import known_forms
from pytest_selfheal.model.prompt import render
from pytest_selfheal.model.redact import redact, told_secrets
from pytest_selfheal.records import Attempt, Excerpt
from tests.test_prompt import ONLY_TARGET, QUESTION, everywhere, target_lines

# Made up, each of the form that its service gives out, with a part of what must not be left.
SECRETS = {
    "openai": ("key = 'sk-proj-abcDEF123456ghijKL'", "sk-proj"),
    "github": ("ghp_" + "a1B2" * 9, "ghp_"),
    "aws": ("AKIAIOSFODNN7ABCDEFG", "AKIA"),
    "jwt": ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-DEF_1", "eyJ"),
    "bearer": ("Authorization: Bearer abc123def456ghi789", "abc123"),
    "password": ("DB_PASSWORD = 'Tr0ub4dor&3x9'", "Tr0ub"),
    "json": ('{"password": "s3cr3tP4ss"}', "s3cr3t"),
    "annotated": ('api_key: str = "a1b2c3d4e5f6a7b8"', "a1b2"),
    "dotenv": ("SECRET_KEY=Xk29fQ8zLm10\n", "Xk29"),
    "url": ("postgres://app:hunter2@db:5432/x", "hunter2"),
    "long words": ("auth_token = 'my-very-own-value-1234567'", "very-own"),
    "private key": (
        f"-----BEGIN RSA PRIVATE KEY-----\n{'MIIEow' * 8}\n-----END RSA PRIVATE KEY-----",
        "MIIE",
    ),
    "private key, cut": (f"'-----BEGIN PRIVATE KEY-----\\n{'MIIEow' * 8}", "MIIE"),
    "aws id": ("AWS_ACCESS_KEY_ID = 'AKIAQ7ZK3LMNP2XRT5VB'", "AKIAQ7ZK3LMNP2XRT5VB"),
    "aws secret": (
        "aws_secret_access_key = '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'",
        "bPxRfiCY",
    ),
    "aws secret ini": (
        "[default]\naws_secret_access_key = kD93jf/ksLq02+mXcVb7TyUi1oPaSdFgHjKlZ8xQ\n",
        "kD93jf",
    ),
    "aws secret dict": (
        '{"SecretAccessKey": "kD93jf/ksLq02+mXcVb7TyUi1oPaSdFgHjKlZ8xQ"}',
        "kD93jf",
    ),
    "github classic": ("'ghp_16C7e42F292c6912E7710c838347Ae178B4a'", "ghp_16C7"),
    "github pat": (
        "'github_pat_11ABCDEFG0aBcDeFgHiJkL_mNoPqRsTuVwXyZ0123456789abcdefghijklmnopqrstuv'",
        "github_pat_11",
    ),
    "gitlab": ("t = 'glpat-xY7zQ2mNvB4kLp9sRt3W'", "glpat-x"),
    "slack bot": ("'xoxb-263594206564-2343594206574-FGqddMF8t08v8N7Oq4i57vs1'", "FGqddMF8"),
    "slack webhook": (
        "'https://hooks.slack.com/services/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'",
        "a1B2c3D4",
    ),
    "discord webhook": (
        "'https://discord.com/api/webhooks/1089764211234567890/x8Kq-ZpL0vN3mT7wRyB5cD1eF9"
        "gH2jK4lM6nP8qS0tU3vW5xY7zA1bC3dE5fG7hI9jK'",
        "x8Kq-ZpL",
    ),
    "teams webhook": (
        "'https://acme.webhook.office.com/webhookb2/1f0a3b7c-9d2e-4f5a-8b6c-7d8e9f0a1b2c@"
        "2a1b3c4d-5e6f-7a8b-9c0d-1e2f3a4b5c6d/IncomingWebhook/9f8e7d6c5b4a39281706f5e4d3c"
        "2b1a0/1f0a3b7c'",
        "9f8e7d6c5b4a",
    ),
    "jwt, signed": (
        "'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jV"
        "mNHl0w5N_XgL0n3I9PlFUP0THsR8U'",
        "dozjgNry",
    ),
    "pem": (
        "KEY = '''-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA04up8hoqzS1+APIB0RhjXy"
        "ObwHQnOzhAk5Bd7mhkSbPkyhP1\niWVTQ8D1qzvXJJ0xw9Pl8iq9T8mYpQ==\n-----END RSA PRIVA"
        "TE KEY-----'''",
        "MIIEpAIB",
    ),
    "openssh": (
        "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQA"
        "AAAAAAAABAAAAMwAAAAtz\nc2gtZWQyNTUxOQAAACBX\n-----END OPENSSH PRIVATE KEY-----",
        "b3BlbnNz",
    ),
    "pem concatenated lines": (
        'KEY = (\n    "-----BEGIN EC PRIVATE KEY-----\\n"\n    "MHcCAQEEIIv6jw4kzFZ2tQpL9'
        'xWcYbN3mKsJhGfDdSaPoIuYtRe\\n"\n    "AwEHoUQDQgAE9xWcYbN3mKsJhGfDdSa==\\n"\n    '
        '"-----END EC PRIVATE KEY-----\\n"\n)',
        "MHcCAQEE",
    ),
    "dsn": ("postgresql://svc_app:Zx9!kQ2mWp@db.internal:5432/orders", "Zx9!kQ2mWp"),
    "dsn mysql driver": ("mysql+pymysql://root:S3cr3t-Pa55@10.0.0.5/shop", "S3cr3t-Pa55"),
    "dsn redis": ("redis://:p4ssw0rdXy@cache:6379/0", "p4ssw0rdXy"),
    "dsn mongo": (
        "mongodb+srv://admin:hunter2hunter@cluster0.abcde.mongodb.net/test",
        "hunter2hunter",
    ),
    "dsn keyword": (
        "psycopg.connect('host=db user=app password=Qw7Er9Ty2Ui dbname=x')",
        "Qw7Er9Ty2Ui",
    ),
    "odbc": (
        "'Server=tcp:x.database.windows.net;Database=d;Uid=a;Pwd=Gh7$kLp09Qz;Encrypt=yes'",
        "Gh7$kLp09Qz",
    ),
    "azure conn": (
        "DefaultEndpointsProtocol=https;AccountName=acme;AccountKey=Eby8vdM02xNOcqFlqUwJP"
        "LlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;EndpointSuff"
        "ix=core.windows.net",
        "Eby8vdM02x",
    ),
    "netrc": ("machine api.github.com login octo password 7h1s1sMyT0k3nXy", "7h1s1sMyT0k3nXy"),
    "netrc lines": ("machine h\n  login me\n  password Zk8vQ1wE5rT9\n", "Zk8vQ1wE5rT9"),
    "basic auth url": (
        "requests.get('https://bob:Xk29fQ8zLm10@api.example.com/v1')",
        "Xk29fQ8zLm10",
    ),
    "token as user": (
        "'https://ghx81kQz7LmN0pRs2TuV4wXy6Z:x-oauth-basic@github.com/a/b.git'",
        "ghx81kQz7Lm",
    ),
    "token only url": (
        "git clone https://4f9c1e7ab28d305f6c91e8ba7d20f4c3e5a6b8d1@gitea.acme.dev/a/b.git",
        "4f9c1e7ab28d",
    ),
    "header basic": ("{'Authorization': 'Basic YWxhZGRpbjpvcGVuU2VzYW1lMTIz'}", "YWxhZGRpbjp"),
    "header token": (
        "headers = {'Authorization': 'Token 9944b09199c62bcf9418ad846dd0e4bbdfc6ee4b'}",
        "9944b09199",
    ),
    "x-api-key": ("headers={'X-Api-Key': 'q7Wm2Zx9Lk4Rt8Vb1Np6Ys3D'}", "q7Wm2Zx9"),
    "dict hi-entropy": (
        "CONFIG = {'client_secret': 'Q8~7pZk2LmXvRt9WqYb4NcHs6DfGj1Ke3UaTo5Ii'}",
        "Q8~7pZk2",
    ),
    "query param": ("'https://maps.example.com/v1?api_key=Zx81kQz7LmN0pRs2TuV4&x=1'", "Zx81kQz7"),
    "sas": (
        "'https://acme.blob.core.windows.net/c?sv=2022-11-02&sig=Zk3%2BqLm9Xw7Rt2Vb8Np1Ys"
        "6Dc4Fh0Gj5Ke%2FUa%3D&se=2030'",
        "Zk3%2BqLm9",
    ),
    "param id": (
        "tests/test_a.py::test_login[ghp_16C7e42F292c6912E7710c838347Ae178B4a]",
        "ghp_16C7",
    ),
    "param id pw": ("tests/test_a.py::test_login[password=Xk29fQ8zLm10]", "Xk29fQ8zLm10"),
    "tb locals": (
        "client_secret = 'Xk29fQ8zLm10Wv73'\nself       = <app.Client object at 0x7f>",
        "Xk29fQ8zLm10",
    ),
    "tb repr": (
        "E   assert Config(user='a', password='Xk29fQ8zLm10', port=1) == 3",
        "Xk29fQ8zLm10",
    ),
    "tb dict": ("E    +  where {'password': 'Xk29fQ8zLm10'} = load()", "Xk29fQ8zLm10"),
    "tb json escaped": ('E   assert \'{"api_key": "Xk29fQ8zLm10Wv73"}\' == 1', "Xk29fQ8zLm10Wv73"),
    "tb json escaped 2": (
        'E   assert "{\\"api_key\\": \\"Xk29fQ8zLm10Wv73\\"}" == 1',
        "Xk29fQ8zLm10Wv73",
    ),
    "yaml": ("db:\n  password: Xk29fQ8zLm10\n", "Xk29fQ8zLm10"),
    "toml": ('password = "Xk29fQ8zLm10"', "Xk29fQ8zLm10"),
    "env export": ("export STRIPE_SECRET=Xk29fQ8zLm10Wv73", "Xk29fQ8zLm10"),
    "split paren": ("API_KEY = (\n    'q7Wm2Zx9Lk4R'\n    't8Vb1Np6Ys3D'\n)", "q7Wm2Zx9Lk4R"),
    "split paren 2": ("API_KEY = (\n    'q7Wm2Zx9Lk4R'\n    't8Vb1Np6Ys3D'\n)", "t8Vb1Np6Ys3D"),
    "split plus": ("password = 'q7Wm2Zx9Lk' + 'R4t8Vb1Np6'", "R4t8Vb1Np6"),
    "call arg": ("login(user='bob', password='q7Wm2Zx9Lk4R')", "q7Wm2Zx9Lk4R"),
    "setenv": ("monkeypatch.setenv('DB_PASSWORD', 'q7Wm2Zx9Lk4R')", "q7Wm2Zx9Lk4R"),
    "environ get": ("os.environ.get('API_TOKEN', 'q7Wm2Zx9Lk4Rt8Vb1Np6')", "q7Wm2Zx9Lk4R"),
    "environ set": ("os.environ['API_TOKEN'] = 'q7Wm2Zx9Lk4Rt8Vb1Np6'", "q7Wm2Zx9Lk4R"),
    "bytes": ("SECRET_KEY = b'q7Wm2Zx9Lk4Rt8Vb1Np6'", "q7Wm2Zx9Lk4R"),
    "django secret": ("SECRET_KEY = 'django-insecure-8#k2!z@q7w$m9x^4r&t6v*b1n(p0y)s3d'", "8#k2!z"),
    "stripe": ("'sk_live_4eC39HqLyjWDarjtT1zdp7dc'", "4eC39Hq"),
    "openai, longer": ("'sk-proj-Ab12Cd34Ef56Gh78Ij90Kl12Mn34'", "Ab12Cd34"),
    "google": ("'AIzaSyD-9tSrke72PouQMnMX-a7eZSW0jkFMBWY'", "AIzaSyD"),
    "gcp service account": (
        '{"type": "service_account", "private_key_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f00'
        'f1e2d3c", "private_key": "-----BEGIN PRIVATE KEY-----\\nMIIEvQIBADANBgkqhkiG9w0B'
        'AQEFAASCBKcwggSjAgEAAoIBAQC7\\n-----END PRIVATE KEY-----\\n"}',
        "MIIEvQ",
    ),
    "npmrc": ("//registry.acme.dev/:_authToken=b1946ac9-2d5f-4a7e-9c3b-8f0e1d2c3b4a", "b1946ac9"),
    "pypirc": ("username = __token__\npassword = pypi-AgEIcHlwaS5vcmcCJDU5ZTZjMzE0LWE1", "AgEIcHl"),
    "sendgrid": (
        "'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'",
        "ngeVfQ",
    ),
    "twilio": ("auth_token = 'a7c3e5f1b9d2846073f5e1c9b8a2d4f6'", "a7c3e5f1"),
    "hf": ("'hf_aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789'", "hf_aBcD"),
    "anthropic": ("'sk-ant-api03-Ab12Cd34Ef56Gh78Ij90Kl12Mn34-x'", "Ab12Cd34"),
    "age": (
        "'AGE-SECRET-KEY-1QF0Z3X7C9V2B4N6M8L0K2J4H6G8F0D2S4A6P8O0I2U4Y6T8R0E2W4Q6ZZZ'",
        "1QF0Z3X7",
    ),
    "telegram": ("bot = '110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw'", "AAHdqTcv"),
    "putty": (
        "PuTTY-User-Key-File-2: ssh-rsa\nPrivate-Lines: 2\nAAABAQCx9fQ8zLm10Wv73Xk29fQ8zL"
        "m10Wv73\nq7Wm2Zx9Lk4R\n",
        "AAABAQCx",
    ),
    "connection pw with @": ("postgres://u:p@ss9Xk29@db/x", "ss9Xk29"),
}

INNOCENT = [
    "token = 'NUMBER'",
    "token = Token('IDENTIFIER', 12)",
    "self.token = self.next_token2()",
    "tokens = ['a1', 'b2']",
    "password = 'correct horse'",
    "password = 'password123'",
    "def check(password: str, secret_key: bytes = DEFAULT_KEY_2) -> bool:",
    "api_key=os.environ['SERVICE_KEY_123']",
    "assert token == 'a1b2c3d4e5f6a7b8'",
    "secret_key = settings.SECRET_KEY_2",
    "url = 'http://user:pass@example.org/'",
    "dsn = f'postgres://{user}:{password}@{host}/x'",
    "if text.startswith('-----BEGIN PRIVATE KEY-----'):\n    return parse_key(text)",
    "key = 'user:1234:profile'",
    "sha = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'",
    "iban = 'DE89370400440532013000'",
    "css = 'task-list-of-many-words-in-a-row'",
    "id = '550e8400-e29b-41d4-a716-446655440000'",
    "password_expiry = '2024-01-15T10:00:00'",
    "token = '[redacted]'",
    "id = '550e8400-e29b-41d4-a716-446655440000'",
    "assert sha256(b'abc') == 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'",
    "('hello', 'aGVsbG8gd29ybGQhIHRoaXMgaXMgYmFzZTY0')",
    "assert encode('user:passwd') == 'dXNlcjpwYXNzd2Q='",
    "def test_a_very_long_identifier_with_numbers_123_and_words_456(): pass",
    "password = 'correct horse battery staple'",
    "assert is_strong('Tr0ub4dor&3')",
    "@pytest.mark.parametrize('password', ['abc', 'Abcdef12', 'short1', 'NoDigitsHere'])",
    "tokens = tokenize('a1 + b2 * c3')",
    "assert token.value == 'x1y2z3'",
    "parse_url('http://user:pass@host/')",
    "assert mask('4111111111111111') == '************1111'",
    "commit = '2fd4e1c67a2d28fced849ee1bb76e7391b93eb12'",
    "etag = 'W/\"0815-abcdef0123\"'",
    "key = 'cache:user:42:v3'",
    "primary_key = 'order_id_2024'",
    "api_key: str | None = None",
    "token_type = 'bearer-token-type-2'",
    "sort_key = 'created_at_desc_2'",
    "url = 'https://example.com/a/b?page=2&sort=asc&q=hello1'",
    "isbn = '978-3-16-148410-0'",
    "color_token = '#a1b2c3'",
    "assert slug('Straße 12a') == 'strasse-12a'",
    "secret_santa = 'participants_2024_list'",
    "password_hash = hash_password('hunter2', salt=b'0123456789abcdef')",
    "expected = {'token': 'NUMBER', 'value': '3.14e10'}",
    "MIME = 'application/vnd.openxmlformats-officedocument.wordprocessingml.document'",
    "hex(0xDEADBEEFCAFEBABE)",
    "'MCMXCIV' 'MMMCMXCIX'",
    "machine = parse('machine example.com login me password secret')",
    "assert parse_netrc('machine h login l password p') == {'h': ('l', 'p')}",
    "public_key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG me@host'",
    "Authorization = 'Basic dXNlcjpwYXNz'",
    "assert basic('user', 'pass') == 'Basic dXNlcjpwYXNz'",
    "git clone https://github.com/a/b.git@v1.2.3",
    "npm install @scope/pkg@1.2.3 && pip install git+https://github.com/a/b@4f9c1e7ab"
    "28d305f6c91e8ba7d20f4c3e5a6b8d1",
    "lookup('password', 'Password for {user}')",
    "d.get('token', 'default_value_1')",
    "draw('AaBbCcDd11223344')",
    "verify('$2b$12$EixZaYVK1fsbw1ZfbX3OXePaWxn96p36WQoeG6Lruj3vjPGga31lW')",
]


@pytest.mark.parametrize("name", SECRETS)
def test_secrets_are_cut_out_of_every_part(name: str) -> None:
    text, secret = SECRETS[name]
    assert secret not in redact(text)
    prompt = render(everywhere(text))
    assert secret not in prompt
    assert "[redacted]" in prompt


@pytest.mark.parametrize("code", INNOCENT)
def test_ordinary_code_is_left_alone(code: str) -> None:
    assert redact(code) == code


def test_the_projects_own_modules_are_left_alone() -> None:
    sources = sorted(Path(__file__).parents[1].joinpath("pytest_selfheal").rglob("*.py"))
    assert sources
    for source in sources:
        text = source.read_text("utf-8")
        assert redact(text) == text


def test_values_of_secret_variables_are_cut_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_SERVICE_KEY", 'plain "words"\nof two lines')
    monkeypatch.setenv("MY_TOKEN", "short")
    monkeypatch.setenv("ORDINARY", "an ordinary value")
    value = os.environ["SOME_SERVICE_KEY"]
    assert redact(f"<{value}>") == "<[redacted]>"
    assert redact(f"<{value!r}>") == "<'[redacted]'>"
    assert redact(r"<plain \"words\"\nof two lines>") == "<[redacted]>"
    assert redact("short, an ordinary value") == "short, an ordinary value"


def test_a_variables_value_does_not_change_a_target(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOY_KEY", "src/slug.py")
    prompt = render(QUESTION)
    assert "## Module: [redacted]" in prompt
    assert target_lines(prompt) == ONLY_TARGET


@settings(deadline=None)
@given(st.text(st.sampled_from("aA1-_=:/@'\" \n.")))
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    once = redact(f"password = '{text}'\nhttps://u:{text}@h sk-{text} token={text}")
    assert redact(once) == once


# --- what stands elsewhere without a name ----------------------------------------------

VALUE = "Xk29fQ8zLm10"


@pytest.mark.parametrize(
    "text",
    [
        f"DB_PASSWORD = '{VALUE}'",
        f'{{"password": "{VALUE}"}}',
        f"db:\n  password: {VALUE}\n",
        f"machine h login me password {VALUE}",
        f"get(url, auth=('me', '{VALUE}'))",
        f"password = ('{VALUE[:6]}'\n    '{VALUE[6:]}')",
        f"monkeypatch.setenv('DB_PASSWORD', '{VALUE}')",
    ],
)
def test_a_value_that_is_told_by_a_name_is_a_secret_everywhere(text: str) -> None:
    assert list(told_secrets(text)) == [VALUE]
    failure = replace(QUESTION.failures[0], longrepr=f"E   assert '' == '{VALUE}'")
    tests = (Excerpt(path="conftest.py", text=text),)
    question = replace(QUESTION, failures=(failure,))
    assert f"E   assert '' == '{VALUE}'" in render(question)
    assert "E   assert '' == '[redacted]'" in render(replace(question, tests=tests))


def test_what_the_user_names_is_cut_out_everywhere() -> None:
    tests = (Excerpt(path="conftest.py", text='CUSTOMER = "Acme and sons"\nAREA = "EU"\n'),)
    failure = replace(QUESTION.failures[0], longrepr="E   assert 'Acme and sons' in 'EU'")
    question = replace(QUESTION, tests=tests, failures=(failure,))
    prompt = render(question, secrets=["CUSTOMER", "AREA"])
    assert "Acme" not in prompt
    # Two letters are in everything.
    assert "E   assert '[redacted]' in 'EU'" in prompt


def test_an_attempt_changes_nothing_of_what_stands_before_it() -> None:
    tests = (Excerpt(path="test_a.py", text=f"def test_a():\n    assert f() == '{VALUE}'\n"),)
    question = replace(QUESTION, tests=tests)
    attempt = Attempt(verdict="failed", why="no", code=f"password = '{VALUE}'", traceback="E   no")
    first, retry = render(question), render(replace(question, attempts=(attempt,)))
    assert VALUE in first
    assert retry.startswith(first)


def test_the_forms_that_are_taken_over_are_quick() -> None:
    """None goes on to a line's end from each place where it may begin."""
    assert known_forms()
    assert not [form.pattern for form in known_forms() if re.search(r"\.[+*]", form.pattern)]
