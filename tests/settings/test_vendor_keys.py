"""Keys under their vendors' own names."""

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest

from settings import load
from tests.settings.steps import SECRET, error_message


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({"OPENAI_API_KEY": "a"}, "openai"),
        ({"DASHSCOPE_API_KEY": "a"}, "dashscope"),
        ({"QIANFAN_API_KEY": "a"}, "qianfan"),
        ({"ANTHROPIC_API_KEY": "a"}, "anthropic"),
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
    assert f"{given} is set, but {missing} is not" == error_message(environ={given: SECRET})


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


class TestOneKeyForSeveralProviders:
    """`openai` and `openai-responses` have the same key."""

    KEY: ClassVar = {"OPENAI_API_KEY": "a"}

    def test_it_is_for_the_one_that_is_configured(self, toml: Callable[..., Path]) -> None:
        settings = load(toml("[providers.openai-responses]\nmodels = ['gpt-5']"), self.KEY)

        assert ["openai-responses"] == list(settings.providers)
        key = settings.providers["openai-responses"].api_key
        assert key is not None
        assert "a" == key.get_secret_value()

    def test_it_is_for_both_if_both_are_configured(self, toml: Callable[..., Path]) -> None:
        file = toml("[providers.openai]\n[providers.openai-responses]")

        providers = load(file, self.KEY).providers

        assert ["openai", "openai-responses"] == list(providers)
        assert all(provider.api_key is not None for provider in providers.values())

    def test_the_other_one_may_have_a_key_of_its_own(self, toml: Callable[..., Path]) -> None:
        settings = load(toml("[providers.openai-responses]\napi_key = 'mine'"), self.KEY)

        assert ["openai-responses"] == list(settings.providers)
