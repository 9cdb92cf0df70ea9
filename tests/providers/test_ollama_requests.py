"""What is sent to Ollama, which `tests/ollama_api.py` checks as strictly as Ollama does."""

import json
from typing import Any

import pytest

from model.blocks import (
    ProviderData,
    ReasoningBlock,
    TextBlock,
    ToolCallBlock,
    ToolResultBlock,
)
from model.messages import Role
from model.prompt import FileContent, Prompt, ResponseFormat, Tool, text_turn
from providers.errors import UnsupportedOption
from providers.ollama import ContextSize, Ollama
from tests import ollama_api
from tests.providers.conversations import (
    ANSWER,
    CITY,
    CLOCK,
    FILES,
    NAMED,
    STORED_IMAGE,
    WEATHER,
    assistant,
    call,
    rounds,
    user,
)

HELLO = (text_turn(Role.USER, "hi"),)
URL = "http://127.0.0.1:11434"
OLLAMA = Ollama(URL)

Json = dict[str, Any]


def sent(dialect: Ollama = OLLAMA, **prompt: Any) -> Json:
    """The body of the request, which Ollama takes."""
    fields = {"model": "m", "turns": HELLO, "files": FILES, **prompt}
    dialect.check(Prompt(**fields))
    request = dialect.request(Prompt(**fields), None)
    assert None is ollama_api.refusal(request.headers, request.body)
    body: Json = json.loads(request.body)
    return body


def refused(**prompt: Any) -> str:
    """The name of the option that is refused, before anything is sent."""
    with pytest.raises(UnsupportedOption) as caught:
        OLLAMA.check(Prompt(**{"model": "m", "turns": HELLO, "files": FILES, **prompt}))
    return caught.value.name


def test_a_plain_question() -> None:
    request = Ollama(URL + "/").request(Prompt(model="m", turns=HELLO, system="short"), None)

    assert f"{URL}/api/chat" == request.url
    assert "Authorization" not in request.headers
    assert {
        "model": "m",
        "messages": [
            {"role": "system", "content": "short"},
            {"role": "user", "content": "hi"},
        ],
        "stream": True,
        "truncate": False,
        "shift": False,
        "options": {"num_ctx": 8192},
    } == json.loads(request.body)


def test_a_key_is_for_the_hosted_service() -> None:
    request = OLLAMA.request(Prompt(model="m", turns=HELLO), "key")
    assert "Bearer key" == request.headers["Authorization"]


def test_each_option_has_its_place() -> None:
    body = sent(
        temperature=0.5,
        top_p=0.25,
        top_k=40,
        max_tokens=99,
        stop=("。", "\n"),
        seed=7,
        presence_penalty=0.5,
        frequency_penalty=-0.5,
    )

    assert {
        "temperature": 0.5,
        "top_p": 0.25,
        "top_k": 40,
        "num_predict": 99,
        "stop": ["。", "\n"],
        "seed": 7,
        "presence_penalty": 0.5,
        "frequency_penalty": -0.5,
        "num_ctx": 8192,
    } == body["options"]


@pytest.mark.parametrize(
    ("effort", "think"),
    [
        ("none", False),
        ("minimal", "low"),
        ("low", "low"),
        ("medium", "medium"),
        ("high", "high"),
    ],
)
def test_an_effort_is_a_level_of_thinking(effort: str, think: object) -> None:
    assert think == sent(reasoning_effort=effort)["think"]


def test_an_effort_above_the_highest_level_is_refused() -> None:
    with pytest.raises(UnsupportedOption, match="reasoning_effort"):
        sent(reasoning_effort="xhigh")


def test_a_format_is_json_or_the_schema_itself() -> None:
    assert "json" == sent(response_format=ResponseFormat())["format"]
    assert CITY == sent(response_format=ANSWER)["format"]


def test_tools_are_functions_and_always_have_parameters() -> None:
    weather, clock = sent(tools=(WEATHER, CLOCK), tool_choice="auto")["tools"]

    assert {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "Tells the weather.",
            "parameters": CITY,
        },
    } == weather
    assert {"type": "object", "properties": {}} == clock["function"]["parameters"]


def test_without_a_choice_of_tools_none_are_offered() -> None:
    assert "tools" not in sent(tools=(WEATHER,), tool_choice="none")


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ({"reasoning_budget": 1024}, "reasoning_budget"),
        ({"tools": (WEATHER,), "tool_choice": "required"}, "tool_choice"),
        ({"tools": (WEATHER,), "tool_choice": NAMED}, "tool_choice"),
        ({"tools": (WEATHER,), "parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"tools": (Tool("clock", strict=True),)}, "tools.strict"),
        ({"extra": {"keep_alive": -1}}, "extra.keep_alive"),
        ({"extra": {"think": "max"}}, "extra.think"),
        ({"extra": {"truncate": True}}, "extra.truncate"),
        ({"extra": {"options": {"num_ctx": 1_000_000}}}, "extra.options.num_ctx"),
        ({"extra": {"options": {"num_gpu": 0}}}, "extra.options.num_gpu"),
        ({"extra": {"options": {"seed": 1}}}, "extra.options.seed"),
    ],
)
def test_what_the_api_cannot_express_is_refused_by_name(asked: Json, name: str) -> None:
    assert name == refused(**asked)


def test_further_options_may_be_sent() -> None:
    extra = {"options": {"min_p": 0.05, "repeat_penalty": 1.1}, "logprobs": True}
    body = sent(temperature=1.0, extra=extra)

    expected = {"temperature": 1.0, "min_p": 0.05, "repeat_penalty": 1.1, "num_ctx": 8192}
    assert expected == body["options"]
    assert body["logprobs"]


class TestMessages:
    def test_rounds_of_tools(self) -> None:
        _, first, warm, cold, second, *_ = sent(turns=rounds(3), tools=(WEATHER,))["messages"]

        assert {
            "role": "assistant",
            "content": "Round 0.",
            "thinking": "thought 0",
            "tool_calls": [
                {
                    "id": "call_0_a",
                    "function": {"name": "weather", "arguments": {"city": "Paris"}},
                },
                {
                    "id": "call_0_b",
                    "function": {"name": "weather", "arguments": {"city": "Oslo"}},
                },
            ],
        } == first
        assert {
            "role": "tool",
            "content": "20 °C",
            "tool_name": "weather",
            "tool_call_id": "call_0_a",
        } == warm
        assert "Error: no such city" == cold["content"]
        assert "thought 1" == second["thinking"]

    def test_arguments_are_spelled_as_the_model_spelled_them(self) -> None:
        spelled = '{"b": 1.0, "a": 12345678901234567890}'
        turns = (
            *HELLO,
            assistant(ToolCallBlock("c", "weather", spelled)),
            user(ToolResultBlock("c", "ok")),
        )
        request = OLLAMA.request(Prompt(model="m", turns=turns), None)
        assert spelled.encode() in request.body

    @pytest.mark.parametrize("arguments", ["", "[1]", '{"city": "Par', "null"])
    def test_arguments_that_are_no_object_are_left_out(self, arguments: str) -> None:
        turns = (
            *HELLO,
            assistant(ToolCallBlock("c", "weather", arguments)),
            user(ToolResultBlock("c", "?")),
        )
        answer = sent(turns=turns)["messages"][1]
        assert {} == answer["tool_calls"][0]["function"]["arguments"]

    def test_calls_without_results_are_left_out(self) -> None:
        turns = (*HELLO, assistant(TextBlock("I look."), call("c", "Paris")), *HELLO)
        assert [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "I look."},
            {"role": "user", "content": "hi"},
        ] == sent(turns=turns)["messages"]

    def test_reasoning_without_a_call_is_not_sent_again(self) -> None:
        turns = (*HELLO, assistant(ReasoningBlock("hm"), TextBlock("yes")), *HELLO)
        assert "thinking" not in sent(turns=turns)["messages"][1]

    def test_reasoning_of_another_provider_is_not_sent(self) -> None:
        signed = ReasoningBlock("hm", ProviderData("anthropic", "claude", {"signature": "s"}))
        turns = (*HELLO, assistant(signed, call("c", "Oslo")), user(ToolResultBlock("c", "ok")))
        assert "thinking" not in sent(turns=turns)["messages"][1]

    def test_images_are_base64_beside_the_text(self) -> None:
        png = FILES["f-png"].base64
        turns = (user(TextBlock("Which "), STORED_IMAGE, TextBlock("is older?"), STORED_IMAGE),)
        assert [{"role": "user", "content": "Which is older?", "images": [png, png]}] == sent(
            turns=turns
        )["messages"]

    def test_a_question_may_be_an_image_alone(self) -> None:
        [message] = sent(turns=(user(STORED_IMAGE),))["messages"]
        assert "" == message["content"]

    def test_results_come_before_what_the_user_says_with_them(self) -> None:
        turns = (
            *HELLO,
            assistant(call("c", "Paris")),
            user(ToolResultBlock("c", "20 °C"), TextBlock("And tomorrow?"), STORED_IMAGE),
        )
        messages = sent(turns=turns)["messages"]
        assert ["user", "assistant", "tool", "user"] == [each["role"] for each in messages]
        assert "content" not in messages[1]
        assert 1 == len(messages[3]["images"])


class TestContextSize:
    @pytest.mark.parametrize(
        ("tokens", "size"),
        [(1, 8192), (8192, 8192), (8193, 16_384), (40_000, 65_536), (10**9, 65_536)],
    )
    def test_it_is_the_first_step_that_is_large_enough(self, tokens: int, size: int) -> None:
        assert size == ContextSize().for_prompt(tokens)

    @pytest.mark.parametrize(
        ("least", "most", "sizes"),
        [
            (16_384, 16_384, {16_384}),  # always the same: the model is never loaded again
            (8192, 4096, {4096}),  # only the largest was set
            (8192, 20_000, {8192, 16_384, 20_000}),
            (8192, 0, {None}),
        ],
    )
    def test_it_takes_few_values(self, least: int, most: int, sizes: set[int | None]) -> None:
        chosen = {ContextSize(least, most).for_prompt(10 * number) for number in range(1, 10_000)}
        assert sizes == chosen

    def test_without_a_largest_size_none_is_sent(self) -> None:
        assert {} == sent(Ollama(URL, context_size=ContextSize(8192, 0)))["options"]

    @pytest.mark.parametrize(
        "text", ["word " * 12_000, "中文的问题，" * 10_000, "{\n\t1}" * 12_000]
    )
    def test_as_much_history_as_is_sent_by_default_fits(self, text: str) -> None:
        turns = (text_turn(Role.USER, text[:60_000]),)
        body = sent(turns=turns)
        assert ollama_api.prompt_tokens(body) < body["options"]["num_ctx"]

    def test_it_has_room_for_the_answer(self) -> None:
        assert 8192 == sent(max_tokens=4096)["options"]["num_ctx"]
        assert 16_384 == sent(max_tokens=9000)["options"]["num_ctx"]
        assert 65_536 == sent(max_tokens=10**6)["options"]["num_ctx"]

    def test_it_has_room_for_images_and_tools(self) -> None:
        images = (user(*[STORED_IMAGE] * 4),)
        assert 16_384 == sent(turns=images)["options"]["num_ctx"]
        tools = tuple(Tool(f"tool_{number}", "x" * 300, CITY) for number in range(50))
        assert 16_384 == sent(tools=tools)["options"]["num_ctx"]

    def test_the_bytes_of_an_image_are_no_text(self) -> None:
        files = {"f-png": FileContent("image/png", "AAAA" * 100_000)}
        assert 8192 == sent(turns=(user(STORED_IMAGE),), files=files)["options"]["num_ctx"]

    def test_a_prompt_beyond_the_largest_size_is_refused_and_not_cut(self) -> None:
        turns = (text_turn(Role.USER, "word " * 100_000),)
        request = OLLAMA.request(Prompt(model="m", turns=turns), None)

        refusal = ollama_api.refusal(request.headers, request.body)

        assert refusal is not None
        error = OLLAMA.error(refusal[0], json.dumps(refusal[1]).encode(), {})
        assert "context_too_long" == error.code


@pytest.mark.parametrize(("setting", "value"), [("30m", "30m"), ("-1", -1), ("0", 0), ("300", 300)])
def test_the_time_in_memory_is_a_number_or_a_text(setting: str, value: object) -> None:
    assert value == sent(Ollama(URL, keep_alive=setting))["keep_alive"]
