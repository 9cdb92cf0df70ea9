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
        ({"GEMINI_API_KEY": "a"}, "gemini"),
        ({"GOOGLE_API_KEY": "a"}, "gemini"),
        ({"GEMINI_API_KEY": "b", "GOOGLE_API_KEY": "a"}, "gemini"),  # as Google's tools choose
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


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("127.0.0.1:11434", "http://127.0.0.1:11434"),
        ("1.2.3.4", "http://1.2.3.4:11434"),
        (":56789", "http://127.0.0.1:56789"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("[::]:1234", "http://[::1]:1234"),
        ("[fd00::4]", "http://[fd00::4]:11434"),
        ("gpu.example", "http://gpu.example:11434"),
        ("gpu.example:80/ollama/", "http://gpu.example:80/ollama"),
        ("http://gpu.example", "http://gpu.example"),
        ("https://ollama.com", "https://ollama.com"),
        ("https://gpu.example:8443", "https://gpu.example:8443"),
        (" 1.2.3.4:5 ", "http://1.2.3.4:5"),
    ],
)
def test_ollamas_variable_switches_it_on_and_is_its_address(given: str, address: str) -> None:
    settings = load(None, {"OLLAMA_HOST": given})

    [(name, provider)] = settings.providers.items()
    assert ("ollama", address, None) == (name, provider.base_url, provider.api_key)
    assert settings.effective_default_model.startswith("ollama/")


@pytest.mark.parametrize("given", ["host:port", "[::1", "1.2.3.4:99999", "http://[zz]"])
def test_an_address_that_is_none_is_an_error(given: str) -> None:
    assert "OLLAMA_HOST should be an address such as host:port" == error_message(
        environ={"OLLAMA_HOST": given}
    )


def test_a_configured_address_is_kept(toml: Callable[..., Path]) -> None:
    file = toml("""
        [providers.ollama]
        base_url = "http://127.0.0.1:9"
        models = ["m"]
    """)

    settings = load(file, {"OLLAMA_HOST": "1.2.3.4"})

    assert "http://127.0.0.1:9" == settings.providers["ollama"].base_url


def test_a_key_does_not_keep_the_address_from_its_variable(toml: Callable[..., Path]) -> None:
    file = toml("""
        [providers.ollama]
        api_key = "a"
    """)

    settings = load(file, {"OLLAMA_HOST": "https://ollama.com"})

    assert "https://ollama.com" == settings.providers["ollama"].base_url


def test_a_vendors_key_is_for_a_provider_of_any_name_with_its_preset(
    toml: Callable[..., Path],
) -> None:
    file = toml("[providers.fast]\npreset = 'groq'")

    providers = load(file, {"GROQ_API_KEY": "a"}).providers

    assert ["fast"] == list(providers)
    assert providers["fast"].api_key is not None


def test_azures_key_comes_with_its_endpoint(toml: Callable[..., Path]) -> None:
    key, endpoint = {"AZURE_OPENAI_API_KEY": "a"}, "https://x.openai.azure.com"
    both = load(None, {**key, "AZURE_OPENAI_ENDPOINT": f"{endpoint}/", "OPENAI_API_VERSION": "2"})
    file = toml(f"[providers.azure-openai]\nbase_url = '{endpoint}'")

    it = both.providers["azure-openai"]
    assert (endpoint, "2") == (it.base_url, it.api_version)
    assert endpoint == load(file, key).providers["azure-openai"].base_url
    assert "AZURE_OPENAI_API_KEY is set, but AZURE_OPENAI_ENDPOINT is not" == error_message(
        environ=key
    )


def test_of_several_variables_of_one_vendor_the_first_whole_set_counts() -> None:
    environ = {"QIANFAN_ACCESS_KEY": "half", "QIANFAN_AK": "a", "QIANFAN_SK": "b"}

    it = load(None, {**environ, "QIANFAN_ACCESS_TOKEN": "c"}).providers["qianfan-v1"]

    assert it.api_key is not None
    assert ("a", None) == (it.api_key.get_secret_value(), it.access_token)


def test_a_vendors_address_is_read_only_with_its_key(toml: Callable[..., Path]) -> None:
    address = {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
    mine = toml("[providers.openai]\napi_key = 'mine'")

    with_key = load(None, {"OPENAI_API_KEY": "a", **address}).providers["openai"]

    assert "http://127.0.0.1:9/v1" == with_key.base_url
    assert ["demo"] == list(load(None, address).providers)
    assert "https://api.openai.com/v1" == load(mine, address).providers["openai"].base_url


def test_the_key_of_the_hosted_ollama_is_taken_with_its_address() -> None:
    environ = {"OLLAMA_HOST": "https://ollama.com", "OLLAMA_API_KEY": "a"}

    key = load(None, environ).providers["ollama"].api_key

    assert key is not None
    assert "a" == key.get_secret_value()
    assert ["demo"] == list(load(None, {"OLLAMA_API_KEY": "a"}).providers)


@pytest.mark.parametrize("others", [{}, {"AZURE_API_VERSION": "2025-01-01-preview"}])
def test_of_several_variables_of_one_setting_the_first_counts(others: dict[str, str]) -> None:
    azure = {"AZURE_OPENAI_API_KEY": "a", "AZURE_OPENAI_ENDPOINT": "https://x.openai.azure.com"}

    settings = load(None, {**azure, "OPENAI_API_VERSION": "2024-10-21", **others})

    assert "2024-10-21" == settings.providers["azure-openai"].api_version


def test_the_key_of_the_hosted_ollama_is_taken_with_a_configured_address(
    toml: Callable[..., Path],
) -> None:
    file = toml("[providers.ollama]\nbase_url = 'https://ollama.com'")

    key = load(file, {"OLLAMA_API_KEY": "a"}).providers["ollama"].api_key

    assert key is not None
    assert "a" == key.get_secret_value()


def test_spaces_around_azures_endpoint_do_not_matter() -> None:
    azure = {"AZURE_OPENAI_API_KEY": "a", "AZURE_OPENAI_ENDPOINT": " https://x.openai.azure.com/ "}
    assert "https://x.openai.azure.com" == load(None, azure).providers["azure-openai"].base_url
