"""Turns with tools, thinking, images and documents as messages of Anthropic's API."""

from typing import Any

import pytest

from model.blocks import (
    Block,
    FileBlock,
    ImageBlock,
    ProviderData,
    ReasoningBlock,
    TextBlock,
    ToolCallBlock,
    ToolResultBlock,
)
from model.messages import Role
from model.prompt import FileContent, Prompt, Turn, text_turn
from providers.anthropic import Anthropic
from providers.errors import UnsupportedPart
from tests.anthropic_framing import signature_of
from tests.providers.anthropic_steps import BUDGETED, HELLO, sent
from tests.providers.conversations import (
    FILE_URL,
    FILES,
    IMAGE_URL,
    STORED_FILE,
    STORED_IMAGE,
    WEATHER,
    assistant,
    call,
    rounds,
    user,
)
from tests.providers.outcome import ANTHROPIC

CACHING = Anthropic("https://api.anthropic.com", version="2023-06-01", prompt_cache=True)


def signed(text: str, model: str = BUDGETED) -> ReasoningBlock:
    value = {"type": "thinking", "signature": signature_of(model, text)}
    return ReasoningBlock(text, ProviderData("anthropic", model, value))


def test_three_rounds_of_two_calls_are_sent_with_their_results_first() -> None:
    asked = Turn(Role.USER, (*rounds(3)[-1].blocks, TextBlock("Go on.")))
    mixed = Turn(Role.USER, tuple(reversed(asked.blocks)))

    messages = sent(*rounds(3)[:-1], mixed, tools=(WEATHER,))["messages"]

    kinds = [[block["type"] for block in message["content"]] for message in messages]
    answer, results = ["text", "tool_use", "tool_use"], ["tool_result", "tool_result"]
    assert [["text"], *[answer, results] * 2, answer, [*results, "text"]] == kinds
    assert {
        "type": "tool_use",
        "id": "call_0_a",
        "name": "weather",
        "input": {"city": "Paris"},
    } == messages[1]["content"][1]
    assert [
        {"type": "tool_result", "tool_use_id": "call_0_a", "content": "20 °C"},
        {
            "type": "tool_result",
            "tool_use_id": "call_0_b",
            "content": "no such city",
            "is_error": True,
        },
    ] == messages[2]["content"]


def test_thinking_goes_back_unchanged_to_the_model_that_wrote_it() -> None:
    hidden = {"type": "redacted_thinking", "data": "Y2xhdWRlLWhhaWt1LTQtNSB0aG91Z2h0"}
    answer = assistant(
        signed("a first thought"),
        ReasoningBlock("", ProviderData("anthropic", BUDGETED, hidden)),
        call("c1", "Paris"),
    )
    turns = (*HELLO, answer, user(ToolResultBlock("c1", "sun")))

    messages = sent(*turns, tools=(WEATHER,), reasoning_effort="low")["messages"]

    signature = signature_of(BUDGETED, "a first thought")
    assert [
        {"type": "thinking", "thinking": "a first thought", "signature": signature},
        hidden,
    ] == messages[1]["content"][:2]


@pytest.mark.parametrize(
    "foreign",
    [
        signed("of another model", "claude-opus-4-1"),
        ReasoningBlock("unsigned"),
        ReasoningBlock("of another API", ProviderData("gemini", BUDGETED, "c2ln")),
    ],
)
def test_no_other_reasoning_is_sent(foreign: ReasoningBlock) -> None:
    messages = sent(*HELLO, assistant(foreign, TextBlock("yes")), *HELLO)["messages"]

    assert [{"type": "text", "text": "yes"}] == messages[1]["content"]


def test_hidden_thinking_after_a_call_stays_behind_it() -> None:
    hidden = {"type": "redacted_thinking", "data": "Y2xhdWRlLWhhaWt1LTQtNSB0aG91Z2h0"}
    first = ToolCallBlock("c1", "weather", "{}", ProviderData("anthropic", BUDGETED, hidden))
    results = user(ToolResultBlock("c1", "sun"), ToolResultBlock("c2", "rain"))

    turns = (*HELLO, assistant(signed("a"), first, call("c2", "Oslo")), results)
    messages = sent(*turns, tools=(WEATHER,), reasoning_effort="low")["messages"]

    kinds = [block["type"] for block in messages[1]["content"]]
    assert ["thinking", "tool_use", "redacted_thinking", "tool_use"] == kinds


def test_an_answer_that_was_cut_off_after_its_thinking_says_nothing() -> None:
    messages = sent(*HELLO, assistant(signed("a")), *HELLO)["messages"]
    assert ["user"] == [message["role"] for message in messages]

    messages = sent(*HELLO, assistant(TextBlock("a"), signed("b")), *HELLO)["messages"]
    assert [{"type": "text", "text": "a"}] == messages[1]["content"]


def test_ids_of_other_providers_are_spelled_as_the_api_accepts_them() -> None:
    ids = ("functions.weather:0", "functions:weather.0", "")
    calls = tuple(call(each, "Paris") for each in ids)
    results = tuple(ToolResultBlock(each, "sun") for each in ids)

    messages = sent(*HELLO, assistant(*calls), user(*results), tools=(WEATHER,))["messages"]

    called = [block["id"] for block in messages[1]["content"]]
    assert called == [block["tool_use_id"] for block in messages[2]["content"]]
    assert 3 == len(set(called))


def test_arguments_are_sent_as_the_model_spelled_them() -> None:
    spelled = '{"n": 1.50, "big": 12345678901234567890123}'
    turns = (
        assistant(ToolCallBlock("c1", "a", spelled), ToolCallBlock("c2", "b", '{"cut')),
        user(ToolResultBlock("c1", "x"), ToolResultBlock("c2", "")),
    )

    request = ANTHROPIC.request(Prompt(model=BUDGETED, turns=(*HELLO, *turns)), "k")

    assert f'"input":{spelled}'.encode() in request.body
    assert b'"input":{}' in request.body


def test_a_question_without_tools_defines_those_of_its_history_and_forbids_them() -> None:
    body = sent(*rounds(2))

    assert [{"name": "weather", "input_schema": {"type": "object"}}] == body["tools"]
    assert {"type": "none"} == body["tool_choice"]


def test_blank_texts_are_left_out() -> None:
    turns = (user(TextBlock(" "), IMAGE_URL), assistant(TextBlock("\n")), user(TextBlock("b")))

    assert [["image"], ["text"]] == [
        [block["type"] for block in message["content"]] for message in sent(*turns)["messages"]
    ]


def test_of_a_question_of_which_nothing_can_be_sent_its_place_is_kept() -> None:
    film = FileBlock(file_id="f", media_type="video/mp4")

    messages = sent(
        user(film), assistant(TextBlock("a")), *HELLO, files={"f": FileContent("video/mp4", "")}
    )["messages"]

    assert ["user", "assistant", "user"] == [message["role"] for message in messages]
    assert [{"type": "text", "text": "[attachment]"}] == messages[0]["content"]


# Images and files


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (
            IMAGE_URL,
            {"type": "image", "source": {"type": "url", "url": "https://example.org/cat.png"}},
        ),
        (
            STORED_IMAGE,
            {
                "type": "image",
                "source": {
                    "type": "base64",
                    "media_type": "image/png",
                    "data": FILES["f-png"].base64,
                },
            },
        ),
        (
            ImageBlock(file_id="f-gif", media_type="image/gif"),
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/gif", "data": "R0lGODlh"},
            },
        ),
        (
            STORED_FILE,
            {
                "type": "document",
                "source": {
                    "type": "base64",
                    "media_type": "application/pdf",
                    "data": FILES["f-pdf"].base64,
                },
                "title": "report.pdf",
            },
        ),
        (
            FILE_URL,
            {
                "type": "document",
                "source": {"type": "url", "url": "https://example.org/report.pdf"},
            },
        ),
        (
            FileBlock(file_id="f-txt", media_type="text/markdown"),
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "# 你好"},
                "title": "a.md",
            },
        ),
        (
            FileBlock(file_id="f-png", media_type="image/png", name="dot.png"),
            {
                "type": "image",
                "source": {
                    "type": "base64",
                    "media_type": "image/png",
                    "data": FILES["f-png"].base64,
                },
            },
        ),
    ],
)
def test_images_and_documents(part: Block, block: dict[str, Any]) -> None:
    text = FileContent("text/markdown", "IyDkvaDlpb0=", "a.md")
    files = {**FILES, "f-txt": text, "f-gif": FileContent("image/gif", "R0lGODlh")}

    messages = sent(Turn(Role.USER, (TextBlock("See."), part)), files=files)

    assert [{"type": "text", "text": "See."}, block] == messages["messages"][0]["content"]


@pytest.mark.parametrize(
    ("part", "media_type"),
    [
        (ImageBlock(file_id="f", media_type="image/bmp"), "image/bmp"),
        (ImageBlock(file_id="f", media_type="application/pdf"), "application/pdf"),
        (ImageBlock(file_id="f", media_type="image/tiff"), "image/tiff"),
        (FileBlock(file_id="f", media_type="application/zip"), "application/zip"),
        (FileBlock(file_id="f", media_type="image/heic"), "image/heic"),
    ],
)
def test_other_media_types_are_refused_in_a_question_and_left_out_of_the_history(
    part: Block, media_type: str
) -> None:
    turn = Turn(Role.USER, (TextBlock("See."), part))

    with pytest.raises(UnsupportedPart) as caught:
        ANTHROPIC.check(Prompt(model=BUDGETED, turns=(turn,)))

    assert media_type == caught.value.kind
    body = sent(turn, assistant(TextBlock("yes")), *HELLO, files={"f": FileContent(media_type, "")})
    assert [{"type": "text", "text": "See."}] == body["messages"][0]["content"]


def test_two_images_in_one_question() -> None:
    turn = Turn(Role.USER, (TextBlock("Which?"), IMAGE_URL, STORED_IMAGE))

    content = sent(turn)["messages"][0]["content"]

    assert ["text", "image", "image"] == [block["type"] for block in content]


# The cache


def marked(body: dict[str, Any]) -> list[str]:
    """The texts of the blocks after which the prompt is kept."""
    blocks = list(body.get("system", []))
    for message in body["messages"]:
        blocks += message["content"]
    return [
        block.get("text", block["type"])
        for block in blocks
        if {"type": "ephemeral"} == block.get("cache_control")
    ]


def test_the_system_prompt_and_the_last_turn_are_kept_by_the_provider() -> None:
    turns = (*HELLO, assistant(TextBlock("yes")), text_turn(Role.USER, "and?"))

    assert ["short", "and?"] == marked(sent(*turns, dialect=CACHING, system="short"))
    assert ["and?"] == marked(sent(*turns, dialect=CACHING))
    assert ["image"] == marked(sent(user(TextBlock("a"), IMAGE_URL), dialect=CACHING))
    assert ["tool_result"] == marked(sent(*rounds(1), dialect=CACHING, tools=(WEATHER,)))


def test_without_the_cache_nothing_is_marked() -> None:
    assert (
        b"cache"
        not in ANTHROPIC.request(Prompt(model=BUDGETED, turns=rounds(1), system="short"), "k").body
    )


@pytest.mark.parametrize("blank", ["", " \n"])
def test_blank_results_and_system_prompts_are_not_sent(blank: str) -> None:
    turns = (*HELLO, assistant(call("c1", "Paris")), user(ToolResultBlock("c1", blank)))

    body = sent(*turns, system=blank)

    assert "system" not in body
    assert [{"type": "tool_result", "tool_use_id": "c1"}] == body["messages"][2]["content"]


def test_servers_may_count_the_calls_of_each_answer_anew() -> None:
    round_ = (assistant(call("0", "Paris")), user(ToolResultBlock("0", "sun")))

    messages = sent(*HELLO, *round_, *round_, tools=(WEATHER,))["messages"]

    ids = [messages[place]["content"][0]["id"] for place in (1, 3)]
    assert ids == [messages[place]["content"][0]["tool_use_id"] for place in (2, 4)]
    assert 2 == len(set(ids))
