"""Settings of providers, and of the model that is asked when none is named."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from settings import Settings, load
from tests.settings.steps import error_message


@pytest.mark.parametrize(
    ("dialect", "secrets", "base_url", "model"),
    [
        ("openai", {"api_key": "k"}, "https://api.openai.com/v1", "gpt-4o-mini"),
        ("openai-responses", {"api_key": "k"}, "https://api.openai.com/v1", "gpt-5-mini"),
        ("dashscope", {"api_key": "k"}, "https://dashscope.aliyuncs.com/api/v1", "qwen-plus"),
        ("qianfan", {"api_key": "k"}, "https://qianfan.baidubce.com/v2", "ernie-4.5-turbo-128k"),
        ("qianfan-v1", {"access_token": "k"}, "https://aip.baidubce.com", "ERNIE-Speed-128K"),
        ("anthropic", {"api_key": "k"}, "https://api.anthropic.com", "claude-haiku-4-5"),
        (
            "gemini",
            {"api_key": "k"},
            "https://generativelanguage.googleapis.com/v1beta",
            "gemini-3.5-flash-lite",
        ),
        ("ollama", {}, "http://127.0.0.1:11434", "llama3.2"),
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
        ({"dialect": "qianfan-v1"}, "requires api_key and secret_key, or access_token"),
        ({"dialect": "qianfan-v1", "api_key": "a"}, "requires api_key and secret_key"),
        ({"dialect": "qianfan-v1", "secret_key": "a"}, "requires api_key and secret_key"),
        (
            {"dialect": "qianfan-v1", "api_key": "a", "secret_key": "b", "access_token": "c"},
            "or access_token instead",
        ),
        (
            {"dialect": "openai", "api_key": "a", "secret_key": "b"},
            "secret_key is not a setting of",
        ),
        ({"dialect": "demo", "api_key": "a"}, "api_key is not a setting of the demo dialect"),
        (
            {"dialect": "demo", "base_url": "http://x"},
            "base_url is not a setting of the demo dialect",
        ),
        (
            {"dialect": "openai", "api_key": "a", "incremental_output": False},
            "incremental_output is not a setting of the openai dialect",
        ),
        (
            {"dialect": "openai", "api_key": "a", "prompt_cache": False},
            "prompt_cache is not a setting of the openai dialect",
        ),
        ({"dialect": "anthropic", "api_key": "a", "anthropic_version": "2"}, "match pattern"),
        (
            {"dialect": "openai", "api_key": "a", "reasoning_summary": "auto"},
            "reasoning_summary is not a setting of the openai dialect",
        ),
        (
            {"dialect": "openai-responses", "api_key": "a", "reasoning_summary": "long"},
            "'auto', 'concise' or 'detailed'",
        ),
        (
            {"dialect": "openai", "api_key": "a", "num_ctx_max": 4096},
            "num_ctx_max is not a setting of the openai dialect",
        ),
        ({"dialect": "demo", "first_token_timeout": 5}, "first_token_timeout is not a setting of"),
        ({"dialect": "ollama", "num_ctx_min": 0}, "greater than 0"),
        ({"dialect": "ollama", "num_ctx_max": -1}, "greater than or equal to 0"),
        *(
            ({"dialect": "ollama", "keep_alive": value}, "should be a number of seconds, a time")
            for value in ("", "soon", "5 m", "m", "1.5", "--1")
        ),
        (
            {"dialect": "openai", "api_key": "a", "include_thoughts": True},
            "include_thoughts is not a setting of the openai dialect",
        ),
        ({"dialect": "openai", "api_key": ""}, "printable ASCII"),
        ({"dialect": "openai", "api_key": "a\r\nX-Evil: 1"}, "printable ASCII"),
        ({"dialect": "openai", "api_key": "a", "ca_certs": "gone.pem"}, "cannot read gone.pem"),
        ({"dialect": "openai", "base_url": "ftp://x/v1"}, "should be an address"),
        ({"dialect": "openai", "base_url": "api.openai.com"}, "should be an address"),
        ({"dialect": "openai", "base_url": "http://h/v1\r\nX-Evil: 1"}, "should be an address"),
        ({"dialect": "openai", "base_url": "http://[::1/v1"}, "should be an address"),
        (
            {"dialect": "openai", "base_url": "http://x/v1?key=1"},
            "should not contain a user, password, query",
        ),
        (
            {"dialect": "openai", "base_url": "http://u:p@x/v1"},
            "should not contain a user, password, query",
        ),
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


@pytest.mark.parametrize("given", [-1, 0, 300, "-1", "30m", "1h30m", "1.5h", "500ms"])
def test_ollama_keeps_models_for_seconds_or_times(given: int | str) -> None:
    settings = provider({"dialect": "ollama", "keep_alive": given})

    assert str(given) == settings.providers["it"].keep_alive


def test_a_proxy_may_have_a_user_and_a_password() -> None:
    proxy = "http://user:pass@proxy.example:3128"
    settings = provider({"dialect": "openai", "api_key": "k", "proxy": proxy})

    assert proxy == settings.providers["it"].proxy


def test_the_default_model_names_a_provider_that_is_there(toml: Callable[..., Path]) -> None:
    assert "'openai', but only these are configured: demo" in error_message(
        toml("default_model = 'openai/x'")
    )
    assert "<provider>/<model>" in error_message(toml("default_model = 'gpt-4o'"))


def test_a_model_may_have_slashes_in_its_name() -> None:
    settings = Settings(default_model="demo/meta-llama/llama-3")

    assert "demo/meta-llama/llama-3" == settings.effective_default_model


def test_a_provider_may_have_any_name_if_its_preset_is_given() -> None:
    settings = provider({"preset": "groq", "api_key": "k"})

    it = settings.providers["it"]
    assert ("groq", "openai", "https://api.groq.com/openai/v1") == (
        it.preset,
        it.dialect,
        it.base_url,
    )


def test_a_provider_named_after_a_preset_is_it_unless_its_dialect_is_another(
    toml: Callable[..., Path],
) -> None:
    file = toml("""
        [providers.mistral]
        api_key = "k"
        [providers.xai]
        dialect = "anthropic"
        base_url = "http://127.0.0.1:9"
    """)

    providers = load(file, {}).providers

    assert ("mistral", "openai") == (providers["mistral"].preset, providers["mistral"].dialect)
    assert ("anthropic", "anthropic") == (providers["xai"].preset, providers["xai"].dialect)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"preset": "grok", "api_key": "k"}, "should be one of openai, "),
        (
            {"preset": "groq", "dialect": "anthropic", "api_key": "k"},
            "preset groq has the dialect openai: set only one of them",
        ),
        ({"preset": "groq"}, "api_key is required for https://api.groq.com/openai/v1"),
        ({"preset": "azure-openai", "api_key": "k"}, "base_url is required for azure-openai"),
        (
            {"preset": "azure-openai", "base_url": "https://x.openai.azure.com"},
            "api_key is required",
        ),
        (
            {"preset": "groq", "api_key": "k", "api_version": "2024-10-21"},
            "api_version is not a setting of the openai dialect",
        ),
        ({"preset": "groq", "api_key": "k", "input_kinds": ["video"]}, "'image'"),
    ],
)
def test_a_preset_that_cannot_work_is_refused(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(problem)):
        provider(given)


def test_a_preset_has_switches_that_settings_override() -> None:
    usual = provider({"preset": "mistral", "api_key": "k"}).providers["it"]
    set_by_hand = provider({"preset": "mistral", "api_key": "k", "stream_options": True})

    assert (False, True) == (
        usual.switches.stream_options,
        set_by_hand.providers["it"].switches.stream_options,
    )


def test_what_questions_may_carry_can_be_set_for_a_provider_and_for_single_models() -> None:
    given = {"preset": "deepseek", "api_key": "k"}
    usual = provider(given).providers["it"]
    seeing = provider(
        {**given, "input_kinds": "image,tool_result", "model_input_kinds": {"old-*": []}}
    ).providers["it"]

    assert {"tool_result"} == usual.input_kinds_of("deepseek-v4-flash")
    assert {"image", "tool_result"} == seeing.input_kinds_of("deepseek-v9-eyes")
    assert set() == seeing.input_kinds_of("old-coder")
