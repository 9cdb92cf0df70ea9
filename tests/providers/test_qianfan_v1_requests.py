"""Functions and options in requests of Baidu's classic endpoints."""

import json
from typing import Any

import pytest

from model.blocks import ReasoningBlock, TextBlock, ToolCallBlock, ToolResultBlock
from model.messages import Role
from model.prompt import Prompt, ResponseFormat, Turn, text_turn
from providers.errors import UnsupportedOption
from tests.providers.conversations import (
    ANSWER,
    CITY,
    CLOCK,
    FILES,
    NAMED,
    WEATHER,
    assistant,
    call,
    rounds,
    user,
)
from tests.providers.outcome import QIANFAN_V1

HELLO = (text_turn(Role.USER, "hi"),)


def body(*turns: Turn, **options: Any) -> dict[str, Any]:
    prompt = Prompt(model="ERNIE-4.0-8K", turns=turns or HELLO, files=FILES, **options)
    QIANFAN_V1.check(prompt)
    sent: dict[str, Any] = json.loads(QIANFAN_V1.request(prompt, "token").body)
    return sent


def test_calls_at_once_are_sent_one_after_the_other() -> None:
    sent = body(*rounds(1))["messages"]

    calls = [
        {"name": "weather", "arguments": '{"city": "Paris"}'},
        {"name": "weather", "arguments": '{"city": "Oslo"}'},
    ]
    assert [
        {"role": "user", "content": "Where is it warmer?"},
        {"role": "assistant", "content": "Round 0.", "function_call": calls[0]},
        {"role": "function", "name": "weather", "content": '{"result":"20 °C"}'},
        {"role": "assistant", "content": "", "function_call": calls[1]},
        {"role": "function", "name": "weather", "content": '{"result":"Error: no such city"}'},
    ] == sent


def test_a_call_without_an_id_has_its_result_all_the_same() -> None:
    turns = (*HELLO, assistant(call("", "Rome")), user(ToolResultBlock("", '{"c": 30}')))
    assert '{"c": 30}' == body(*turns)["messages"][2]["content"]


def test_what_the_user_says_beside_a_result_is_sent_within_it() -> None:
    said = user(ToolResultBlock("1", "hot"), TextBlock("and now?"))

    *_, last = body(*HELLO, assistant(call("1", "Rome")), said)["messages"]

    assert {"result": "hot", "user": "and now?"} == json.loads(last["content"])


def test_a_call_that_was_cut_off_is_sent_as_json() -> None:
    cut = ToolCallBlock("1", "weather", '{"city": "Par')
    _, answer, _ = body(*HELLO, assistant(cut), user(ToolResultBlock("1", "?")))["messages"]
    assert {"name": "weather", "arguments": "{}"} == answer["function_call"]


def test_reasoning_is_left_out() -> None:
    ended = assistant(ReasoningBlock("so"), TextBlock("Paris."))
    sent = body(*rounds(1), ended, *HELLO)["messages"]
    assert {"role": "assistant", "content": "Paris."} == sent[-2]
    assert "thought" not in json.dumps(sent)


def test_tools_are_functions_with_a_description() -> None:
    sent = body(tools=(WEATHER, CLOCK), tool_choice="auto", parallel_tool_calls=False)

    nothing: dict[str, Any] = {"type": "object", "properties": {}}
    assert [
        {"name": "weather", "description": "Tells the weather.", "parameters": CITY},
        {"name": "clock", "description": "clock", "parameters": nothing},
    ] == sent["functions"]
    assert {"messages", "stream", "functions"} == sent.keys()


def test_a_function_can_be_forced() -> None:
    sent = body(tools=(WEATHER,), tool_choice=NAMED)
    assert {"type": "function", "function": {"name": "weather"}} == sent["tool_choice"]


def test_any_json_is_asked_for_with_a_word() -> None:
    assert "json_object" == body(response_format=ResponseFormat())["response_format"]


@pytest.mark.parametrize(
    ("option", "name"),
    [
        ({"top_k": 1}, "top_k"),
        ({"seed": 1}, "seed"),
        ({"presence_penalty": 0.1}, "presence_penalty"),
        ({"frequency_penalty": 0.1}, "frequency_penalty"),
        ({"reasoning_effort": "low"}, "reasoning_effort"),
        ({"reasoning_budget": 9}, "reasoning_budget"),
        ({"response_format": ANSWER}, "response_format.schema"),
        ({"tool_choice": "none"}, "tool_choice"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"extra": {"functions": []}}, "extra.functions"),
        ({"extra": {"system": "x"}}, "extra.system"),
    ],
)
def test_what_it_lacks_is_refused_by_name(option: dict[str, Any], name: str) -> None:
    with pytest.raises(UnsupportedOption) as caught:
        body(**option)
    assert name == caught.value.name


def test_the_first_message_is_a_question_also_where_one_was_results_of_a_lost_call() -> None:
    turns = (user(ToolResultBlock("1", "hot")), assistant(TextBlock("It is hot.")), *HELLO)
    assert [{"role": "user", "content": "hi"}] == body(*turns)["messages"]
