"""Tool loops: which calls are open, which results answer them, and what is sent of both again."""

import pytest

from model.blocks import (
    Block,
    ProviderData,
    ReasoningBlock,
    TextBlock,
    ToolCallBlock,
    ToolResultBlock,
    UnknownBlock,
)
from model.messages import FinishReason, Message, Role, Status, now
from model.prompt import Turn, merged, text_turn
from relay.errors import MissingToolResults, UnknownToolCall
from relay.tool_loop import NOT_CARRIED_OUT, answered, check_results, kept_of, open_calls

SIGNED = ProviderData("anthropic", "m", "signature")
CALLS = (ToolCallBlock("a", "f", "{}"), ToolCallBlock("b", "g", "{}"))
NOT_DONE = ToolResultBlock("a", NOT_CARRIED_OUT, True), ToolResultBlock("b", NOT_CARRIED_OUT, True)


def answer(
    *blocks: Block,
    status: Status = Status.COMPLETE,
    finish_reason: str | None = FinishReason.TOOL_CALLS,
) -> Message:
    return Message(
        id="a1",
        conversation_id="c",
        user="u",
        role=Role.ASSISTANT,
        blocks=blocks,
        status=status,
        finish_reason=finish_reason,
        created_at=now(),
    )


def asked(*blocks: Block) -> Turn:
    return Turn(Role.USER, blocks)


def said(*blocks: Block) -> Turn:
    return Turn(Role.ASSISTANT, blocks)


@pytest.mark.parametrize("reason", ["tool_calls", "stop", None, "a word of a later version"])
def test_the_calls_of_an_answer_that_the_model_ended_are_open(reason: str | None) -> None:
    assert ("a", "b") == open_calls(answer(TextBlock("x"), *CALLS, finish_reason=reason))


@pytest.mark.parametrize("status", [each for each in Status if each != Status.COMPLETE])
def test_an_answer_that_did_not_end_well_has_no_open_calls(status: Status) -> None:
    assert () == open_calls(answer(*CALLS, status=status))


@pytest.mark.parametrize("reason", ["length", "content_filter", "error"])
def test_an_answer_that_was_cut_off_has_no_open_calls(reason: str) -> None:
    assert () == open_calls(answer(*CALLS, finish_reason=reason))


@pytest.mark.parametrize(
    ("results", "calls"), [((), ("a", "b")), ("ab", "ab"), ("ba", "ab"), ("aa", "aa"), ((), ())]
)
def test_all_results_or_none_are_right(results: tuple[str, ...], calls: tuple[str, ...]) -> None:
    check_results(results, calls)


@pytest.mark.parametrize(
    ("results", "calls"), [("a", ""), ("x", "a"), ("ax", "a"), ("aa", "a"), ("aab", "ab")]
)
def test_a_result_of_no_call_is_wrong(results: str, calls: str) -> None:
    with pytest.raises(UnknownToolCall):
        check_results(results, calls)


@pytest.mark.parametrize(("results", "calls"), [("a", "ab"), ("b", "ab"), ("a", "aa")])
def test_some_results_without_the_others_are_wrong(results: str, calls: str) -> None:
    with pytest.raises(MissingToolResults):
        check_results(results, calls)


def test_a_whole_answer_keeps_its_calls_and_what_the_provider_needs_back() -> None:
    signed = ReasoningBlock("hm", SIGNED)
    blocks = (ReasoningBlock("so"), signed, TextBlock(""), TextBlock("x"), *CALLS)

    kept = kept_of(
        answer(*blocks, UnknownBlock(type="x")),
        model="m",
        with_tools=True,
        with_reasoning=False,
    )

    assert (signed, TextBlock("x"), *CALLS) == kept


def test_reasoning_without_data_is_kept_where_it_is_asked_for() -> None:
    blocks = (ReasoningBlock("so"), *CALLS)

    assert blocks == kept_of(answer(*blocks), model="m", with_tools=True, with_reasoning=True)


def test_reasoning_with_data_of_another_model_is_not_kept() -> None:
    signed = ReasoningBlock("hm", SIGNED)

    kept = kept_of(answer(signed, *CALLS), model="n", with_tools=True, with_reasoning=False)

    assert CALLS == kept


def test_of_a_cut_off_answer_only_the_text_is_kept() -> None:
    blocks = (ReasoningBlock("hm", SIGNED), TextBlock("x"), *CALLS)
    cut = [
        answer(*blocks, status=Status.STOPPED, finish_reason=None),
        answer(*blocks, finish_reason=FinishReason.LENGTH),
    ]

    for each in cut:
        assert (TextBlock("x"),) == kept_of(each, model="m", with_tools=True, with_reasoning=True)


def test_a_target_without_tools_gets_neither_calls_nor_what_led_to_them() -> None:
    blocks = (ReasoningBlock("hm", SIGNED), TextBlock("x"), *CALLS)

    assert (TextBlock("x"),) == kept_of(
        answer(*blocks), model="m", with_tools=False, with_reasoning=True
    )


def test_turns_without_tools_stay_the_same_objects() -> None:
    turns = (text_turn(Role.USER, "q"), text_turn(Role.ASSISTANT, "a"))

    assert answered(turns) is turns


def test_results_come_in_the_order_of_their_calls_before_the_text() -> None:
    one, other = ToolResultBlock("a", "1"), ToolResultBlock("b", "2", True)

    turns = answered((said(*CALLS), asked(TextBlock("and"), other, one)))

    assert asked(one, other, TextBlock("and")) == turns[1]


def test_calls_that_nobody_answered_were_not_carried_out() -> None:
    turns = answered((asked(TextBlock("q")), said(*CALLS), asked(TextBlock("never mind"))))

    assert asked(*NOT_DONE, TextBlock("never mind")) == turns[2]


def test_calls_that_are_followed_by_an_answer_get_a_turn_of_results() -> None:
    turns = answered((said(*CALLS), said(TextBlock("x")), asked(TextBlock("q"))))

    assert (said(*CALLS), asked(*NOT_DONE), said(TextBlock("x")), asked(TextBlock("q"))) == turns


def test_results_of_no_call_are_left_out_and_so_are_empty_turns() -> None:
    stray = ToolResultBlock("x", "?")

    turns = answered((asked(stray), said(TextBlock("x")), asked(stray, TextBlock("q"))))

    assert (said(TextBlock("x")), asked(TextBlock("q"))) == turns


def test_two_calls_with_one_id_get_a_result_each() -> None:
    calls = (ToolCallBlock("a", "f", "1"), ToolCallBlock("a", "f", "2"))
    results = (ToolResultBlock("a", "one"), ToolResultBlock("a", "two"))

    assert asked(*results) == answered((said(*calls), asked(*results)))[1]


def test_joined_turns_have_their_results_first() -> None:
    result = ToolResultBlock("a", "1")

    joined = merged([asked(TextBlock("x")), asked(result, TextBlock("y"))])

    assert (asked(result, TextBlock("x"), TextBlock("y")),) == joined


def test_results_and_what_a_person_asked_after_a_failure_are_one_turn() -> None:
    result = ToolResultBlock("a", "1")

    joined = merged([asked(result), text_turn(Role.USER, "go on"), text_turn(Role.USER, "please")])

    assert (asked(result, TextBlock("go on\n\nplease")),) == joined
