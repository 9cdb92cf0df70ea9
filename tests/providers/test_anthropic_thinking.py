"""Thinking in a tool loop: the request and the answers of the loop agree on whether Claude thinks.

Anthropic refuses the request otherwise (`tests/anthropic_api.py` does, in each test).
"""

from typing import Any

import pytest

from model.blocks import Block, ProviderData, ReasoningBlock, TextBlock, ToolResultBlock
from model.messages import Role
from model.prompt import Turn
from tests.anthropic_framing import signature_of
from tests.providers.anthropic_steps import ADAPTIVE, BOTH, BUDGETED, HELLO, sent
from tests.providers.conversations import WEATHER, call, user

OFF = {"type": "disabled"}


def signed(text: str, model: str = BUDGETED) -> ReasoningBlock:
    value = {"type": "thinking", "signature": signature_of(model, text)}
    return ReasoningBlock(text, ProviderData("anthropic", model, value))


def round_(call_id: str, *before: Block) -> tuple[Turn, Turn]:
    made = Turn(Role.ASSISTANT, (*before, call(call_id, "Paris")))
    return made, user(ToolResultBlock(call_id, "sun"))


def kinds(body: dict[str, Any]) -> list[str]:
    """The types of the blocks in all answers."""
    answers = (each for each in body["messages"] if each["role"] == "assistant")
    return [block["type"] for answer in answers for block in answer["content"]]


@pytest.mark.parametrize("before", [(), (TextBlock("Well."),), (signed("a", "claude-opus-4-5"),)])
@pytest.mark.parametrize("option", [{"reasoning_effort": "low"}, {"reasoning_budget": 2000}])
def test_a_loop_that_another_model_began_goes_on_without_thinking(
    before: tuple[Block, ...], option: dict[str, Any]
) -> None:
    first = round_("c1", *before)
    assert OFF == sent(*HELLO, *first, tools=(WEATHER,), **option)["thinking"]

    second = round_("c2", signed("b"))
    body = sent(*HELLO, *first, *second, tools=(WEATHER,), **option)
    assert OFF == body["thinking"]
    assert "thinking" not in kinds(body)


def test_so_does_a_question_beside_results() -> None:
    asked = user(ToolResultBlock("c1", "not carried out", True), TextBlock("And now?"))

    body = sent(*HELLO, round_("c1")[0], asked, tools=(WEATHER,), reasoning_effort="low")

    assert OFF == body["thinking"]


def test_the_next_question_is_thought_about_again() -> None:
    turns = (*HELLO, *round_("c1"), Turn(Role.ASSISTANT, (TextBlock("Sunny."),)), *HELLO)

    assert "enabled" == sent(*turns, tools=(WEATHER,), reasoning_effort="low")["thinking"]["type"]


def test_a_loop_that_began_with_thinking_goes_on_with_it() -> None:
    turns = (*HELLO, *round_("c1", signed("a")), *round_("c2"))

    body = sent(*turns, tools=(WEATHER,), reasoning_effort="low")

    assert "enabled" == body["thinking"]["type"]
    assert ["thinking", "tool_use", "tool_use"] == kinds(body)


@pytest.mark.parametrize(
    ("model", "options"),
    [
        (BUDGETED, {}),
        (BUDGETED, {"reasoning_effort": "none"}),
        (BOTH, {"reasoning_effort": "none"}),
    ],
)
def test_without_thinking_that_of_the_loop_is_left_out(model: str, options: Any) -> None:
    before = (*HELLO, Turn(Role.ASSISTANT, (signed("z", model), TextBlock("hi"))), *HELLO)
    turns = (*before, *round_("c1", signed("a", model)), *round_("c2", signed("b", model)))

    body = sent(*turns, model=model, tools=(WEATHER,), **options)

    assert ["thinking", "text", "tool_use", "tool_use"] == kinds(body)


@pytest.mark.parametrize("model", [ADAPTIVE, "kimi-k2"])
def test_models_that_may_think_unasked_get_their_thinking_back(model: str) -> None:
    body = sent(*HELLO, *round_("c1", signed("a", model)), model=model, tools=(WEATHER,))

    assert ["thinking", "tool_use"] == kinds(body)


def test_a_model_that_thinks_by_an_effort_may_go_on_with_any_loop() -> None:
    turns = (*HELLO, *round_("c1"))

    body = sent(*turns, model=ADAPTIVE, tools=(WEATHER,), reasoning_effort="low")

    assert "adaptive" == body["thinking"]["type"]
