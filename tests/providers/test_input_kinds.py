"""What a model takes of a prompt, in its question and in what it follows."""

from typing import cast

import pytest

from http_client.client import HttpClient
from model.blocks import Block, FileBlock, ImageBlock, TextBlock, ToolResultBlock
from model.messages import Role
from model.prompt import FileContent, Prompt, Turn, text_turn
from providers.building import build_provider
from providers.errors import UnsupportedPart
from providers.provider import Provider
from settings import ProviderSettings, TimeoutSettings

PNG = FileContent("image/png", "aGk=")


def built(**settings: object) -> Provider:
    configured = ProviderSettings.model_validate({"api_key": "k", **settings})
    return build_provider(
        "it",
        configured,
        base_url=configured.base_url,
        client=cast(HttpClient, None),  # nothing is sent
        timeouts=TimeoutSettings(),
    )


def asking(*blocks: Block, model: str = "m") -> Prompt:
    """A question with these blocks, and a text after its answer."""
    turns = (Turn(Role.USER, blocks), text_turn(Role.ASSISTANT, "a"), text_turn(Role.USER, "b"))
    return Prompt(model=model, turns=turns, files={"f": PNG})


@pytest.mark.parametrize(
    ("block", "kind"),
    [
        (ImageBlock(url="https://example.com/a.png"), "image_url"),
        (ImageBlock(file_id="f"), "image"),
        (FileBlock(url="https://example.com/a.pdf"), "file_url"),
        (FileBlock(file_id="f"), "file"),
        (ToolResultBlock("c", "21"), "tool_result"),
    ],
)
def test_a_part_in_the_history_is_refused_too(block: Block, kind: str) -> None:
    blind = built(preset="deepseek", input_kinds=[])
    seeing = built(preset="openrouter", input_kinds=[kind])

    with pytest.raises(UnsupportedPart) as refused:
        blind.check(asking(TextBlock("q"), block))

    assert kind == refused.value.kind
    assert {kind} == seeing.input_kinds("m")
    blind.check(asking(TextBlock("q")))


def test_models_of_one_provider_may_take_different_parts() -> None:
    provider = built(preset="xai", model_input_kinds={"*-code": ["tool_result"]})
    image = ImageBlock(url="https://example.com/a.png")

    provider.check(asking(image, model="grok-4.3"))

    with pytest.raises(UnsupportedPart):
        provider.check(asking(image, model="grok-code"))


@pytest.mark.parametrize(
    ("dialect", "kinds"),
    [
        ("ollama", {"image", "tool_result"}),
        ("dashscope", {"image", "image_url", "tool_result"}),
        ("qianfan-v1", {"tool_result"}),
    ],
)
def test_no_operator_makes_a_dialect_send_what_it_has_no_form_for(
    dialect: str, kinds: set[str]
) -> None:
    everything = ["image", "image_url", "file", "file_url", "tool_result"]
    keys = {"secret_key": "s"} if dialect == "qianfan-v1" else {}
    provider = built(dialect=dialect, base_url="http://x", input_kinds=everything, **keys)
    assert kinds == provider.input_kinds("m")


def test_an_operator_knows_better_than_the_table() -> None:
    image = ImageBlock(url="https://example.com/a.png")

    built(preset="deepseek", input_kinds=["image_url"]).check(asking(image))
    built(preset="deepseek", model_input_kinds={"m": ["image_url"]}).check(asking(image))

    with pytest.raises(UnsupportedPart):
        built(preset="deepseek").check(asking(image))
