"""Where Azure is asked, and with which header."""

import json

import pytest

from model.messages import Role
from model.prompt import Prompt, text_turn
from providers.azure_openai import AzureOpenAI

PROMPT = Prompt(model="my gpt/4", turns=(text_turn(Role.USER, "q"),), max_tokens=5)
DEPLOYMENT = "/openai/deployments/my%20gpt%2F4/chat/completions"


@pytest.mark.parametrize(
    ("base_url", "version", "url"),
    [
        (
            "https://x.openai.azure.com",
            None,
            f"https://x.openai.azure.com{DEPLOYMENT}?api-version=2024-10-21",
        ),
        (
            "https://x.openai.azure.com/openai",
            "2025-04-01-preview",
            f"https://x.openai.azure.com{DEPLOYMENT}?api-version=2025-04-01-preview",
        ),
        (
            "https://gateway.example/azure",
            None,
            f"https://gateway.example/azure{DEPLOYMENT}?api-version=2024-10-21",
        ),
        (
            "https://x.openai.azure.com/openai/v1",
            None,
            "https://x.openai.azure.com/openai/v1/chat/completions",
        ),
        (
            "https://x.openai.azure.com/openai/v1",
            "preview",
            "https://x.openai.azure.com/openai/v1/chat/completions?api-version=preview",
        ),
    ],
)
def test_the_address_has_the_deployment_and_the_version(
    base_url: str, version: str | None, url: str
) -> None:
    request = AzureOpenAI(base_url, api_version=version).request(PROMPT, "k")

    assert url == request.url
    assert ("k", None) == (request.headers["api-key"], request.headers.get("Authorization"))


def test_only_the_newer_api_is_told_to_leave_out_padding() -> None:
    bodies = [
        json.loads(AzureOpenAI(f"https://x.openai.azure.com{path}").request(PROMPT, "k").body)
        for path in ("", "/openai/v1")
    ]

    classic, newer = bodies
    assert {"include_usage": True} == classic["stream_options"]
    assert {"include_usage": True, "include_obfuscation": False} == newer["stream_options"]
    assert [5, 5] == [body["max_completion_tokens"] for body in bodies]
