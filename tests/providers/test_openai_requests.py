"""Tools, images, files and options in requests of OpenAI's dialect, by the kind of server."""

import json
from typing import Any

import pytest

from model.blocks import (
    ImageBlock,
    ProviderData,
    ReasoningBlock,
    TextBlock,
    ToolCallBlock,
    ToolResultBlock,
)
from model.messages import Role
from model.prompt import Prompt, ResponseFormat, Tool, Turn, text_turn
from presets import Switches
from providers.errors import UnsupportedOption
from providers.openai import OpenAI
from providers.openai_servers import SERVERS
from tests.providers.conversations import (
    ANSWER,
    CITY,
    CLOCK,
    FILE_URL,
    FILES,
    IMAGE_URL,
    NAMED,
    STORED_FILE,
    TWO_IMAGES,
    WEATHER,
    assistant,
    call,
    rounds,
    user,
)

HELLO = (text_turn(Role.USER, "hi"),)
NOW = TextBlock("now")
LOCAL = "http://127.0.0.1:8000/v1"


def server(name: str | None = None) -> OpenAI:
    return OpenAI(LOCAL, server=name)


def body(dialect: OpenAI, *turns: Turn, **options: Any) -> dict[str, Any]:
    prompt = Prompt(model="m", turns=turns or HELLO, files=FILES, **options)
    dialect.check(prompt)
    sent: dict[str, Any] = json.loads(dialect.request(prompt, "key").body)
    return sent


def options(dialect: OpenAI, **asked: Any) -> dict[str, Any]:
    usual = {"model", "messages", "stream", "stream_options"}
    return {name: value for name, value in body(dialect, **asked).items() if name not in usual}


def function(call_id: str, arguments: str) -> dict[str, Any]:
    called = {"name": "weather", "arguments": arguments}
    return {"id": call_id, "type": "function", "function": called}


class TestMessages:
    def test_calls_and_results_are_messages_in_order(self) -> None:
        sent = body(server(), *rounds(2))["messages"]

        roles = ["user", "assistant", "tool", "tool", "assistant", "tool", "tool"]
        assert roles == [message["role"] for message in sent]
        assert {
            "role": "assistant",
            "content": "Round 0.",
            "tool_calls": [
                function("call_0_a", '{"city": "Paris"}'),
                function("call_0_b", '{"city": "Oslo"}'),
            ],
        } == sent[1]
        assert {"role": "tool", "tool_call_id": "call_0_a", "content": "20 °C"} == sent[2]
        assert {
            "role": "tool",
            "tool_call_id": "call_0_b",
            "content": "Error: no such city",
        } == sent[3]

    def test_calls_without_text_have_no_content(self) -> None:
        turns = (*HELLO, assistant(call("1", "Rome")), user(ToolResultBlock("1", "hot")))
        assert body(server(), *turns)["messages"][1]["content"] is None

    def test_results_precede_what_else_the_user_says(self) -> None:
        said = user(TextBlock("and now?"), ToolResultBlock("1", "hot"))

        sent = body(server(), *HELLO, assistant(call("1", "Rome")), said)["messages"]

        assert ["tool", "user"] == [message["role"] for message in sent[2:]]
        assert "and now?" == sent[3]["content"]

    def test_a_call_that_was_cut_off_is_sent_as_json(self) -> None:
        cut = ToolCallBlock("1", "weather", '{"city": "Par')

        sent = body(server(), *HELLO, assistant(cut), user(ToolResultBlock("1", "no JSON")))

        assert [function("1", "{}")] == sent["messages"][1]["tool_calls"]

    def test_a_call_without_a_result_is_not_sent(self) -> None:
        sent = body(server(), *HELLO, assistant(TextBlock("wait"), call("1", "Rome")), *HELLO)
        assert {"role": "assistant", "content": "wait"} == sent["messages"][1]

    def test_images_are_parts_with_an_address(self) -> None:
        [sent] = body(server(), TWO_IMAGES)["messages"]

        text, by_url, stored = sent["content"]
        assert {"type": "text", "text": "Which is older?"} == text
        url = "https://example.org/cat.png"
        assert {"type": "image_url", "image_url": {"url": url}} == by_url
        data = f"data:image/png;base64,{FILES['f-png'].base64}"
        assert {"type": "image_url", "image_url": {"url": data}} == stored

    def test_a_file_is_sent_with_its_content_and_name(self) -> None:
        [sent] = body(server(), user(STORED_FILE))["messages"]

        data = f"data:application/pdf;base64,{FILES['f-pdf'].base64}"
        file = {"filename": "report.pdf", "file_data": data}
        assert [{"type": "file", "file": file}] == sent["content"]

    def test_the_address_of_a_file_cannot_be_sent(self) -> None:
        assert {"image", "image_url", "file"} == server().parts

    @pytest.mark.parametrize("name", ["deepseek", "qwen", "qianfan", "vllm"])
    def test_few_servers_take_files(self, name: str) -> None:
        assert not {"file", "file_url"} & server(name).parts

    def test_openrouter_fetches_files(self) -> None:
        [sent] = body(server("openrouter"), user(FILE_URL))["messages"]
        file = {"filename": "file.pdf", "file_data": FILE_URL.url}
        assert [{"type": "file", "file": file}] == sent["content"]

    @pytest.mark.parametrize(("name", "parts"), [("deepseek", set()), ("moonshot", {"image"})])
    def test_some_take_no_images_or_fetch_none(self, name: str, parts: set[str]) -> None:
        assert parts == server(name).parts

    def test_an_image_in_an_answer_is_left_out(self) -> None:
        drawn = Turn(Role.ASSISTANT, (TextBlock("here"), ImageBlock(url="https://x/y.png")))
        sent = body(server(), *HELLO, drawn, *HELLO)["messages"]
        assert {"role": "assistant", "content": "here"} == sent[1]


class TestReasoning:
    @pytest.mark.parametrize("name", [None, "openai", "qwen", "qianfan", "openrouter"])
    def test_it_is_not_sent_back(self, name: str | None) -> None:
        assert "thought" not in json.dumps(body(server(name), *rounds(2)))

    @pytest.mark.parametrize("name", ["deepseek", "moonshot", "zhipu"])
    def test_some_require_it_back_in_a_tool_loop(self, name: str) -> None:
        ended = assistant(ReasoningBlock("so"), TextBlock("Paris."))

        sent = body(server(name), *rounds(2), ended, *HELLO)["messages"]

        answers = [message for message in sent if message["role"] == "assistant"]
        thoughts = [message["reasoning_content"] for message in answers]
        assert ["thought 0", "thought 1", "so"] == thoughts

    def test_they_require_the_field_even_where_another_model_did_not_think(self) -> None:
        turns = (*HELLO, assistant(call("1", "Rome")), user(ToolResultBlock("1", "hot")))
        assert "" == body(server("deepseek"), *turns)["messages"][1]["reasoning_content"]

    def test_they_get_none_that_another_provider_has_data_of(self) -> None:
        signed = ReasoningBlock("hm", ProviderData("anthropic", "claude", {"signature": "s"}))
        turns = (*HELLO, assistant(signed, call("1", "Rome")), user(ToolResultBlock("1", "hot")))
        assert "" == body(server("deepseek"), *turns)["messages"][1]["reasoning_content"]

    def test_from_the_first_call_on_each_answer_has_the_field(self) -> None:
        turns = (*HELLO, assistant(call("1", "Rome")), user(ToolResultBlock("1", "hot"), NOW))

        sent = body(server("deepseek"), *turns, assistant(NOW), *HELLO, assistant(NOW), *HELLO)

        answers = [each for each in sent["messages"] if each["role"] == "assistant"]
        assert ["", "", ""] == [answer["reasoning_content"] for answer in answers]

    def test_they_do_not_want_it_otherwise(self) -> None:
        thought = assistant(ReasoningBlock("so"), TextBlock("hello"))
        sent = body(server("deepseek"), *HELLO, thought, *HELLO)
        assert {"role": "assistant", "content": "hello"} == sent["messages"][1]


class TestTools:
    def test_they_are_functions_with_parameters(self) -> None:
        strict = Tool("strict", strict=True)
        empty = Tool("empty", parameters={})

        sent = options(server(), tools=(WEATHER, CLOCK, strict, empty))["tools"]

        assert ["function"] * 4 == [tool["type"] for tool in sent]
        nothing: dict[str, Any] = {"type": "object", "properties": {}}
        assert [
            {"name": "weather", "description": "Tells the weather.", "parameters": CITY},
            {"name": "clock", "parameters": nothing},
            {
                "name": "strict",
                "parameters": {**nothing, "additionalProperties": False},
                "strict": True,
            },
            {"name": "empty", "parameters": nothing},
        ] == [tool["function"] for tool in sent]

    @pytest.mark.parametrize(
        ("choice", "sent"),
        [
            *((word, word) for word in ("auto", "none", "required")),
            (NAMED, {"type": "function", "function": {"name": "weather"}}),
        ],
    )
    def test_the_choice_is_a_word_or_a_function(self, choice: Any, sent: Any) -> None:
        assert sent == options(server(), tools=(WEATHER,), tool_choice=choice)["tool_choice"]

    def test_mistral_refuses_ids_that_are_not_like_its_own(self) -> None:
        turns = (*HELLO, assistant(call("call_1", "Rome"), call("aB3dE6gH9", "Bonn")))
        turns = (*turns, user(ToolResultBlock("call_1", "hot"), ToolResultBlock("aB3dE6gH9", "5")))

        sent = body(server("mistral"), *turns)["messages"]

        made, kept = (call["id"] for call in sent[1]["tool_calls"])
        assert made.isalnum()
        assert (9, "aB3dE6gH9") == (len(made), kept)
        assert [made, kept] == [message["tool_call_id"] for message in sent[2:]]

    @pytest.mark.parametrize("part", [NOW, IMAGE_URL])
    def test_mistral_wants_an_answer_between_results_and_a_question(self, part: Any) -> None:
        turns = (*HELLO, assistant(call("aB3dE6gH9", "Bonn")))
        turns = (*turns, user(ToolResultBlock("aB3dE6gH9", "5"), part))

        sent = body(server("mistral"), *turns)["messages"]

        roles = ["user", "assistant", "tool", "assistant", "user"]
        assert roles == [message["role"] for message in sent]
        assert sent[3]["content"]


ALL_OPTIONS = {
    "temperature": 0.5,
    "top_p": 0.25,
    "top_k": 7,
    "max_tokens": 99,
    "stop": ("。",),
    "seed": 3,
    "presence_penalty": 0.1,
    "frequency_penalty": 0.2,
    "reasoning_effort": "low",
    "reasoning_budget": 512,
    "response_format": ANSWER,
    "tools": (WEATHER,),
    "tool_choice": "required",
    "parallel_tool_calls": False,
}


LACKING: dict[str | None, str] = {
    None: "reasoning_budget",
    "openai": "top_k reasoning_budget",
    "azure-openai": "top_k reasoning_budget",
    "deepseek": "top_k seed reasoning_budget response_format parallel_tool_calls",
    "moonshot": "top_k seed reasoning_budget tool_choice parallel_tool_calls",
    "zhipu": (
        "top_k seed presence_penalty frequency_penalty reasoning_budget response_format "
        "tool_choice parallel_tool_calls"
    ),
    "qwen": "frequency_penalty tool_choice",
    "qianfan": "top_k presence_penalty frequency_penalty reasoning_budget",
    "minimax": (
        "top_k stop seed presence_penalty frequency_penalty reasoning_effort "
        "reasoning_budget response_format parallel_tool_calls"
    ),
    "doubao": "top_k seed reasoning_budget",
    "hunyuan": "top_k presence_penalty frequency_penalty reasoning_budget response_format",
    "siliconflow": "presence_penalty",
    "openrouter": "",
    "groq": "top_k reasoning_budget",
    "mistral": "top_k reasoning_budget",
    "xai": "top_k reasoning_budget",
    "together": "reasoning_budget",
    "vllm": "reasoning_budget",
    "llamacpp": "reasoning_budget",
}


def takes(dialect: OpenAI, option: str) -> bool:
    try:
        options(dialect, **{option: ALL_OPTIONS[option]})
    except UnsupportedOption as error:
        return error.name.partition(".")[0] != option
    return True


class TestOptions:
    def test_all_are_spelled_as_openai_spells_them(self) -> None:
        asked = {name: value for name, value in ALL_OPTIONS.items() if "budget" not in name}

        sent = options(server(), **asked)

        assert {
            "temperature": 0.5,
            "top_p": 0.25,
            "top_k": 7,
            "max_tokens": 99,
            "stop": ["。"],
            "seed": 3,
            "presence_penalty": 0.1,
            "frequency_penalty": 0.2,
            "reasoning_effort": "low",
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "city", "schema": CITY, "strict": True},
            },
            "tools": sent["tools"],
            "tool_choice": "required",
            "parallel_tool_calls": False,
        } == sent

    @pytest.mark.parametrize("name", LACKING)
    def test_what_a_server_lacks_is_refused_by_name(self, name: str | None) -> None:
        refused = {option for option in ALL_OPTIONS if not takes(server(name), option)}
        assert set(LACKING[name].split()) == refused

    def test_each_server_is_tried(self) -> None:
        assert {None, *SERVERS} == set(LACKING)

    @pytest.mark.parametrize(
        ("name", "effort", "sent"),
        [
            ("openai", "none", {"reasoning_effort": "none"}),
            ("deepseek", "none", {"thinking": {"type": "disabled"}}),
            *(
                (name, "minimal", {"thinking": {"type": "enabled"}, "reasoning_effort": "low"})
                for name in ("deepseek", "moonshot", "zhipu", "doubao")
            ),
            ("qwen", "none", {"enable_thinking": False}),
            ("qianfan", "high", {"enable_thinking": True}),
            ("openrouter", "low", {"reasoning": {"effort": "low"}}),
            ("vllm", "none", {"chat_template_kwargs": {"enable_thinking": False}}),
            ("vllm", "high", {"reasoning_effort": "high"}),
            ("llamacpp", "high", {"chat_template_kwargs": {"reasoning_effort": "high"}}),
        ],
    )
    def test_each_has_its_own_switch_of_thinking(
        self, name: str, effort: str, sent: dict[str, Any]
    ) -> None:
        assert sent == options(server(name), reasoning_effort=effort)

    def test_a_budget_is_a_number_of_tokens(self) -> None:
        assert {"thinking_budget": 512} == options(server("qwen"), reasoning_budget=512)
        sent = options(server("openrouter"), reasoning_budget=512)
        assert {"reasoning": {"max_tokens": 512}} == sent

    def test_any_json_is_asked_for_without_a_schema(self) -> None:
        for name in (None, "openai", "deepseek", "zhipu"):
            sent = options(server(name), response_format=ResponseFormat())
            assert {"response_format": {"type": "json_object"}} == sent

    def test_too_many_stop_sequences_are_refused(self) -> None:
        assert 4 == len(options(server("openai"), stop=tuple("1234"))["stop"])
        with pytest.raises(UnsupportedOption):
            options(server("openai"), stop=tuple("12345"))

    def test_a_setting_decides_the_name_of_the_token_limit(self) -> None:
        named = OpenAI(LOCAL, Switches(max_tokens_name="max_completion_tokens"))
        assert {"max_completion_tokens": 9} == options(named, max_tokens=9)

    @pytest.mark.parametrize(
        "name", ["model", "messages", "stream", "n", "max_tokens", "max_completion_tokens", "tools"]
    )
    def test_no_extra_field_is_one_of_ours(self, name: str) -> None:
        with pytest.raises(UnsupportedOption) as caught:
            options(server(), extra={name: 1})
        assert f"extra.{name}" == caught.value.name

    def test_other_fields_travel_as_they_are(self) -> None:
        extra = {"chat_template_kwargs": {"a": 1}, "min_p": 0.1}
        assert extra == options(server("vllm"), extra=extra)


@pytest.mark.parametrize(
    ("base_url", "name"),
    [
        ("https://api.openai.com/v1", "openai"),
        ("https://mine.openai.azure.com/openai/v1", "azure-openai"),
        ("https://api.deepseek.com/beta", "deepseek"),
        ("https://api.moonshot.ai/v1", "moonshot"),
        ("https://api.z.ai/api/paas/v4", "zhipu"),
        ("https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "qwen"),
        ("https://x.cn-beijing.maas.aliyuncs.com/compatible-mode/v1", "qwen"),
        ("https://openrouter.ai/api/v1", "openrouter"),
    ],
)
def test_a_server_is_known_by_its_host(base_url: str, name: str) -> None:
    assert OpenAI(base_url).options is SERVERS[name].options
