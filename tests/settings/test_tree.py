"""The tree as a whole: its defaults, its names, and that it cannot be changed."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from settings import Settings, load

ROOT = Path(__file__).resolve().parents[2]


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


@pytest.mark.parametrize("page", sorted(ROOT.glob("README*.md")), ids=lambda page: page.name)
def test_the_settings_in_the_readme_are_settings(toml: Callable[..., Path], page: Path) -> None:
    blocks = re.findall(r"```toml\n(.*?)```", page.read_text("utf-8"), re.DOTALL)

    assert blocks
    for block in blocks:
        load(toml(block.replace("…", "x")), {})
