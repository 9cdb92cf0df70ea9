"""Tools, images and options in requests of DashScope's native API."""

import json
from typing import Any

import pytest

from model.blocks import TextBlock, ToolCallBlock, ToolResultBlock
from model.messages import Role
from model.prompt import Prompt, Turn, text_turn
from providers.errors import UnsupportedOption
from tests.providers.conversations import (
    ANSWER,
    CITY,
    FILES,
    NAMED,
    TWO_IMAGES,
    WEATHER,
    assistant,
    call,
    rounds,
    user,
)
from tests.providers.outcome import DASHSCOPE

TEXT = "https://dashscope.aliyuncs.com/api/v1/services/aigc/text-generation/generation"
MULTIMODAL = TEXT.replace("text-generation", "multimodal-generation")

HELLO = (text_turn(Role.USER, "hi"),)


def body(*turns: Turn, model: str = "qwen-plus", **options: Any) -> dict[str, Any]:
    prompt = Prompt(model=model, turns=turns or HELLO, files=FILES, **options)
    DASHSCOPE.check(prompt)
    sent: dict[str, Any] = json.loads(DASHSCOPE.request(prompt, "key").body)
    return sent


def messages(*turns: Turn, **prompt: Any) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = body(*turns, **prompt)["input"]["messages"]
    return sent


def parameters(**options: Any) -> dict[str, Any]:
    sent: dict[str, Any] = body(**options)["parameters"]
    assert {"result_format": "message", "incremental_output": True}.items() <= sent.items()
    return {
        name: sent[name] for name in sent if name not in ("result_format", "incremental_output")
    }


def function(call_id: str, arguments: str) -> dict[str, Any]:
    called = {"name": "weather", "arguments": arguments}
    return {"id": call_id, "type": "function", "function": called}


@pytest.mark.parametrize(
    ("model", "url"),
    [
        *((model, TEXT) for model in ("qwen-plus", "qwen3-max", "qwen3-235b-a22b", "deepseek-r1")),
        *((model, TEXT) for model in ("qwen2.5-72b-instruct", "avl-1", "glm-4.6")),
        *((model, MULTIMODAL) for model in ("qwen-vl-max", "qwen2.5-vl-72b-instruct", "qvq-max")),
        *((model, MULTIMODAL) for model in ("qwen3-vl-plus", "qwen-vl-ocr", "qwen3-omni-flash")),
        *((model, MULTIMODAL) for model in ("Qwen3.5-Plus", "qwen3.8-max", "qwen-audio-turbo")),
    ],
)
def test_models_that_see_have_their_own_path(model: str, url: str) -> None:
    request = DASHSCOPE.request(Prompt(model=model, turns=HELLO, system="short"), None)
    sent = json.loads(request.body)["input"]["messages"]

    assert url == request.url
    plain = url == TEXT
    assert [
        {"role": "system", "content": "short" if plain else [{"text": "short"}]},
        {"role": "user", "content": "hi" if plain else [{"text": "hi"}]},
    ] == sent


def test_images_are_parts_without_a_type() -> None:
    prompt = Prompt(model="qwen-example", turns=(TWO_IMAGES,), files=FILES)

    assert MULTIMODAL == DASHSCOPE.request(prompt, None).url
    [message] = messages(TWO_IMAGES, model="qwen-example")
    assert [
        {"text": "Which is older?"},
        {"image": "https://example.org/cat.png"},
        {"image": f"data:image/png;base64,{FILES['f-png'].base64}"},
    ] == message["content"]


@pytest.mark.parametrize("model", ["qwen-plus", "qwen-vl-max"])
def test_calls_and_results_are_messages_in_order(model: str) -> None:
    sent = messages(*rounds(2), model=model)

    roles = ["user", "assistant", "tool", "tool", "assistant", "tool", "tool"]
    assert roles == [message["role"] for message in sent]
    assert {
        "role": "assistant",
        "content": "Round 0." if model == "qwen-plus" else [{"text": "Round 0."}],
        "tool_calls": [
            function("call_0_a", '{"city": "Paris"}'),
            function("call_0_b", '{"city": "Oslo"}'),
        ],
    } == sent[1]
    assert {"role": "tool", "tool_call_id": "call_0_a", "content": "20 °C"} == sent[2]
    assert "thought" not in json.dumps(sent)


@pytest.mark.parametrize(("model", "nothing"), [("qwen-plus", ""), ("qwen-vl-max", [{"text": ""}])])
def test_a_call_that_was_cut_off_is_sent_as_json(model: str, nothing: Any) -> None:
    cut = ToolCallBlock("1", "weather", '{"city": "Par')
    said = user(ToolResultBlock("1", "no JSON"), TextBlock("again"))

    _, answer, result, question = messages(*HELLO, assistant(cut), said, model=model)

    assert {"role": "assistant", "content": nothing, "tool_calls": [function("1", "{}")]} == answer
    assert ("tool", "user") == (result["role"], question["role"])


def test_a_call_without_a_result_is_not_sent() -> None:
    sent = messages(*HELLO, assistant(TextBlock("wait"), call("1", "Rome")), *HELLO)
    assert {"role": "assistant", "content": "wait"} == sent[1]


def test_all_options_are_parameters() -> None:
    sent = parameters(
        temperature=0.5,
        top_p=0.25,
        top_k=7,
        max_tokens=99,
        stop=("。",),
        seed=3,
        presence_penalty=0.1,
        reasoning_effort="low",
        reasoning_budget=512,
        response_format=ANSWER,
        tools=(WEATHER,),
        tool_choice=NAMED,
        parallel_tool_calls=True,
    )

    described = {"name": "weather", "description": "Tells the weather.", "parameters": CITY}
    schema = {"name": "city", "schema": CITY, "strict": True}
    assert {
        "temperature": 0.5,
        "top_p": 0.25,
        "top_k": 7,
        "max_tokens": 99,
        "stop": ["。"],
        "seed": 3,
        "presence_penalty": 0.1,
        "enable_thinking": True,
        "thinking_budget": 512,
        "response_format": {"type": "json_schema", "json_schema": schema},
        "tools": [{"type": "function", "function": described}],
        "tool_choice": {"type": "function", "function": {"name": "weather"}},
        "parallel_tool_calls": True,
    } == sent


def test_no_effort_is_no_thinking() -> None:
    assert {"enable_thinking": False} == parameters(reasoning_effort="none")


@pytest.mark.parametrize("option", [{"frequency_penalty": 0.1}, {"tool_choice": "required"}])
def test_what_it_lacks_is_refused_by_name(option: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedOption) as caught:
        body(**option)
    assert [caught.value.name] == list(option)


def test_further_parameters_are_added() -> None:
    assert {"enable_search": True} == parameters(extra={"parameters": {"enable_search": True}})
    for extra in ({"input": {}}, {"parameters": {"result_format": "text"}}, {"parameters": 1}):
        with pytest.raises(UnsupportedOption):
            body(extra=extra)


def test_several_answers_at_once_are_refused() -> None:
    with pytest.raises(UnsupportedOption) as caught:
        body(extra={"parameters": {"n": 2}})

    assert "extra.parameters.n" == caught.value.name
