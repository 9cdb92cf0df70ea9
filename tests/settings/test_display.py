"""Settings as they are shown: no secret, and what is in effect."""

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from settings import MASK, Settings, SettingsError, describe, load, masked
from tests.settings.steps import SECRET, ca_file


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
