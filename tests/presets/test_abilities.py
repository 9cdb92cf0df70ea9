"""What a preset says that its models take is sent by its dialect; nothing else is let through."""

from typing import cast, get_args

import pytest

from http_client.client import HttpClient
from model.blocks import Block, FileBlock, ImageBlock, ToolCallBlock, ToolResultBlock
from model.messages import Role
from model.prompt import FileContent, Prompt, Tool, Turn, text_turn
from presets import PRESETS, InputKind
from providers.building import build_dialect, build_provider
from providers.errors import UnsupportedPart
from providers.provider import Provider
from settings import ProviderSettings, TimeoutSettings
from tests.presets.page import PAGE, configured_as, options_of, written

BLOCKS: dict[InputKind, tuple[Block, bytes]] = {
    "image": (ImageBlock(file_id="i", media_type="image/png"), b"aW1hZ2U="),
    "image_url": (ImageBlock(url="https://example.com/a.png"), b"https://example.com/a.png"),
    "file": (FileBlock(file_id="f", media_type="application/pdf", name="a.pdf"), b"ZmlsZQ=="),
    "file_url": (FileBlock(url="https://example.com/a.pdf"), b"https://example.com/a.pdf"),
    "tool_result": (ToolResultBlock("c", "21 degrees"), b"21 degrees"),
}
FILES = {
    "i": FileContent("image/png", "aW1hZ2U="),
    "f": FileContent("application/pdf", "ZmlsZQ==", "a.pdf"),
}


def built(name: str, configured: ProviderSettings) -> Provider:
    return build_provider(
        name,
        configured,
        base_url=configured.base_url,
        client=cast(HttpClient, None),  # nothing is sent
        timeouts=TimeoutSettings(),
    )


def prompt(name: str, block: Block) -> Prompt:
    turns = [text_turn(Role.USER, "What is it?")]
    if isinstance(block, ToolResultBlock):
        turns.append(Turn(Role.ASSISTANT, (ToolCallBlock("c", "weather", '{"city":"Paris"}'),)))
        turns.append(Turn(Role.USER, (block,)))
    else:
        turns = [Turn(Role.USER, (*turns[0].blocks, block))]
    tools = (Tool("weather"),) if isinstance(block, ToolResultBlock) else ()
    return Prompt(model=PRESETS[name].models[0], turns=tuple(turns), files=FILES, tools=tools)


@pytest.mark.parametrize("kind", get_args(InputKind))
@pytest.mark.parametrize("name", [name for name in PRESETS if name != "demo"])
def test_what_is_taken_is_sent(name: str, kind: InputKind) -> None:
    configured = configured_as(name)
    provider = built(name, configured)
    block, sent = BLOCKS[kind]
    asked = prompt(name, block)
    dialect = build_dialect(configured, configured.base_url)

    if kind in PRESETS[name].abilities.input_kinds:
        provider.check(asked)
        assert sent in dialect.request(asked, "k").body
    else:
        with pytest.raises(UnsupportedPart):
            provider.check(asked)


@pytest.mark.parametrize("name", [name for name in PRESETS if name != "demo"])
def test_what_a_vendor_is_said_to_know_its_dialect_sends(name: str) -> None:
    facts = PRESETS[name].abilities
    options = options_of(name)

    for option, known in {
        "tools": (facts.tools,),
        "response_format": (facts.json_object, facts.json_schema),
        "reasoning_effort": (facts.effort,),
        "reasoning_budget": (facts.budget,),
    }.items():
        is_known = any(fact.startswith(("yes", "some")) for fact in known)
        assert is_known == (option in options), option


def test_the_page_of_providers_has_todays_tables() -> None:
    page = PAGE.read_text("utf-8")

    assert written(page) == page
