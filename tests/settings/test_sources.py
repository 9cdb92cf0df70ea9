"""Where values come from, and which beats which."""

from collections.abc import Callable
from pathlib import Path

import pytest

from settings import SettingsError, load, load_storage
from tests.settings.steps import SECRET, error_message


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

    assert "the settings file gone.toml does not exist" == error_message(config, environ)


def test_metrics_on_the_servers_own_port_are_told_before_it_is_found_taken(
    toml: Callable[[str], Path],
) -> None:
    own = "metrics.port should not be the server's own port, 9000"
    assert own in error_message(toml("port = 9000\n[metrics]\nport = 9000\n"))
    load(toml("port = 9000\nhost = '::1'\n[metrics]\nport = 9000\n"), {})
    load(toml("port = 0\n[metrics]\nport = 0\n"), {})


def test_a_file_that_is_not_toml_is_an_error_that_says_where(toml: Callable[..., Path]) -> None:
    line = error_message(toml(f'port = 1\n[providers.openai]\napi_key = "{SECRET}\n'))

    assert "some.toml is not valid TOML" in line
    assert "line 3" in line
    assert SECRET not in line


def test_brackets_without_end_are_not_toml_either(toml: Callable[..., Path]) -> None:
    assert "some.toml is not valid TOML" in error_message(toml("x = " + "[" * 5000 + "]" * 5000))


def test_a_file_that_is_not_utf_8_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "latin.toml"
    file.write_bytes('host = "caf\xe9"'.encode("latin-1"))

    assert "latin.toml is not UTF-8 text" in error_message(file)


def test_a_list_in_a_variable_is_separated_by_commas() -> None:
    environ = {
        "HEADRACE_CORS__ALLOW_ORIGINS": "https://a.example, http://localhost:5173",
        "HEADRACE_PROVIDERS__DEMO__MODELS": "slow,quick",
    }

    settings = load(None, environ)

    assert ("https://a.example", "http://localhost:5173") == settings.cors.allow_origins
    assert ("slow", "quick") == settings.providers["demo"].models


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
    assert f"credential prot (in {file}): unknown setting" == error_message(environ=environ)
    file.unlink()
    assert 7 == load(None, environ).relay.drain_seconds


def test_a_credentials_folder_that_cannot_be_read_is_an_error() -> None:
    assert "cannot read the credentials in gone: No such file or directory" == error_message(
        environ={"CREDENTIALS_DIRECTORY": "gone"}
    )


def test_commands_for_keys_need_to_know_where_the_store_is_and_nothing_else(
    toml: Callable[..., Path],
) -> None:
    file = toml('[auth]\nmode = "keys"\n[providers.openai]\n[storage]\nurl = "sqlite:///x.db"')

    assert "sqlite:///x.db" == load_storage(file, {}).url
    assert "sqlite:///y.db" == load_storage(file, {"HEADRACE_STORAGE__URL": "sqlite:///y.db"}).url
    with pytest.raises(SettingsError, match=r"storage\.url: should be sqlite"):
        load_storage(toml('[storage]\nurl = "x"'), {})
