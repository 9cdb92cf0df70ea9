"""What is unknown or wrong, and how it is said."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from settings import load
from tests.settings.steps import SECRET, error_message


@pytest.mark.parametrize(
    "variable",
    [
        "HEADRACE_PROT",
        "HEADRACE_RELAY__HEARTBEAT",
        "HEADRACE_RELAY_HEARTBEAT_SECONDS",
        "HEADRACE_PORT__NUMBER",
        "HEADRACE_NO__SUCH__TABLE",
        "HEADRACE_PROVIDERS__OPENAI__KEY",
    ],
)
def test_an_unknown_variable_is_named(variable: str) -> None:
    assert variable in error_message(environ={variable: "1"})


def test_variables_for_the_config_file_and_for_tests_are_no_settings() -> None:
    load(None, {"HEADRACE_CONFIG": "", "HEADRACE_TEST_MONGODB_URI": "x", "HEADRACES": "x"})


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("prot = 1", "prot"),
        ("[relay]\nheartbeat = 1", "relay.heartbeat"),
        ("[providers.openai]\nkey = 'x'", "providers.openai.key"),
        ("[rellay]", "rellay"),
    ],
)
def test_an_unknown_setting_in_the_file_is_named(
    toml: Callable[..., Path], text: str, name: str
) -> None:
    assert f"{name}: unknown setting" in error_message(toml(text))


def test_an_unknown_credential_is_named(credentials: Callable[..., dict[str, str]]) -> None:
    environ = credentials(**{"provider.openai.api_key": SECRET})

    file = Path(environ["CREDENTIALS_DIRECTORY"], "provider.openai.api_key")
    line = error_message(environ=environ)
    assert f"credential provider.openai.api_key (in {file}): unknown setting" == line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("port = 65536", "port: should be less than or equal to 65535"),
        ("[relay]\nheartbeat_seconds = 0", "relay.heartbeat_seconds: should be greater than 0"),
        ("[timeouts]\nidle = inf", "timeouts.idle: should be a finite number"),
        ("relay = 3", "relay: is a table of settings, not a value"),
        ("providers = 3", "providers: is a table of settings, not a value"),
        ("providers.demo = 3", "providers.demo: is a table of settings, not a value"),
        ("[auth]\nmode = 'open'", "auth.mode: should be 'none', 'keys' or 'jwt'"),
        ("[providers.x]\nmodels = ['m']", "providers.x: requires preset or dialect, since"),
        ("[storage]\nurl = 'postgres://x'", "storage.url: should be sqlite:///path, mongodb"),
        ("[storage]\nurl = 'sqlite:///'", "storage.url: should be sqlite:///path, mongodb"),
        ('[storage]\nurl = "sqlite:///a\\u0000"', "storage.url: should be sqlite:///path, mongodb"),
        (
            '[storage]\nurl = "sqlite:///a.db\\r"',
            "storage.url: begins or ends with white space",
        ),
        ("[cors]\nallow_origins = ['*']", "cors.allow_origins.0: should be an origin"),
        ("[cors]\nallow_origins = ['https://a/']", "cors.allow_origins.0: should be an origin"),
        ("[relay]\nmax_answer_chars = 3_000_001", "relay.max_answer_chars: should be less"),
        ("[relay]\nlease_seconds = 2", "relay: lease_seconds should be at least three times"),
    ],
)
def test_a_wrong_value_is_named_and_explained(
    toml: Callable[..., Path], text: str, line: str
) -> None:
    assert error_message(toml(text)).startswith(line)


@pytest.mark.parametrize(
    "text",
    [
        "prot = 1",
        "port = 65536",
        "[relay]\nlease_seconds = 2",
        "[providers.x]\nmodels = ['m']",
        "[providers.x]\ndialect = 'openai'\nbase_url = 'ftp://x'\nmodels = ['m']",
        "[cors]\nallow_origins = ['*']",
        "default_model = 'x'",
        "[auth]\nmode = 'keys'",
    ],
)
def test_what_the_file_says_is_told_with_the_file(toml: Callable[..., Path], text: str) -> None:
    file = toml(text, "of the operator.toml")

    assert f"(in {file})" in error_message(file)


def test_what_a_variable_says_is_not_laid_at_the_files_door(toml: Callable[..., Path]) -> None:
    file = toml("port = 1\n[relay]\nlease_seconds = 30\n")

    for name in ("HEADRACE_PORT", "HEADRACE_RELAY__LEASE_SECONDS"):
        line = error_message(file, {name: "-1"})
        assert line.startswith(f"{name}: ")
        assert "some.toml" not in line
    line = error_message(file, {"HEADRACE_CORS__ALLOW_ORIGINS": "https://a.example, *"})
    assert line.startswith("HEADRACE_CORS__ALLOW_ORIGINS: should be an origin")
    line = error_message(file, {"HEADRACE_RELAY__LEASE_SECONDS": "2"})  # wrong beside another one
    assert line.startswith("HEADRACE_RELAY__LEASE_SECONDS: lease_seconds should be at least")


@contextmanager
def no_root() -> Iterator[None]:
    """Be nobody in particular: root may read everything."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_file_that_may_not_be_read_is_named(
    toml: Callable[..., Path], tmp_path: Path, what: str
) -> None:
    file = toml("port = 1")
    closed = file if what == "file" else tmp_path
    closed.chmod(0)
    try:
        with no_root():
            line = error_message(file)
    finally:
        closed.chmod(0o700)
    assert f"cannot read {file}: Permission denied" == line


def test_a_credential_that_cannot_be_read_is_named(credentials: Callable[..., Any]) -> None:
    environ = credentials(**{"auth.secret": "x"})
    file = Path(environ["CREDENTIALS_DIRECTORY"], "auth.secret")

    file.write_bytes(b"\xff\xfe")

    assert f"the credential {file} is not UTF-8 text" == error_message(environ=environ)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "cannot read {}: No such file or directory"),
        ("x", "{} contains no certificates in PEM format"),
    ],
)
def test_a_ca_file_that_is_none_is_named_at_the_start(
    toml: Callable[..., Path], tmp_path: Path, text: str | None, problem: str
) -> None:
    file = tmp_path / "ca.pem"
    if text is not None:
        file.write_text(text)
    table = f"[providers.openai]\napi_key = 'k'\nca_certs = '{file}'"

    line = error_message(toml(table))

    assert line.startswith(f"providers.openai.ca_certs: {problem.format(file)} (in ")


def test_a_wrong_variable_is_called_by_its_own_name() -> None:
    line = error_message(environ={"HEADRACE_PORT": "http"})

    assert line.startswith("HEADRACE_PORT: should be a valid integer")


def test_everything_wrong_is_said_at_once() -> None:
    line = error_message(environ={"HEADRACE_PORT": "-1", "HEADRACE_PROT": "1"})

    assert "HEADRACE_PORT: " in line
    assert "HEADRACE_PROT: " in line


def test_a_variable_cannot_be_a_value_and_a_table() -> None:
    environ = {"HEADRACE_STORAGE": "x", "HEADRACE_STORAGE__URL": "y"}

    assert "HEADRACE_STORAGE__URL" in error_message(environ=environ)


def test_a_name_with_a_line_end_still_makes_one_line(toml: Callable[..., Path]) -> None:
    file = toml('"a\\nb" = 1')
    assert f"a b: unknown setting (in {file})" == error_message(file)


@pytest.mark.parametrize("name", ["OpenAI", "my provider", "a/b", "-x"])
def test_a_providers_name_is_plain(toml: Callable[..., Path], name: str) -> None:
    line = error_message(toml(f'[providers."{name}"]\ndialect = "demo"'))

    assert f"providers.{name}: a provider's name should consist of" in line
