"""The settings: what sets what, what is refused and how it is said, and that no secret shows."""

import os
import re
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from pydantic import ValidationError

from settings import MASK, Settings, SettingsError, describe, load, load_storage, masked

ROOT = Path(__file__).resolve().parent.parent
SECRET = "sk-4f9c-never-shown"


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a test runs there is no headrace.toml but its own."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def toml(tmp_path: Path) -> Callable[[str], Path]:
    """Write a settings file."""

    def write(text: str, name: str = "some.toml") -> Path:
        path = tmp_path / name
        path.write_text(text, "utf-8")
        return path

    return write


@pytest.fixture
def credentials(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """Lay credentials out as systemd does; gives the environment that names their folder."""

    def lay(**files: str) -> dict[str, str]:
        folder = tmp_path / "credentials"
        folder.mkdir()
        for name, text in files.items():
            (folder / name).write_text(text, "utf-8")
        return {"CREDENTIALS_DIRECTORY": str(folder)}

    return lay


def complaint(config: Path | None = None, environ: dict[str, str] | None = None) -> str:
    """The one line that a start with wrong settings ends in."""
    with pytest.raises(SettingsError) as caught:
        load(config, environ or {})
    line = str(caught.value)
    assert "\n" not in line
    return line


def ca_file(folder: Path) -> Path:
    """A file of certificates."""
    file = folder / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(file))
    return file


# Defaults


def test_nothing_set_is_a_demo_on_loopback() -> None:
    settings = load(None, {})

    assert ("127.0.0.1", 8080) == (settings.host, settings.port)
    assert "sqlite:///data/headrace.db" == settings.storage.url
    assert ["demo"] == list(settings.providers)
    assert "demo/demo" == settings.effective_default_model
    assert "cancel" == settings.relay.on_disconnect


def test_the_fixed_names_of_the_file(toml: Callable[..., Path]) -> None:
    settings = load(
        toml("""
            host = "127.0.0.1"
            port = 8080
            default_model = "openai/gpt-4o-mini"
            [storage]
            url = "mongodb://localhost/headrace"
            [auth]
            mode = "none"
            [providers.openai]
            dialect = "openai"
            base_url = "https://api.openai.com/v1"
            api_key = "sk-1"
            [relay]
            heartbeat_seconds = 4
            checkpoint_seconds = 1.0
            max_answer_chars = 1_000_000
            on_disconnect = "cancel"
            [context]
            max_chars = 60_000
            [timeouts]
            connect = 10
            first_token = 60
            idle = 60
            answer = 600
        """),
        {},
    )

    assert "openai/gpt-4o-mini" == settings.effective_default_model
    assert "mongodb://localhost/headrace" == settings.storage.url
    key = settings.providers["openai"].api_key
    assert key is not None
    assert "sk-1" == key.get_secret_value()


def test_settings_cannot_be_changed() -> None:
    settings = Settings()

    with pytest.raises(ValidationError):
        settings.port = 1  # type: ignore[misc]
    with pytest.raises(ValidationError):
        settings.relay.heartbeat_seconds = 1  # type: ignore[misc]


def test_the_class_itself_reads_no_file_and_no_environment(
    toml: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    toml("port = 1", "headrace.toml")
    monkeypatch.setenv("HEADRACE_PORT", "2")
    monkeypatch.setenv("PORT", "3")

    assert 8080 == Settings().port


# Where values come from


def test_environment_beats_file_and_credentials_beat_both(
    toml: Callable[..., Path], credentials: Callable[..., dict[str, str]]
) -> None:
    file = toml("""
        port = 1
        [relay]
        heartbeat_seconds = 1
        checkpoint_seconds = 1
        lease_seconds = 31
    """)
    environ = {
        "HEADRACE_RELAY__HEARTBEAT_SECONDS": "2",
        "HEADRACE_RELAY__CHECKPOINT_SECONDS": "2",
        **credentials(**{"relay.checkpoint_seconds": "3\n"}),
    }

    settings = load(file, environ)

    relay = settings.relay
    assert (1, 2, 3, 31) == (
        settings.port,
        relay.heartbeat_seconds,
        relay.checkpoint_seconds,
        relay.lease_seconds,
    )


def test_headrace_toml_is_read_when_it_is_there(toml: Callable[..., Path]) -> None:
    toml("port = 1", "headrace.toml")

    assert 1 == load(None, {}).port


def test_headrace_config_names_the_file_and_the_argument_beats_it(
    toml: Callable[..., Path],
) -> None:
    toml("port = 1", "headrace.toml")
    by_variable = {"HEADRACE_CONFIG": str(toml("port = 2", "two.toml"))}
    by_argument = toml("port = 3", "three.toml")

    assert 2 == load(None, by_variable).port
    assert 3 == load(by_argument, by_variable).port


@pytest.mark.parametrize("environ", [{}, {"HEADRACE_CONFIG": "gone.toml"}])
def test_a_named_file_that_is_not_there_is_an_error(environ: dict[str, str]) -> None:
    config = None if environ else Path("gone.toml")

    assert "there is no settings file gone.toml" == complaint(config, environ)


def test_metrics_on_the_servers_own_port_are_told_before_it_is_found_taken(
    toml: Callable[[str], Path],
) -> None:
    own = "metrics.port should not be the server's own, 9000"
    assert own in complaint(toml("port = 9000\n[metrics]\nport = 9000\n"))
    load(toml("port = 9000\nhost = '::1'\n[metrics]\nport = 9000\n"), {})
    load(toml("port = 0\n[metrics]\nport = 0\n"), {})


def test_a_file_that_is_not_toml_is_an_error_that_says_where(toml: Callable[..., Path]) -> None:
    line = complaint(toml(f'port = 1\n[providers.openai]\napi_key = "{SECRET}\n'))

    assert "some.toml is not TOML" in line
    assert "line 3" in line
    assert SECRET not in line


def test_brackets_without_end_are_not_toml_either(toml: Callable[..., Path]) -> None:
    assert "some.toml is not TOML" in complaint(toml("x = " + "[" * 5000 + "]" * 5000))


def test_a_file_that_is_not_utf_8_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "latin.toml"
    file.write_bytes('host = "caf\xe9"'.encode("latin-1"))

    assert "latin.toml is not UTF-8 text" in complaint(file)


def test_a_list_in_a_variable_is_separated_by_commas() -> None:
    environ = {
        "HEADRACE_CORS__ALLOW_ORIGINS": "https://a.example, http://localhost:5173",
        "HEADRACE_PROVIDERS__DEMO__MODELS": "slow,quick",
    }

    settings = load(None, environ)

    assert ("https://a.example", "http://localhost:5173") == settings.cors.allow_origins
    assert ("slow", "quick") == settings.providers["demo"].models


@pytest.mark.parametrize(
    "origin",
    [
        "https://example.org",
        "http://localhost:5173",
        "http://[::1]:8080",
        "http://tauri.localhost",
        "https://xn--bcher-kva.example",
        "capacitor://localhost",
        "ionic://localhost",
        "tauri://localhost",
        "app://obsidian.md",
        "vscode-webview://1b2c3d",
        "chrome-extension://aapbdbdomjkkjkaonfhkkikfgjllcleb",
        "moz-extension://0f3a4b1e-7c1d-4d3a-9a55-3f0f5a1b2c3d",
        "safari-web-extension://FE2C5A54-8D21-4E9B-9E2C-0A5B7C1D2E3F",
    ],
)
def test_an_origin_may_be_a_pages_or_an_apps(origin: str) -> None:
    assert (origin,) == load(None, {"HEADRACE_CORS__ALLOW_ORIGINS": origin}).cors.allow_origins


@pytest.mark.parametrize(
    ("origin", "words"),
    [
        ("null", "null names nobody"),
        ("file://", "names nobody"),
        ("file:///index.html", "names nobody"),
        ("data:text/html", "names nobody"),
        *(
            (origin, "an origin is written")
            for origin in (
                *("*", "https://*.example.org", "chrome-extension://*", "example.org"),
                *("https://example.org/", "https://example.org/app", "capacitor://localhost/"),
                *("https://example.org:443", "http://example.org:80", "https://example.org:0"),
                *("https://Example.org", "HTTPS://example.org", "Capacitor://localhost"),
                *("https://u:p@example.org", "capacitor://u@localhost", "capacitor://"),
                *("capacitor:localhost", "https://example.org?a", "https://bücher.example"),
                *("https://a b", "https://", "tauri://localhost#x", "https://a\\b"),
            )
        ),
    ],
)
def test_an_origin_that_no_browser_sends_stops_the_start(
    toml: Callable[..., Path], origin: str, words: str
) -> None:
    line = complaint(toml(f"[cors]\nallow_origins = ['{origin}']"))

    assert line.startswith("cors.allow_origins.0: ")
    assert words in line


def test_a_whole_provider_can_come_from_the_environment() -> None:
    environ = {
        "HEADRACE_PROVIDERS__LOCAL__DIALECT": "openai",
        "HEADRACE_PROVIDERS__LOCAL__BASE_URL": "http://127.0.0.1:8000/v1/",
        "HEADRACE_PROVIDERS__LOCAL__MODELS": "llama",
    }

    settings = load(None, environ)

    assert "local/llama" == settings.effective_default_model
    assert "http://127.0.0.1:8000/v1" == settings.providers["local"].base_url


def test_a_credential_can_name_a_provider_with_a_dash(
    credentials: Callable[..., dict[str, str]],
) -> None:
    environ = credentials(**{"providers.qianfan-v1.access_token": "24.abc\n", ".hidden": "x"})

    token = load(None, environ).providers["qianfan-v1"].access_token

    assert token is not None
    assert "24.abc" == token.get_secret_value()


def test_credentials_of_a_folder_go_without_the_prefix_that_systemd_gives_them(
    credentials: Callable[..., dict[str, str]],
) -> None:
    environ = credentials(**{"headrace_relay.drain_seconds": "7\n", "headrace_prot": "1"})

    file = Path(environ["CREDENTIALS_DIRECTORY"], "headrace_prot")
    assert f"credential prot (in {file}): unknown setting" == complaint(environ=environ)
    file.unlink()
    assert 7 == load(None, environ).relay.drain_seconds


def test_a_credentials_folder_that_cannot_be_read_is_an_error() -> None:
    assert "cannot read the credentials in gone: No such file or directory" == complaint(
        environ={"CREDENTIALS_DIRECTORY": "gone"}
    )


# What is unknown


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
    assert variable in complaint(environ={variable: "1"})


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
    assert f"{name}: unknown setting" in complaint(toml(text))


def test_an_unknown_credential_is_named(credentials: Callable[..., dict[str, str]]) -> None:
    environ = credentials(**{"provider.openai.api_key": SECRET})

    file = Path(environ["CREDENTIALS_DIRECTORY"], "provider.openai.api_key")
    line = complaint(environ=environ)
    assert f"credential provider.openai.api_key (in {file}): unknown setting" == line


# What is wrong


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
        ("[providers.x]\nmodels = ['m']", "providers.x.dialect: is required"),
        ("[storage]\nurl = 'postgres://x'", "storage.url: should be sqlite:///path, mongodb"),
        ("[storage]\nurl = 'sqlite:///'", "storage.url: should be sqlite:///path, mongodb"),
        ('[storage]\nurl = "sqlite:///a\\u0000"', "storage.url: should be sqlite:///path, mongodb"),
        (
            '[storage]\nurl = "sqlite:///a.db\\r"',
            "storage.url: has a blank or a line end at its end",
        ),
        ("[cors]\nallow_origins = ['*']", "cors.allow_origins.0: an origin is written"),
        ("[cors]\nallow_origins = ['https://a/']", "cors.allow_origins.0: an origin is written"),
        ("[relay]\nmax_answer_chars = 3_000_001", "relay.max_answer_chars: should be less"),
        ("[relay]\nlease_seconds = 2", "relay: lease_seconds should be at least three times"),
    ],
)
def test_a_wrong_value_is_named_and_explained(
    toml: Callable[..., Path], text: str, line: str
) -> None:
    assert complaint(toml(text)).startswith(line)


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

    assert f"(in {file})" in complaint(file)


def test_what_a_variable_says_is_not_laid_at_the_files_door(toml: Callable[..., Path]) -> None:
    file = toml("port = 1\n[relay]\nlease_seconds = 30\n")

    for name in ("HEADRACE_PORT", "HEADRACE_RELAY__LEASE_SECONDS"):
        line = complaint(file, {name: "-1"})
        assert line.startswith(f"{name}: ")
        assert "some.toml" not in line
    line = complaint(file, {"HEADRACE_CORS__ALLOW_ORIGINS": "https://a.example, *"})
    assert line.startswith("HEADRACE_CORS__ALLOW_ORIGINS: an origin is written")
    line = complaint(file, {"HEADRACE_RELAY__LEASE_SECONDS": "2"})  # wrong beside another one
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
            line = complaint(file)
    finally:
        closed.chmod(0o700)
    assert f"cannot read {file}: Permission denied" == line


def test_a_credential_that_cannot_be_read_is_named(credentials: Callable[..., Any]) -> None:
    environ = credentials(**{"auth.secret": "x"})
    file = Path(environ["CREDENTIALS_DIRECTORY"], "auth.secret")

    file.write_bytes(b"\xff\xfe")

    assert f"the credential {file} is not UTF-8 text" == complaint(environ=environ)


@pytest.mark.parametrize(
    ("text", "problem"),
    [(None, "cannot read {}: No such file or directory"), ("x", "{} holds no certificates in PEM")],
)
def test_a_ca_file_that_is_none_is_named_at_the_start(
    toml: Callable[..., Path], tmp_path: Path, text: str | None, problem: str
) -> None:
    file = tmp_path / "ca.pem"
    if text is not None:
        file.write_text(text)
    table = f"[providers.openai]\napi_key = 'k'\nca_certs = '{file}'"

    line = complaint(toml(table))

    assert line.startswith(f"providers.openai.ca_certs: {problem.format(file)} (in ")


def test_a_wrong_variable_is_called_by_its_own_name() -> None:
    line = complaint(environ={"HEADRACE_PORT": "http"})

    assert line.startswith("HEADRACE_PORT: should be a valid integer")


def test_everything_wrong_is_said_at_once() -> None:
    line = complaint(environ={"HEADRACE_PORT": "-1", "HEADRACE_PROT": "1"})

    assert "HEADRACE_PORT: " in line
    assert "HEADRACE_PROT: " in line


def test_a_variable_cannot_be_a_value_and_a_table() -> None:
    environ = {"HEADRACE_STORAGE": "x", "HEADRACE_STORAGE__URL": "y"}

    assert "HEADRACE_STORAGE__URL" in complaint(environ=environ)


def test_a_name_with_a_line_end_still_makes_one_line(toml: Callable[..., Path]) -> None:
    file = toml('"a\\nb" = 1')
    assert f"a b: unknown setting (in {file})" == complaint(file)


@pytest.mark.parametrize("name", ["OpenAI", "my provider", "a/b", "-x"])
def test_a_providers_name_is_plain(toml: Callable[..., Path], name: str) -> None:
    line = complaint(toml(f'[providers."{name}"]\ndialect = "demo"'))

    assert f"providers.{name}: a provider's name is made of" in line


# Who may reach us


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.9.10", "::1"])
def test_without_authentication_loopback_is_open(host: str) -> None:
    assert host == Settings(host=host).host


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "example.org", "localhost.x"])
def test_without_authentication_nothing_but_loopback_is_open(host: str) -> None:
    line = complaint(environ={"HEADRACE_HOST": host})

    assert "auth.mode" in line
    assert f"host should be loopback, not {host}" in line


@pytest.mark.parametrize(
    ("given", "host"), [("[::1]", "::1"), ("[::]", "::"), ("0:0::0", "::"), ("::1", "::1")]
)
def test_brackets_around_an_address_are_none_of_it(given: str, host: str) -> None:
    assert host == Settings(host=given, auth={"mode": "keys", "secret": LONG}).host


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1:8080", "[::1]:8080", "localhost:80", "http://0.0.0.0", "[127.0.0.1]", "[::"),
        *("127.0.0.1\r", " localhost", "::1 "),  # of a file that another system wrote
    ],
)
def test_a_host_with_more_than_a_host_in_it_stops_the_start(host: str) -> None:
    line = complaint(environ={"HEADRACE_HOST": host})

    assert line.startswith("HEADRACE_HOST: should be an address or a name alone")


def test_a_socket_in_the_file_system_is_open_without_authentication() -> None:
    assert "unix:/run/headrace.sock" == Settings(host="unix:/run/headrace.sock").host


JWT = """
    [auth.jwt]
    issuer = "https://id.example.org/"
    audience = "headrace"
    algorithms = "RS256, ES256"
    jwks_url = "https://id.example.org/keys"
"""
LONG = "x" * 32


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
        ('mode = "keys"', 'auth: secret is required for mode "keys": 32 characters or more'),
        (f'mode = "jwt"\n{JWT}', 'auth: secret is required for mode "jwt"'),
        (f'mode = "jwt"\nsecret = "{LONG}"', 'auth: mode "jwt" needs the table auth.jwt'),
        (f'mode = "keys"\nsecret = "{LONG}"\n{JWT}', 'auth: jwt is for mode "jwt", not for "keys"'),
        (JWT, 'auth: jwt is for mode "jwt", not for "none"'),
        ('mode = "keys"\nsecret = "short"', "auth.secret: should have at least 32 characters"),
        (f'mode = "keys"\nsecret = "{LONG} "', "auth.secret: should be printable ASCII"),
    ],
)
def test_ways_in_that_do_not_fit_together_stop_the_start(
    toml: Callable[..., Path], auth: str, line: str
) -> None:
    table = auth if auth.lstrip().startswith("[") else f"[auth]\n{auth}"

    assert complaint(toml(table)).startswith(line)


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ('algorithms = ["none"]', "auth.jwt.algorithms.0: should be 'RS256'"),
        ('algorithms = ["HS256"]', "auth.jwt.algorithms.0: should be 'RS256'"),
        ("algorithms = []", "auth.jwt.algorithms: "),
        ("audience = []", "auth.jwt.audience: "),
        ('issuer = ""', "auth.jwt.issuer: "),
        ('jwks_url = "http://id.example.org/keys"', "auth.jwt.jwks_url: should be https"),
        ('jwks_url = "https://u:p@id.example.org/keys"', "auth.jwt.jwks_url: should hold neither"),
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

    assert complaint(toml(table)).startswith(problem)


def test_commands_for_keys_need_to_know_where_the_store_is_and_nothing_else(
    toml: Callable[..., Path],
) -> None:
    file = toml('[auth]\nmode = "keys"\n[providers.openai]\n[storage]\nurl = "sqlite:///x.db"')

    assert "sqlite:///x.db" == load_storage(file, {}).url
    assert "sqlite:///y.db" == load_storage(file, {"HEADRACE_STORAGE__URL": "sqlite:///y.db"}).url
    with pytest.raises(SettingsError, match=r"storage\.url: should be sqlite"):
        load_storage(toml('[storage]\nurl = "x"'), {})


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("", ""),
        ("/", ""),
        ("/chat", "/chat"),
        ("/chat/", "/chat"),
        ("/tools/chat-2.0/", "/tools/chat-2.0"),
        ("/~ada/chat", "/~ada/chat"),
        ("/api/chat", "/api/chat"),
    ],
)
def test_the_path_below_which_a_proxy_has_it_goes_without_the_last_slash(
    given: str, path: str
) -> None:
    assert path == load(None, {"HEADRACE_BASE_PATH": given}).base_path


@pytest.mark.parametrize(
    "path",
    [
        *(
            "chat",
            "//chat",
            "/a//b",
            "/..",
            "/a/../b",
            "/.",
            "/a b",
            "/a%20b",
            "/a?b",
            "/a#b",
            "/é",
        ),
        *("http://x/chat", "/a\n", "/api", "/api/v1", "/api/v1/chat", "/assets", "/c/", "/healthz"),
        *("/c/chat", "/assets/chat"),
    ],
)
def test_a_path_that_could_be_another_one_stops_the_start(path: str) -> None:
    assert complaint(environ={"HEADRACE_BASE_PATH": path}).startswith("HEADRACE_BASE_PATH: ")


# Providers


@pytest.mark.parametrize(
    ("dialect", "secrets", "base_url", "model"),
    [
        ("openai", {"api_key": "k"}, "https://api.openai.com/v1", "gpt-4o-mini"),
        ("dashscope", {"api_key": "k"}, "https://dashscope.aliyuncs.com/api/v1", "qwen-plus"),
        ("qianfan", {"api_key": "k"}, "https://qianfan.baidubce.com/v2", "ernie-4.5-turbo-128k"),
        ("qianfan-v1", {"access_token": "k"}, "https://aip.baidubce.com", "ERNIE-Speed-128K"),
        ("demo", {}, "", "demo"),
    ],
)
def test_a_dialect_brings_its_public_address_and_a_model(
    dialect: str, secrets: dict[str, str], base_url: str, model: str
) -> None:
    settings = provider({"dialect": dialect, **secrets})

    assert base_url == settings.providers["it"].base_url
    assert f"it/{model}" == settings.effective_default_model


def provider(given: dict[str, Any]) -> Settings:
    """Settings with this one provider, named `it`."""
    return Settings.model_validate({"providers": {"it": given}})


def test_a_provider_named_after_a_dialect_speaks_it(toml: Callable[..., Path]) -> None:
    settings = load(toml("[providers.dashscope]\napi_key = 'k'"), {})

    assert "dashscope" == settings.providers["dashscope"].dialect


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"dialect": "openai"}, "api_key is required for https://api.openai.com/v1"),
        ({"dialect": "dashscope"}, "api_key is required"),
        ({"dialect": "qianfan"}, "api_key is required"),
        ({"dialect": "qianfan-v1"}, "needs api_key and secret_key, or access_token"),
        ({"dialect": "qianfan-v1", "api_key": "a"}, "needs api_key and secret_key"),
        ({"dialect": "qianfan-v1", "secret_key": "a"}, "needs api_key and secret_key"),
        (
            {"dialect": "qianfan-v1", "api_key": "a", "secret_key": "b", "access_token": "c"},
            "or access_token in their place",
        ),
        ({"dialect": "openai", "api_key": "a", "secret_key": "b"}, "secret_key is not for"),
        ({"dialect": "demo", "api_key": "a"}, "api_key is not for the demo dialect"),
        ({"dialect": "demo", "base_url": "http://x"}, "base_url is not for the demo dialect"),
        (
            {"dialect": "openai", "api_key": "a", "incremental_output": False},
            "incremental_output is not for the openai dialect",
        ),
        ({"dialect": "openai", "api_key": ""}, "printable ASCII"),
        ({"dialect": "openai", "api_key": "a\r\nX-Evil: 1"}, "printable ASCII"),
        ({"dialect": "openai", "api_key": "a", "ca_certs": "gone.pem"}, "cannot read gone.pem"),
        ({"dialect": "openai", "base_url": "ftp://x/v1"}, "should be an address"),
        ({"dialect": "openai", "base_url": "api.openai.com"}, "should be an address"),
        ({"dialect": "openai", "base_url": "http://h/v1\r\nX-Evil: 1"}, "should be an address"),
        ({"dialect": "openai", "base_url": "http://[::1/v1"}, "should be an address"),
        ({"dialect": "openai", "base_url": "http://x/v1?key=1"}, "neither user, password, query"),
        ({"dialect": "openai", "base_url": "http://u:p@x/v1"}, "neither user, password, query"),
        ({"dialect": "demo", "models": [""]}, "at least 1 character"),
        *(
            ({"dialect": "openai", "api_key": "a", "proxy": proxy}, "should be ")
            for proxy in ("proxy:3128", "https://p:1", "socks5://p:1", "http://p", "http://p:1/x")
        ),
    ],
)
def test_a_provider_that_cannot_work_is_refused(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(problem)):
        provider(given)


def test_a_server_of_ones_own_needs_no_key() -> None:
    settings = provider({"dialect": "openai", "base_url": "http://127.0.0.1:8000/v1"})

    assert settings.providers["it"].api_key is None


def test_a_proxy_may_have_a_user_and_a_password() -> None:
    proxy = "http://user:pass@proxy.example:3128"
    settings = provider({"dialect": "openai", "api_key": "k", "proxy": proxy})

    assert proxy == settings.providers["it"].proxy


def test_the_default_model_names_a_provider_that_is_there(toml: Callable[..., Path]) -> None:
    assert "'openai', but there is only demo" in complaint(toml("default_model = 'openai/x'"))
    assert "<provider>/<model>" in complaint(toml("default_model = 'gpt-4o'"))


def test_a_model_may_have_slashes_in_its_name() -> None:
    settings = Settings(default_model="demo/meta-llama/llama-3")

    assert "demo/meta-llama/llama-3" == settings.effective_default_model


# Keys under their vendors' names


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({"OPENAI_API_KEY": "a"}, "openai"),
        ({"DASHSCOPE_API_KEY": "a"}, "dashscope"),
        ({"QIANFAN_API_KEY": "a"}, "qianfan"),
        ({"QIANFAN_ACCESS_KEY": "a", "QIANFAN_SECRET_KEY": "b"}, "qianfan-v1"),
        ({"QIANFAN_AK": "a", "QIANFAN_SK": "b"}, "qianfan-v1"),
    ],
)
def test_a_vendors_key_switches_its_provider_on(environ: dict[str, str], name: str) -> None:
    settings = load(None, environ)

    assert [name] == list(settings.providers)
    key = settings.providers[name].api_key
    assert key is not None
    assert "a" == key.get_secret_value()
    assert settings.effective_default_model.startswith(f"{name}/")


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ("QIANFAN_ACCESS_KEY", "QIANFAN_SECRET_KEY"),
        ("QIANFAN_SECRET_KEY", "QIANFAN_ACCESS_KEY"),
        ("QIANFAN_AK", "QIANFAN_SK"),
        ("QIANFAN_SK", "QIANFAN_AK"),
    ],
)
def test_half_a_pair_is_an_error(given: str, missing: str) -> None:
    assert f"{given} is set, but {missing} is not" == complaint(environ={given: SECRET})


def test_an_empty_key_is_no_key() -> None:
    assert ["demo"] == list(load(None, {"OPENAI_API_KEY": ""}).providers)


def test_a_vendors_key_fills_in_what_the_file_leaves_out(toml: Callable[..., Path]) -> None:
    file = toml("""
        [providers.openai]
        base_url = "http://127.0.0.1:9/v1"
        models = ["m"]
    """)

    it = load(file, {"OPENAI_API_KEY": "a"}).providers["openai"]

    assert ("http://127.0.0.1:9/v1", ("m",)) == (it.base_url, it.models)
    assert it.api_key is not None
    assert "a" == it.api_key.get_secret_value()


def test_a_vendors_key_never_beats_a_configured_one(toml: Callable[..., Path]) -> None:
    file = toml("[providers.openai]\napi_key = 'mine'\n[providers.qianfan-v1]\naccess_token = 't'")
    environ = {"OPENAI_API_KEY": "a", "QIANFAN_AK": "b", "QIANFAN_SK": "c"}

    providers = load(file, environ).providers

    assert providers["openai"].api_key is not None
    assert "mine" == providers["openai"].api_key.get_secret_value()
    assert providers["qianfan-v1"].api_key is None


def test_a_vendors_key_is_not_given_to_another_dialect(toml: Callable[..., Path]) -> None:
    file = toml("[providers.openai]\ndialect = 'demo'")

    assert load(file, {"OPENAI_API_KEY": "a"}).providers["openai"].api_key is None


def test_a_configured_provider_stays_the_default_beside_a_vendors_key(
    toml: Callable[..., Path],
) -> None:
    file = toml("[providers.local]\ndialect = 'openai'\nbase_url = 'http://x/v1'\nmodels = ['m']")

    settings = load(file, {"OPENAI_API_KEY": "a"})

    assert ["local", "openai"] == list(settings.providers)
    assert "local/m" == settings.effective_default_model


# Secrets


def full_of_secrets() -> Settings:
    """Settings with a secret in every place that can hold one."""
    return Settings.model_validate(
        {
            "storage": {
                "url": f"mongodb://u:{SECRET}@h/db?tls=true&tlsCertificateKeyFilePassword={SECRET}"
            },
            "providers": {
                "openai": {"api_key": SECRET, "proxy": f"http://u:{SECRET}@proxy:3128"},
                "qianfan-v1": {"api_key": SECRET, "secret_key": SECRET},
                "v1-token": {"dialect": "qianfan-v1", "access_token": SECRET},
            },
        }
    )


def test_no_secret_shows_in_a_repr() -> None:
    assert SECRET not in repr(full_of_secrets())
    assert SECRET not in str(full_of_secrets())


def test_the_description_masks_every_secret() -> None:
    text = describe(full_of_secrets())

    assert SECRET not in text
    shown = tomllib.loads(text)
    assert (
        f"mongodb://u:{MASK}@h/db?tls=true&tlsCertificateKeyFilePassword={MASK}"
        == shown["storage"]["url"]
    )
    assert f"http://u:{MASK}@proxy:3128" == shown["providers"]["openai"]["proxy"]
    assert MASK == shown["providers"]["openai"]["api_key"]


@pytest.mark.parametrize(
    "text",
    [
        f"[storage]\nurl = 'postgres://u:{SECRET}@h/db'",
        f"[providers.openai]\napi_key = '{SECRET} '",
        f"[providers.openai]\napi_key = ['{SECRET}']",
        f"[providers.openai]\nbase_url = 'http://u:{SECRET}@h/v1'",
        f"[providers.openai]\nbase_url = 'http://h:{SECRET}/v1'",
        f"[providers.openai]\nproxy = 'http://u:{SECRET}@h'",
        f"[providers.openai]\nproxy = 'socks5://u:{SECRET}@h:1'",
        f"[providers.openai]\ndialect = '{SECRET}'",
        f"[providers.qianfan-v1]\napi_key = '{SECRET}'",
        f"[providers]\nopenai = '{SECRET}'",
        f"storage = '{SECRET}'",
        f"nosuch = '{SECRET}'",
    ],
)
def test_no_secret_shows_in_an_error_nor_in_what_caused_it(
    toml: Callable[..., Path], text: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        load(toml(text), {})

    assert SECRET not in str(caught.value)
    assert SECRET not in str(caught.value.__cause__)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("mongodb://h:27017/db", "mongodb://h:27017/db"),
        ("mongodb://user@h/db", "mongodb://user@h/db"),
        ("mongodb://u:a/b@c@h1,h2/db", f"mongodb://u:{MASK}@h1,h2/db"),
        (
            "mongodb://h/?authMechanismProperties=AWS_SESSION_TOKEN:x&tls=true",
            f"mongodb://h/?authMechanismProperties={MASK}&tls=true",
        ),
        ("sqlite:///data/headrace.db", "sqlite:///data/headrace.db"),
    ],
)
def test_an_address_is_shown_without_its_password(url: str, shown: str) -> None:
    assert shown == masked(url)


# The description


def test_the_description_can_be_read_back(toml: Callable[..., Path], tmp_path: Path) -> None:
    settings = Settings.model_validate(
        {
            "port": 0,
            "default_model": 'local/"模型"\x7f\n',
            "providers": {
                "local": {
                    "dialect": "openai",
                    "base_url": "http://h/v1",
                    "models": ["a", "b"],
                    "ca_certs": ca_file(tmp_path),
                },
                "demo": {},
            },
            "timeouts": {"idle": 1e30, "connect": 0.25},
        }
    )

    assert settings == load(toml(describe(settings)), {})


def test_the_description_shows_what_is_in_effect() -> None:
    shown = tomllib.loads(describe(load(None, {"OPENAI_API_KEY": "a"})))

    assert "openai/gpt-4o-mini" == shown["default_model"]
    assert "https://api.openai.com/v1" == shown["providers"]["openai"]["base_url"]
    assert 4.0 == shown["relay"]["heartbeat_seconds"]


# The README


@pytest.mark.parametrize("page", sorted(ROOT.glob("README*.md")), ids=lambda page: page.name)
def test_the_settings_in_the_readme_are_settings(toml: Callable[..., Path], page: Path) -> None:
    blocks = re.findall(r"```toml\n(.*?)```", page.read_text("utf-8"), re.DOTALL)

    assert blocks
    for block in blocks:
        load(toml(block.replace("…", "x")), {})
