"""Settings of keys and tokens, and from where the server may be reached with them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from settings import Settings, load
from tests.settings.steps import LONG, error_message


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.9.10", "::1"])
def test_without_authentication_loopback_is_open(host: str) -> None:
    assert host == Settings(host=host).host


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "example.org", "localhost.x"])
def test_without_authentication_nothing_but_loopback_is_open(host: str) -> None:
    line = error_message(environ={"HEADRACE_HOST": host})

    assert "auth.mode" in line
    assert f"host should be loopback, not {host}" in line


def test_a_socket_in_the_file_system_is_open_without_authentication() -> None:
    assert "unix:/run/headrace.sock" == Settings(host="unix:/run/headrace.sock").host


JWT = """
    [auth.jwt]
    issuer = "https://id.example.org/"
    audience = "headrace"
    algorithms = "RS256, ES256"
    jwks_url = "https://id.example.org/keys"
"""


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "127.0.0.1", "unix:/run/headrace.sock"])
def test_with_keys_any_host_is_fine(toml: Callable[..., Path], host: str) -> None:
    file = toml(f'host = "{host}"\n[auth]\nmode = "keys"\nsecret = "{LONG}"')

    assert host == load(file, {}).host


def test_tokens_are_taken_as_the_table_says(
    toml: Callable[..., Path], credentials: Callable[..., dict[str, str]]
) -> None:
    environ = credentials(**{"auth.secret": f"{LONG}\n"})
    auth = load(toml(f'[auth]\nmode = "jwt"\n{JWT}'), environ).auth

    assert auth.jwt is not None
    assert auth.secret is not None
    assert LONG == auth.secret.get_secret_value()
    assert (("headrace",), ("RS256", "ES256")) == (auth.jwt.audience, auth.jwt.algorithms)
    assert (30, None) == (auth.jwt.leeway_seconds, auth.jwt.admin_scope)


@pytest.mark.parametrize(
    ("auth", "line"),
    [
        ('mode = "keys"', 'auth: secret is required for mode "keys": at least 32 characters'),
        (f'mode = "jwt"\n{JWT}', 'auth: secret is required for mode "jwt"'),
        (f'mode = "jwt"\nsecret = "{LONG}"', 'auth: mode "jwt" requires the table auth.jwt'),
        (
            f'mode = "keys"\nsecret = "{LONG}"\n{JWT}',
            'auth: jwt is used with mode "jwt" only, not with "keys"',
        ),
        (JWT, 'auth: jwt is used with mode "jwt" only, not with "none"'),
        ('mode = "keys"\nsecret = "short"', "auth.secret: should have at least 32 characters"),
        (f'mode = "keys"\nsecret = "{LONG} "', "auth.secret: should be printable ASCII"),
    ],
)
def test_ways_in_that_do_not_fit_together_stop_the_start(
    toml: Callable[..., Path], auth: str, line: str
) -> None:
    table = auth if auth.lstrip().startswith("[") else f"[auth]\n{auth}"

    assert error_message(toml(table)).startswith(line)


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ('algorithms = ["none"]', "auth.jwt.algorithms.0: should be 'RS256'"),
        ('algorithms = ["HS256"]', "auth.jwt.algorithms.0: should be 'RS256'"),
        ("algorithms = []", "auth.jwt.algorithms: "),
        ("audience = []", "auth.jwt.audience: "),
        ('issuer = ""', "auth.jwt.issuer: "),
        ('jwks_url = "http://id.example.org/keys"', "auth.jwt.jwks_url: should be https"),
        ('jwks_url = "https://u:p@id.example.org/keys"', "auth.jwt.jwks_url: should not contain"),
        ('jwks_url = "file:///etc/passwd"', "auth.jwt.jwks_url: should be an address"),
        ("leeway_seconds = 301", "auth.jwt.leeway_seconds: "),
        ('secret = "x"', "auth.jwt.secret: unknown setting"),
    ],
)
def test_rules_for_tokens_that_would_let_strangers_in_stop_the_start(
    toml: Callable[..., Path], setting: str, problem: str
) -> None:
    name = setting.partition(" ")[0]
    rules = "\n".join(line for line in JWT.splitlines() if not line.strip().startswith(name))
    table = f'[auth]\nmode = "jwt"\nsecret = "{LONG}"\n{rules}\n{setting}'

    assert error_message(toml(table)).startswith(problem)
