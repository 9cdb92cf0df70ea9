"""What Anthropic's Messages API and its gateways answer, beyond the recorded samples."""

import json
from typing import Any

import pytest

from model.blocks import ProviderData
from model.messages import FinishReason
from model.usage import Usage
from providers.errors import BadResponse, StreamBroken
from tests.anthropic_framing import (
    block,
    end,
    event,
    hidden_thinking,
    signature_of,
    start,
    text,
    thinking,
    tool_use,
)
from tests.providers.outcome import ANTHROPIC, JSON, SAMPLES, Outcome, read

CLAUDE = "m"  # the model that `read` says was asked


def outcome_of(*events: bytes, **response: Any) -> Outcome:
    return read(ANTHROPIC, events, **response)


def data(value: dict[str, str]) -> ProviderData:
    return ProviderData("anthropic", CLAUDE, value)


def signed(thought: str) -> ProviderData:
    return data({"type": "thinking", "signature": signature_of(CLAUDE, thought)})


# Thinking


def test_a_block_of_thinking_ends_with_its_signature() -> None:
    outcome = outcome_of(start(), thinking(0, "a", "b", model=CLAUDE), text(1, "c"), end())

    assert [signed("ab")] == outcome.kept
    assert ["reasoning", "reasoning", "data", "text"] == [each[0] for each in outcome.growth]


def test_the_samples_signature_and_hidden_thinking_are_kept() -> None:
    outcome = outcome_of((SAMPLES / "anthropic-thinking.sse").read_bytes())

    assert [
        data({"type": "thinking", "signature": "c2lnbmF0dXJlLXdpcmU="}),
        data({"type": "redacted_thinking", "data": "ZW5jcnlwdGVkLXdpcmU="}),
    ] == outcome.kept


def test_thinking_that_is_left_out_is_a_signature_alone() -> None:
    outcome = outcome_of(start(), thinking(0, model=CLAUDE), text(1, "c"), end())

    assert ([signed("")], "") == (outcome.kept, outcome.reasoning_)


@pytest.mark.parametrize("cut_before", [b"content_block_stop", b"signature_delta"])
def test_a_block_that_was_cut_off_gives_nothing_to_send_back(cut_before: bytes) -> None:
    stream = start() + thinking(0, "a", model=CLAUDE)
    cut = stream[: stream.index(b"event: content_block_delta", stream.index(b'"a"'))]
    if cut_before == b"content_block_stop":
        cut = stream[: stream.index(b"event: content_block_stop")]

    outcome = outcome_of(cut, broken=True)

    assert ([], "a") == (outcome.kept, outcome.reasoning_)
    assert isinstance(outcome.error, StreamBroken)


@pytest.mark.parametrize(
    "torn",
    [
        block(
            0,
            {"type": "thinking", "thinking": "a", "signature": ""},
            {"type": "signature_delta", "signature": "HALF"},
        ),
        block(0, {"type": "redacted_thinking", "data": "HALF"}),
    ],
)
def test_data_with_half_a_character_is_not_kept(torn: bytes) -> None:
    torn = torn.replace(b"HALF", b"x\\ud83d")

    outcome = outcome_of(start(), torn, text(1, "c"), end())

    assert ([], "c", True) == (outcome.kept, outcome.text_, outcome.complete)


def test_gateways_sign_nothing() -> None:
    assert [] == outcome_of(start(), thinking(0, "a"), text(1, "c"), end()).kept


# Tools


def test_two_calls_at_once_keep_their_order() -> None:
    first = event("content_block_start", index=1, content_block=_opening("c1"))
    second = event("content_block_start", index=2, content_block=_opening("c2"))
    outcome = outcome_of(
        *(start(), text(0, "Both."), first, second),
        *(_input(2, '{"n":'), _input(1, '{"n"'), _input(2, "2}"), _input(1, ":1}")),
        *(event("content_block_stop", index=index) for index in (1, 2)),
        end("tool_calls"),
    )

    assert [("c1", '{"n":1}'), ("c2", '{"n":2}')] == calls_of(outcome)
    assert FinishReason.TOOL_CALLS == outcome.mark.reason


def _opening(call_id: str, given: Any = None) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": "f", "input": given or {}}


def _input(index: int, piece: str) -> bytes:
    delta = {"type": "input_json_delta", "partial_json": piece}
    return event("content_block_delta", index=index, delta=delta)


def calls_of(outcome: Outcome) -> list[tuple[str, str]]:
    return [(call["id"], call["arguments"]) for call in outcome.tool_calls]


@pytest.mark.parametrize("pieces", [(), ("",)])
def test_a_call_without_input_has_an_empty_object(pieces: tuple[str, ...]) -> None:
    outcome = outcome_of(
        start(), tool_use(0, "c1", "f", *pieces), tool_use(1, "c2", "g", *pieces), end("tool_use")
    )

    assert [("c1", "{}"), ("c2", "{}")] == calls_of(outcome)


def test_an_input_that_comes_whole_at_the_start_counts_unless_it_comes_again() -> None:
    whole = block(0, _opening("c1", {"n": 1}))
    again = block(1, _opening("c2", {"n": 2}), {"type": "input_json_delta", "partial_json": "{}"})

    assert [("c1", '{"n":1}'), ("c2", "{}")] == calls_of(
        outcome_of(start(), whole, again, end("tool_use"))
    )


def test_an_input_at_the_start_counts_also_where_the_blocks_end_is_missing() -> None:
    calls = [
        event(
            "content_block_start",
            index=index,
            content_block={
                "type": "tool_use",
                "id": f"c{index}",
                "name": "f",
                "input": {"a": index},
            },
        )
        for index in (0, 1)
    ]

    outcome = outcome_of(start(), *calls, end("tool_calls"))

    assert ['{"a":0}', '{"a":1}'] == [each["arguments"] for each in outcome.tool_calls]
    assert outcome.complete


def test_an_input_that_was_cut_by_the_limit_is_passed_on_as_it_is() -> None:
    outcome = outcome_of(start(), tool_use(0, "c1", "f", '{"n": "cu'), end("max_tokens"))

    assert ([("c1", '{"n": "cu')], FinishReason.LENGTH) == (calls_of(outcome), outcome.mark.reason)


def test_thinking_between_calls() -> None:
    outcome = outcome_of(
        start(),
        tool_use(0, "c1", "f", "{}"),
        hidden_thinking(1, CLAUDE),
        tool_use(2, "c2", "f", "{}"),
        end("tool_use"),
    )

    kinds = ["tool_call", "arguments", "data", "tool_call", "arguments"]
    assert kinds == [each[0] for each in outcome.growth]


# Usage


@pytest.mark.parametrize(
    ("begin", "last", "usage"),
    [
        ({}, {}, Usage(7, 11)),
        ({}, {"input_tokens": 9}, Usage(9, 11)),
        (
            {"cache_read_input_tokens": 100, "cache_creation_input_tokens": 20},
            {},
            Usage(127, 11, cached_tokens=100, cache_written_tokens=20),
        ),
        (
            {"cache_read_input_tokens": 100},
            {"input_tokens": 8, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 5},
            Usage(13, 11, cache_written_tokens=5),
        ),
        (
            {},
            {"output_tokens_details": {"thinking_tokens": 6}},
            Usage(7, 11, reasoning_tokens=6),
        ),
        ({"cache_read_input_tokens": None}, {"input_tokens": None}, Usage(7, 11)),
    ],
)
def test_the_figures_of_both_events_are_merged_and_the_input_is_all_of_it(
    begin: dict[str, Any], last: dict[str, Any], usage: Usage
) -> None:
    assert usage == outcome_of(start(**begin), text(0, "a"), end(**last)).counted


def test_a_gateway_may_tell_all_figures_at_the_end() -> None:
    begin = event("message_start", message={"id": "x", "type": "message", "usage": None})

    assert Usage(5, 6) == outcome_of(begin, text(0, "a"), end("stop", 6, input_tokens=5)).counted


# Ends


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("end_turn", FinishReason.STOP),
        ("stop_sequence", FinishReason.STOP),
        ("max_tokens", FinishReason.LENGTH),
        ("model_context_window_exceeded", FinishReason.LENGTH),
        ("pause_turn", FinishReason.LENGTH),
        ("tool_use", FinishReason.TOOL_CALLS),
        ("refusal", FinishReason.CONTENT_FILTER),
    ],
)
def test_stop_reasons(word: str, reason: FinishReason) -> None:
    outcome = outcome_of(start(), text(0, "a"), end(word))

    assert (word, reason, None) == (outcome.mark.word, outcome.mark.reason, outcome.error)
    assert set() == outcome.odd


def test_a_terminated_answer_is_not_whole() -> None:
    assert isinstance(outcome_of(start(), text(0, "a"), end("terminated")).error, StreamBroken)


def test_figures_without_a_reason_are_no_end() -> None:
    delta = {"stop_reason": None, "stop_sequence": None}
    outcome = outcome_of(
        start(), text(0, "a"), event("message_delta", delta=delta, usage={"output_tokens": 3})
    )

    assert isinstance(outcome.error, StreamBroken)
    assert Usage(7, 3) == outcome.counted


@pytest.mark.parametrize("said", ["", "Half of"])
def test_a_refusal_is_explained_where_nothing_else_was_said(said: str) -> None:
    details = {"type": "refusal", "category": "bio", "explanation": "Not this."}
    delta = {"stop_reason": "refusal", "stop_sequence": None, "stop_details": details}
    pieces = [text(0, said)] if said else []
    outcome = outcome_of(
        start(),
        *pieces,
        event("message_delta", delta=delta, usage={"output_tokens": 1}),
        event("message_stop"),
    )

    assert (said, "" if said else "Not this.") == (outcome.text_, outcome.refusal_)
    assert (FinishReason.CONTENT_FILTER, None) == (outcome.mark.reason, outcome.error)


def test_nothing_is_read_after_message_stop() -> None:
    assert "a" == outcome_of(start(), text(0, "a"), end(), text(1, "b")).text_


# What is skipped


@pytest.mark.parametrize(
    ("skipped", "odd"),
    [
        (event("ping"), set()),
        (event("a_new_event", index=0, delta={"type": "text_delta", "text": "x"}), set()),
        (event("a_new_event", content=[{"type": "text", "text": "x"}]), set()),
        (
            block(7, {"type": "a_new_block", "text": "x"}, {"type": "text_delta", "text": "x"}),
            {"block_type=a_new_block"},
        ),
        (
            block(
                7,
                {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
                {"type": "input_json_delta", "partial_json": '{"q": 1}'},
            ),
            {"block_type=server_tool_use"},
        ),
        (
            block(7, {"type": "text", "text": ""}, {"type": "a_new_delta", "text": "x"}),
            {"delta_type=a_new_delta"},
        ),
        (block(7, {"type": "text", "text": ""}, {"type": "citations_delta"}), set()),
    ],
)
def test_what_is_new_to_this_server_is_skipped(skipped: bytes, odd: set[str]) -> None:
    outcome = outcome_of(start(), skipped, text(0, "a"), skipped, end())

    assert ("a", [], None, odd) == (
        outcome.text_,
        outcome.tool_calls,
        outcome.error,
        outcome.odd,
    )


def test_a_block_may_begin_with_text() -> None:
    begun = block(0, {"type": "text", "text": "a"}, {"type": "text_delta", "text": "b"})

    assert "ab" == outcome_of(start(), begun, end()).text_


def test_a_stream_without_names_starts_and_stops_is_read_all_the_same() -> None:
    lines = [
        {"type": "content_block_delta", "index": 0, "delta": {"type": kind, name: said}}
        for kind, name, said in (
            ("thinking_delta", "thinking", "a"),
            ("text_delta", "text", "b"),
        )
    ]
    lines.append({"type": "message_delta", "delta": {"stop_reason": "end_turn"}})

    outcome = outcome_of(*(b"data: " + json.dumps(line).encode() + b"\n\n" for line in lines))

    assert ("a", "b", None) == (outcome.reasoning_, outcome.text_, outcome.error)


def test_blocks_that_never_end_are_bounded() -> None:
    opened = [
        event("content_block_start", index=index, content_block={"type": "text", "text": ""})
        for index in range(1001)
    ]

    error = outcome_of(start(), *opened).error

    assert isinstance(error, BadResponse)
    assert "too_many_blocks" == error.reason


# Answers in one piece


def test_an_answer_in_one_piece_has_all_kinds_of_blocks() -> None:
    body = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-example",
        "content": [
            {"type": "thinking", "thinking": "a", "signature": signature_of(CLAUDE, "a")},
            {"type": "text", "text": "b"},
            {"type": "tool_use", "id": "c1", "name": "f", "input": {"n": 1}},
            {"type": "tool_use", "id": "c2", "name": "f", "input": {}},
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {"input_tokens": 3, "cache_read_input_tokens": 4, "output_tokens": 5},
    }

    outcome = outcome_of(json.dumps(body).encode(), content_type=JSON)

    assert ("a", "b", [signed("a")]) == (outcome.reasoning_, outcome.text_, outcome.kept)
    assert [("c1", '{"n":1}'), ("c2", "{}")] == calls_of(outcome)
    assert Usage(7, 5, cached_tokens=4) == outcome.counted
    assert outcome.complete


def test_an_empty_answer_in_one_piece_is_whole() -> None:
    body = {"type": "message", "content": [], "stop_reason": "end_turn"}

    assert outcome_of(json.dumps(body).encode(), content_type=JSON).complete
