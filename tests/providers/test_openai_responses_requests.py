"""What is asked of OpenAI's Responses API; the strict upstream's checks take all of it."""

import json
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
from model.prompt import (
    FileContent,
    NamedTool,
    Prompt,
    ResponseFormat,
    Tool,
    Turn,
    text_turn,
)
from providers.errors import ProviderOverloaded, Refused, UnsupportedOption
from providers.openai_responses import OpenAIResponses
from tests.openai_responses_checks import refusal
from tests.openai_responses_stream import encrypted
from tests.providers.conversations import CITY, FILE_URL, FILES, IMAGE_URL, STORED_FILE, rounds
from tests.providers.outcome import RESPONSES

HELLO = (text_turn(Role.USER, "hi"),)
MODEL = "gpt-5-example"
WEATHER = Tool("weather", "Tells the weather.", CITY)
STRICT_CITY = {**CITY, "additionalProperties": False}


def sent(dialect: OpenAIResponses = RESPONSES, **fields: Any) -> dict[str, Any]:
    """The body of the request, which the API takes."""
    prompt = Prompt(**{"model": MODEL, "turns": HELLO, **fields})
    dialect.check(prompt)
    request = dialect.request(prompt, "sk-example")
    assert refusal(request.headers, request.body) is None
    body: dict[str, Any] = json.loads(request.body)
    return body


def items(*turns: Turn, **fields: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = sent(**{"turns": turns, "files": FILES, **fields})["input"]
    return found


def answer(*blocks: Block) -> Turn:
    return Turn(Role.ASSISTANT, blocks)


def reasoning(number: int, *summary: str, model: str = MODEL) -> ProviderData:
    """The provider data of reasoning that a model made."""
    value = {
        "type": "reasoning",
        "id": f"rs_{number}",
        "summary": [{"type": "summary_text", "text": text} for text in summary],
        "encrypted_content": encrypted(model, f"rs_{number}", list(summary)),
    }
    return ProviderData("openai-responses", model, value)


def test_nothing_is_kept_there_and_padding_is_off() -> None:
    assert {
        "model": MODEL,
        "input": [{"role": "user", "content": "hi"}],
        "stream": True,
        "store": False,
        "stream_options": {"include_obfuscation": False},
        "include": ["reasoning.encrypted_content"],
    } == sent()


def test_the_system_prompt_is_the_instructions() -> None:
    assert "short" == sent(system="short")["instructions"]


@pytest.mark.parametrize("base_url", ["https://x.example/v1", "https://x.example/v1/"])
def test_the_base_url_is_all_before_responses(base_url: str) -> None:
    request = OpenAIResponses(base_url).request(Prompt(model="m", turns=HELLO), None)

    assert "https://x.example/v1/responses" == request.url
    assert "Authorization" not in request.headers


@pytest.mark.parametrize(
    "model",
    [
        "gpt-4o-mini",
        "gpt-4.1",
        "ft:gpt-4o:me",
        "openai/gpt-4o",
        "chatgpt-4o-latest",
        "gpt-5.2-chat-latest",
    ],
)
def test_models_that_do_not_reason_are_not_asked_for_reasoning(model: str) -> None:
    dialect = OpenAIResponses("https://x.example/v1", reasoning_summary="auto")

    assert not {"include", "reasoning"} & sent(dialect, model=model).keys()


@pytest.mark.parametrize("model", ["gpt-5-mini", "gpt-5.6-sol", "o3", "openai/gpt-oss-20b", "mine"])
def test_all_others_are(model: str) -> None:
    dialect = OpenAIResponses("https://x.example/v1", reasoning_summary="auto")
    body = sent(dialect, model=model, reasoning_effort="low")

    assert ["reasoning.encrypted_content"] == body["include"]
    assert {"effort": "low", "summary": "auto"} == body["reasoning"]


def test_what_a_server_refuses_can_be_switched_off() -> None:
    dialect = OpenAIResponses(
        "https://x.example/v1", encrypted_reasoning=False, stream_options=False
    )

    assert not {"include", "stream_options", "reasoning"} & sent(dialect).keys()


def test_extra_may_ask_for_another_summary() -> None:
    dialect = OpenAIResponses("https://x.example/v1", reasoning_summary="auto")
    extra = {"reasoning": {"summary": "detailed"}, "metadata": {"a": "b"}, "truncation": "auto"}
    body = sent(dialect, extra=extra, reasoning_effort="high")

    assert {"effort": "high", "summary": "detailed"} == body["reasoning"]
    assert ({"a": "b"}, "auto") == (body["metadata"], body["truncation"])


class TestOptions:
    def test_they_have_this_apis_names(self) -> None:
        body = sent(
            temperature=0.5,
            top_p=0.25,
            max_tokens=99,
            reasoning_effort="minimal",
            tools=(WEATHER,),
            tool_choice="required",
            parallel_tool_calls=False,
        )

        assert {
            "temperature": 0.5,
            "top_p": 0.25,
            "max_output_tokens": 99,
            "reasoning": {"effort": "minimal"},
            "tool_choice": "required",
            "parallel_tool_calls": False,
        }.items() <= body.items()

    def test_a_tool_is_strict_only_if_it_says_so(self) -> None:
        tools = (WEATHER, Tool("clock"), Tool("city", None, STRICT_CITY, strict=True))

        assert [
            {
                "type": "function",
                "name": "weather",
                "description": "Tells the weather.",
                "parameters": CITY,
                "strict": False,
            },
            {
                "type": "function",
                "name": "clock",
                "parameters": {"type": "object", "properties": {}, "additionalProperties": False},
                "strict": False,
            },
            {"type": "function", "name": "city", "parameters": STRICT_CITY, "strict": True},
        ] == sent(tools=tools)["tools"]

    def test_a_tool_may_be_named(self) -> None:
        body = sent(tools=(WEATHER,), tool_choice=NamedTool("weather"))

        assert {"type": "function", "name": "weather"} == body["tool_choice"]

    def test_json_may_be_asked_for(self) -> None:
        assert {"format": {"type": "json_object"}} == sent(response_format=ResponseFormat())["text"]

    @pytest.mark.parametrize("strict", [True, False, None])
    def test_json_may_have_a_schema(self, strict: bool | None) -> None:
        wanted = ResponseFormat(STRICT_CITY, "city", strict)

        assert {
            "format": {
                "type": "json_schema",
                "name": "city",
                "schema": STRICT_CITY,
                "strict": bool(strict),
            }
        } == sent(response_format=wanted)["text"]

    def test_verbosity_may_stand_beside_a_format(self) -> None:
        body = sent(response_format=ResponseFormat(), extra={"text": {"verbosity": "low"}})

        assert {"format": {"type": "json_object"}, "verbosity": "low"} == body["text"]

    @pytest.mark.parametrize(
        ("option", "name"),
        [
            ({"stop": ("a",)}, "stop"),
            ({"seed": 1}, "seed"),
            ({"top_k": 5}, "top_k"),
            ({"presence_penalty": 0.5}, "presence_penalty"),
            ({"frequency_penalty": 0.5}, "frequency_penalty"),
            ({"reasoning_budget": 1000}, "reasoning_budget"),
            *(
                ({"extra": {field: "x"}}, f"extra.{field}")
                for field in (
                    *("model", "input", "instructions", "stream", "stream_options", "store"),
                    *("include", "background", "conversation", "previous_response_id", "tools"),
                    *("temperature", "max_output_tokens", "reasoning", "text"),
                )
            ),
            ({"extra": {"reasoning": {"effort": "low"}}}, "extra.reasoning.effort"),
            ({"extra": {"text": {"format": {}}}}, "extra.text.format"),
        ],
    )
    def test_what_the_api_lacks_is_refused_by_name(self, option: Any, name: str) -> None:
        prompt = Prompt(model=MODEL, turns=HELLO, **option)
        for refuse in (RESPONSES.check, lambda each: RESPONSES.request(each, None)):
            with pytest.raises(UnsupportedOption) as caught:
                refuse(prompt)
            assert name == caught.value.name


class TestParts:
    def test_images_and_files_are_sent_as_addresses(self) -> None:
        turn = Turn(
            Role.USER,
            (
                TextBlock("Compare."),
                IMAGE_URL,
                ImageBlock(file_id="f-png"),
                STORED_FILE,
                FILE_URL,
                FileBlock(file_id="f-txt"),
            ),
        )
        [message] = items(turn, files={**FILES, "f-txt": FileContent("text/plain", "aGk=")})

        png, pdf = FILES["f-png"].base64, FILES["f-pdf"].base64
        assert "user" == message["role"]
        assert [
            {"type": "input_text", "text": "Compare."},
            {"type": "input_image", "image_url": IMAGE_URL.url, "detail": "auto"},
            {
                "type": "input_image",
                "image_url": f"data:image/png;base64,{png}",
                "detail": "auto",
            },
            {
                "type": "input_file",
                "filename": "report.pdf",
                "file_data": f"data:application/pdf;base64,{pdf}",
            },
            {"type": "input_file", "file_url": FILE_URL.url},
            {
                "type": "input_file",
                "filename": "file.txt",
                "file_data": "data:text/plain;base64,aGk=",
            },
        ] == message["content"]

    def test_a_file_is_called_as_it_was_when_it_was_stored(self) -> None:
        files = {"f": FileContent("application/pdf", "JVBERg==", "stored.pdf")}
        body = sent(turns=(Turn(Role.USER, (FileBlock(file_id="f"),)),), files=files)

        assert "stored.pdf" == body["input"][0]["content"][0]["filename"]


class TestHistory:
    def test_rounds_of_calls_go_with_their_results(self) -> None:
        found = items(*rounds(3))

        kinds = [item.get("type", item.get("role")) for item in found]
        results = ["function_call", "function_call", "function_call_output", "function_call_output"]
        assert ["user", *(["assistant", *results] * 3)] == kinds
        assert {
            "type": "function_call",
            "call_id": "call_0_a",
            "name": "weather",
            "arguments": '{"city": "Paris"}',
        } == found[2]
        assert [
            {"type": "function_call_output", "call_id": "call_0_a", "output": "20 °C"},
            {
                "type": "function_call_output",
                "call_id": "call_0_b",
                "output": "Error: no such city",
            },
        ] == found[4:6]

    def test_ids_that_are_too_long_are_replaced_by_others(self) -> None:
        ids = ["a" * 64, "a" * 65, "a" * 66]
        calls = answer(*(ToolCallBlock(each, "weather", "{}") for each in ids))
        results = Turn(Role.USER, tuple(ToolResultBlock(each, "x") for each in ids))
        found = [item["call_id"] for item in items(*HELLO, calls, results)[1:]]

        assert (ids[0], 3) == (found[0], len(set(found)))
        assert found[:3] == found[3:]

    def test_reasoning_goes_back_unchanged_and_in_its_place(self) -> None:
        first, between = reasoning(1, "First,", "then"), reasoning(2)
        found = items(
            *HELLO,
            answer(
                ReasoningBlock("First,\n\nthen", first),
                TextBlock("Wait."),
                ToolCallBlock("a", "weather", '{"city":"Paris"}', between),
                ToolCallBlock("b", "weather", ""),
            ),
            Turn(Role.USER, (ToolResultBlock("a", "1"), ToolResultBlock("b", "2"))),
        )

        assert first.value == found[1]
        assert between.value == found[4]
        assert ["a", "b"] == [found[3]["call_id"], found[5]["call_id"]]
        assert "{}" == found[5]["arguments"]

    @pytest.mark.parametrize(
        "data",
        [
            reasoning(1, "hm", model="gpt-5-other"),
            ProviderData("anthropic", MODEL, {"signature": "x"}),
            ProviderData("openai-responses", MODEL, "?"),
            None,
        ],
    )
    def test_other_reasoning_does_not(self, data: ProviderData | None) -> None:
        found = items(*HELLO, answer(ReasoningBlock("hm", data), TextBlock("yes")), *HELLO)

        assert ["hi", "yes", "hi"] == [item["content"] for item in found]

    def test_reasoning_that_nothing_follows_does_not(self) -> None:
        """As in an answer that was cut off: the API refuses that."""
        cut_off = answer(TextBlock("wait"), ReasoningBlock("hm", reasoning(1, "hm")))
        unanswered = answer(
            TextBlock("wait"),
            ReasoningBlock("hm", reasoning(1, "hm")),
            ToolCallBlock("a", "weather", "{}"),
        )
        for turn in (cut_off, unanswered):
            found = items(*HELLO, turn, *HELLO)
            assert ["hi", "wait", "hi"] == [item["content"] for item in found]


def test_an_error_that_is_said_not_to_be_worth_a_retry_is_not_retried() -> None:
    body = b'{"error":{"message":"x","type":"server_error","param":null,"code":null}}'

    assert type(RESPONSES.error(500, body, {})) is ProviderOverloaded
    assert type(RESPONSES.error(500, body, {"x-should-retry": "false"})) is Refused
