"""What is sent of tool calls in a history: calls with results, results with calls, and JSON."""

import pytest

from model.blocks import Block, ReasoningBlock, TextBlock, ToolCallBlock, ToolResultBlock
from model.messages import Role
from model.prompt import Turn, text_turn
from providers.tool_history import argument_text, arguments_of, paired

QUESTION = text_turn(Role.USER, "hi")


def call(call_id: str, arguments: str = "{}") -> ToolCallBlock:
    return ToolCallBlock(call_id, "weather", arguments)


def result(call_id: str, text: str = "sunny") -> ToolResultBlock:
    return ToolResultBlock(call_id, text)


def answer(*blocks: Block) -> Turn:
    return Turn(Role.ASSISTANT, blocks)


def question(*blocks: Block) -> Turn:
    return Turn(Role.USER, blocks)


def test_turns_of_text_are_returned_as_they_are() -> None:
    turns = (QUESTION, text_turn(Role.ASSISTANT, "hello"), QUESTION)
    assert paired(turns) is turns


def test_calls_with_their_results_are_kept() -> None:
    turns = (QUESTION, answer(call("1"), call("2")), question(result("2"), result("1")))
    assert turns == paired(turns)


def test_an_id_of_an_earlier_round_is_replaced() -> None:
    round_ = (answer(call("1")), question(result("1")))

    rounds = paired((QUESTION, *round_, *round_))

    again = (answer(call("call_3_0")), question(result("call_3_0")))
    assert (QUESTION, *round_, *again) == rounds


@pytest.mark.parametrize(
    ("called", "sent"),
    [
        ("functions.weather", "functions_weather"),
        ("天气", "__"),
        ("", "unnamed"),
        ("w" * 65, "w" * 64),
    ],
)
def test_a_name_that_no_tool_has_is_spelled_as_one(called: str, sent: str) -> None:
    turns = (QUESTION, answer(ToolCallBlock("1", called, "{}")), question(result("1")))

    (block,) = paired(turns)[1].blocks

    assert ToolCallBlock("1", sent, "{}") == block


def test_a_call_that_nobody_answered_is_left_out() -> None:
    turns = (QUESTION, answer(TextBlock("wait"), call("1"), call("2")), question(result("1")))

    assert [TextBlock("wait"), call("1")] == list(paired(turns)[1].blocks)


def test_a_turn_of_unanswered_calls_is_left_out_and_its_neighbours_joined() -> None:
    turns = (QUESTION, answer(call("1")), text_turn(Role.USER, "well?"))

    assert (text_turn(Role.USER, "hi\n\nwell?"),) == paired(turns)


def test_reasoning_towards_a_call_is_left_out_with_it() -> None:
    turns = (QUESTION, answer(ReasoningBlock("hm"), call("1")), text_turn(Role.USER, "well?"))

    assert (text_turn(Role.USER, "hi\n\nwell?"),) == paired(turns)


def test_results_without_calls_are_left_out() -> None:
    turns = (
        question(result("0"), TextBlock("one")),
        answer(call("1")),
        question(result("1"), result("1", "again"), result("3")),
    )

    first, _, last = paired(turns)

    assert (TextBlock("one"),) == first.blocks
    assert (result("1"),) == last.blocks


def test_only_the_turn_before_is_answered() -> None:
    turns = (
        QUESTION,
        answer(call("1")),
        question(TextBlock("never mind")),
        answer(TextBlock("fine")),
        question(result("1"), TextBlock("still")),
    )
    assert not any(
        isinstance(block, ToolCallBlock | ToolResultBlock)
        for turn in paired(turns)
        for block in turn.blocks
    )


def test_a_call_that_has_no_id_or_that_of_another_is_given_one() -> None:
    turns = (
        QUESTION,
        answer(call("1"), call("1", '{"a": 1}'), call(""), call("1", '{"a": 2}')),
        question(result("1", "one"), result("", "none"), result("1", "two")),
    )

    _, calls, results = paired(turns)

    made = ["1", "call_1_1", "call_1_2"]
    assert made == [block.id for block in calls.blocks if isinstance(block, ToolCallBlock)]
    assert (
        result("1", "one"),
        result("call_1_2", "none"),
        result("call_1_1", "two"),
    ) == results.blocks


@pytest.mark.parametrize("arguments", ['{"city": "Par', "", "[1]", "null", "[" * 5000, "{}"])
def test_arguments_that_are_no_object_are_sent_as_an_empty_one(arguments: str) -> None:
    assert "{}" == argument_text(call("1", arguments))
    assert {} == arguments_of(call("1", arguments))


def test_arguments_are_sent_as_they_were_written() -> None:
    assert '{ "a": 1.50 }' == argument_text(call("1", '{ "a": 1.50 }'))
    assert {"a": 1.5} == arguments_of(call("1", '{ "a": 1.50 }'))
