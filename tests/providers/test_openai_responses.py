"""How answers of OpenAI's Responses API are read."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from model.messages import FinishReason
from model.usage import Usage
from providers.errors import (
    BadRequest,
    ContentFiltered,
    ContextTooLong,
    ProviderError,
    ProviderOverloaded,
    RateLimited,
    Refused,
    StreamBroken,
)
from providers.sink import Finish
from tests.openai_responses_stream import ResponsesStream, encrypted
from tests.providers.outcome import JSON, RESPONSES, Outcome, cuts, read, reader_into
from tests.providers.recorded import Recorded

WEATHER = '{"city":"Par\\u00eds"}'
TIME = '{"zone":"CET"}'


def body_of(*steps: Callable[[ResponsesStream], bytes]) -> bytes:
    stream = ResponsesStream(model="m")
    return b"".join(step(stream) for step in steps)


def outcome_of(*steps: Callable[[ResponsesStream], bytes], **response: Any) -> Outcome:
    return read(RESPONSES, [body_of(*steps)], **response)


def everything(stream: ResponsesStream) -> bytes:
    """An answer of all that there is: reasoning, text, two calls, and reasoning between them."""
    return (
        stream.queued()
        + stream.reasoning("First, 你好", "then 😀")
        + stream.text("Let me", " look 😀.")
        + stream.call("call_a", "weather", WEATHER[:9], WEATHER[9:])
        + stream.reasoning()
        + stream.unknown()
        + stream.call("call_b", "time", TIME)
    )


def expect_everything(outcome: Outcome) -> None:
    assert outcome.error is None
    assert "First, 你好\n\nthen 😀" == outcome.reasoning_
    assert "Let me look 😀." == outcome.text_
    assert [
        {"index": 0, "id": "call_a", "name": "weather", "arguments": WEATHER},
        {"index": 1, "id": "call_b", "name": "time", "arguments": TIME},
    ] == outcome.tool_calls
    assert [
        {
            "type": "reasoning",
            "id": "rs_0_0",
            "summary": [
                {"type": "summary_text", "text": "First, 你好"},
                {"type": "summary_text", "text": "then 😀"},
            ],
            "encrypted_content": encrypted("m", "rs_0_0", ["First, 你好", "then 😀"]),
        },
        {
            "type": "reasoning",
            "id": "rs_0_3",
            "summary": [],
            "encrypted_content": encrypted("m", "rs_0_3", []),
        },
    ] == [data.value for data in outcome.kept]
    assert {("openai-responses", "m")} == {(data.dialect, data.model) for data in outcome.kept}
    order = [kind for kind, *_ in outcome.growth]
    assert order.index("data") < order.index("text") < order.index("tool_call")
    last_data = len(order) - 1 - order[::-1].index("data")
    assert order.index("tool_call") < last_data < len(order) - 1 - order[::-1].index("tool_call")
    assert Finish(FinishReason.TOOL_CALLS, "completed") == outcome.mark
    assert (
        Usage(7, 11, cached_tokens=2, cache_written_tokens=1, reasoning_tokens=3) == outcome.counted
    )


@pytest.mark.slow
def test_an_answer_reads_the_same_at_any_cut() -> None:
    for pieces in cuts(body_of(everything, ResponsesStream.complete)):
        expect_everything(read(RESPONSES, pieces))


def test_an_answer_may_come_as_one_body_of_json() -> None:
    stream = ResponsesStream(model="m")
    everything(stream)

    expect_everything(read(RESPONSES, [stream.whole()], content_type=JSON))


def test_done_may_end_the_stream() -> None:
    outcome = read(RESPONSES, [body_of(everything, ResponsesStream.complete), b"data: [DONE]\n\n"])

    expect_everything(outcome)


@pytest.mark.parametrize(
    "left_out",
    [
        (".delta",),
        (".delta", "output_text.done", "content_part.done", "summary_text.done", "arguments.done"),
        (".added",),
        (".done",),
        (".added", "output_text.done", "response.created", "response.in_progress"),
    ],
)
def test_what_deltas_lack_comes_from_the_wholes(left_out: tuple[str, ...]) -> None:
    """Every text is said four times; whichever of them come, it is taken once."""
    events = body_of(everything, ResponsesStream.complete).split(b"\n\n")
    kept = [event for event in events if not event.split(b"\n")[0].endswith(_encoded(left_out))]

    outcome = read(RESPONSES, [b"\n\n".join(kept)])

    assert len(kept) < len(events)
    assert ("Let me look 😀.", "First, 你好\n\nthen 😀") == (outcome.text_, outcome.reasoning_)
    assert [WEATHER, TIME] == [call["arguments"] for call in outcome.tool_calls]
    assert outcome.complete


def _encoded(names: tuple[str, ...]) -> tuple[bytes, ...]:
    return tuple(name.encode() for name in names)


@pytest.mark.parametrize("lost", range(4))
def test_a_lost_tail_of_deltas_is_made_up_for(lost: int) -> None:
    pieces = ("Hel", "lo ", "wor", "ld 😀 ")
    events = body_of(lambda stream: stream.text(*pieces), ResponsesStream.complete).split(b"\n\n")
    deltas = [event for event in events if event.startswith(b"event: response.output_text.delta")]
    kept = [event for event in events if event not in deltas[lost:]]

    assert "Hello world 😀 " == read(RESPONSES, [b"\n\n".join(kept)]).text_


@pytest.mark.parametrize("sink", [Outcome, lambda: Recorded("m")])
def test_parts_and_messages_follow_each_other(sink: Callable[[], Outcome]) -> None:
    outcome = sink()
    body = body_of(
        lambda stream: stream.text("one ", "and"),
        lambda stream: stream.refusal("I won't"),
        lambda stream: stream.text(" two"),
        lambda stream: stream.reasoning("so"),
        lambda stream: stream.text(" one and"),
        ResponsesStream.complete,
    )
    reader = reader_into(outcome, RESPONSES)
    reader.feed(body)
    reader.end()

    assert ("one and two one and", "I won't", "so") == (
        outcome.text_,
        outcome.refusal_,
        outcome.reasoning_,
    )
    assert set() == outcome.odd


@pytest.mark.parametrize("kind", ["output_text", "refusal"])
def test_what_lacked_is_found_beside_a_refusal(kind: str) -> None:
    """The relay counts a refusal as text."""
    outcome = Recorded("m")
    body = body_of(
        lambda stream: stream.text("one ", "two"),
        lambda stream: stream.refusal("no ", "way"),
        lambda stream: stream.text("three ", "four"),
        ResponsesStream.complete,
    )
    deltas = [event for event in body.split(b"\n\n") if f"{kind}.delta".encode() in event]
    reader = reader_into(outcome, RESPONSES)
    reader.feed(body.replace(deltas[-1] + b"\n\n", b""))
    reader.end()

    assert ("one twothree four", "no way") == (outcome.text_, outcome.refusal_)


def test_a_refusal_is_a_proper_end() -> None:
    outcome = outcome_of(lambda stream: stream.refusal("I ", "won't."), ResponsesStream.complete)

    assert ("", "I won't.", Finish(FinishReason.STOP, "completed")) == (
        outcome.text_,
        outcome.refusal_,
        outcome.mark,
    )


def test_reasoning_may_come_as_its_text() -> None:
    outcome = outcome_of(
        lambda stream: stream.reasoning_text("hm", " hm"),
        lambda stream: stream.text("yes"),
        ResponsesStream.complete,
    )

    assert ("hm hm", "yes", []) == (outcome.reasoning_, outcome.text_, outcome.kept)


def test_reasoning_that_is_not_encrypted_is_not_kept() -> None:
    outcome = outcome_of(
        lambda stream: stream.reasoning("one", is_encrypted=False),
        lambda stream: stream.reasoning("two", is_encrypted=False),
        lambda stream: stream.text("x"),
        ResponsesStream.complete,
    )

    assert ("one\n\ntwo", []) == (outcome.reasoning_, outcome.kept)


def test_reasoning_that_was_cut_off_is_not_kept() -> None:
    body = body_of(lambda stream: stream.reasoning("one"))
    begun, _, _ = body.partition(b"event: response.output_item.done")

    assert [] == read(RESPONSES, [begun]).kept
    as_incomplete = {"id": "rs_1", "type": "reasoning", "status": "incomplete"}
    item = {**as_incomplete, "summary": [], "encrypted_content": "gAAA"}
    assert [] == read(RESPONSES, [_event("response.output_item.done", item=item)]).kept


def _event(kind: str, **fields: Any) -> bytes:
    return b"data: " + json.dumps({"type": kind, **fields}).encode() + b"\n\n"


def test_calls_may_interleave_and_lack_their_announcement() -> None:
    kind = "response.function_call_arguments"
    done = "response.output_item.done"
    call = {"type": "function_call"}
    outcome = read(
        RESPONSES,
        [
            _event(f"{kind}.delta", item_id="fc_a", output_index=1, delta='{"a":'),
            _event(f"{kind}.delta", item_id="fc_b", output_index=2, delta='{"b":2}'),
            _event(f"{kind}.delta", item_id="fc_a", output_index=1, delta="1}"),
            _event(done, output_index=1, item={**call, "id": "fc_a", "call_id": "a", "name": "x",
                                               "arguments": '{"a":1}'}),
            _event(done, output_index=2, item={**call, "id": "fc_b", "call_id": "b", "name": "y",
                                               "arguments": '{"b":2}'}),
        ],
    )  # fmt: skip

    assert [("a", "x", '{"a":1}'), ("b", "y", '{"b":2}')] == [
        (each["id"], each["name"], each["arguments"]) for each in outcome.tool_calls
    ]


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("max_output_tokens", Finish(FinishReason.LENGTH, "max_output_tokens")),
        ("max_messages", Finish(FinishReason.LENGTH, "max_messages")),
        ("content_filter", Finish(FinishReason.CONTENT_FILTER, "content_filter")),
    ],
)
def test_an_incomplete_answer_says_why(reason: str, finish: Finish) -> None:
    def end(stream: ResponsesStream) -> bytes:
        return stream.incomplete(reason)

    for outcome in (
        outcome_of(lambda stream: stream.text("a"), end),
        outcome_of(lambda stream: stream.call("c", "n", '{"x":"'), end),
    ):
        assert outcome.error is None
        assert finish == outcome.mark
        assert outcome.counted is not None


@pytest.mark.parametrize("reason", ["steered", "because", None])
def test_an_incomplete_answer_without_a_known_reason_is_broken(reason: str | None) -> None:
    whole = {"status": "incomplete", "incomplete_details": {"reason": reason}}
    outcome = read(RESPONSES, [_event("response.incomplete", response=whole)])

    assert isinstance(outcome.error, StreamBroken)
    assert (reason or "incomplete") == outcome.error.provider_code


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_response_that_failed_without_an_error_is_broken(status: str) -> None:
    whole = {"status": status, "error": None, "usage": None}
    outcome = read(RESPONSES, [_event(f"response.{status}", response=whole)])

    assert isinstance(outcome.error, StreamBroken)
    assert status == outcome.error.provider_code


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("server_error", ProviderOverloaded),
        ("rate_limit_exceeded", RateLimited),
        ("context_length_exceeded", ContextTooLong),
        ("invalid_prompt", ContentFiltered),
        ("bio_policy", ContentFiltered),
        ("misalignment_policy_violation", ContentFiltered),
        ("image_content_policy_violation", ContentFiltered),
        ("vector_store_timeout", ProviderOverloaded),
        ("model_error", ProviderOverloaded),
        ("too_many_requests", RateLimited),
        ("data_residency_mismatch", Refused),
        *(
            (f"{code}", BadRequest)
            for code in (
                *("invalid_image", "invalid_image_format", "invalid_base64_image"),
                *("invalid_image_url", "image_too_large", "image_too_small", "image_parse_error"),
                *("invalid_image_mode", "image_file_too_large", "unsupported_image_media_type"),
                *("empty_image_file", "failed_to_download_image", "image_file_not_found"),
            )
        ),
    ],
)
def test_errors_are_what_they_are_said_to_be(code: str, error: type[ProviderError]) -> None:
    nested = {"error": {"type": "whatever", "code": code, "message": "的问题", "param": None}}
    whole = {"object": "response", "status": "failed", "output": [], **nested}
    for events in (
        [body_of(lambda stream: stream.text("a"), lambda stream: stream.failed(code))],
        [body_of(lambda stream: stream.text("a"), lambda stream: stream.error(code))],
        [_event("error", **nested)],
        [_event("error", code=code, message="的问题")],
        [json.dumps(whole).encode()],
        [json.dumps(nested).encode()],
    ):
        for pieces in (events, [events[0][:9], events[0][9:]]):
            outcome = read(RESPONSES, pieces)
            assert type(outcome.error) is error
            assert code == outcome.error.provider_code
            assert "的问题" not in str(outcome.error)


def test_an_error_without_a_code_is_refused() -> None:
    for event in (_event("error", code=None, message="No."), _event("error")):
        for prefix in (b"", b"event: error\n"):
            assert type(read(RESPONSES, [prefix + event]).error) is Refused


def test_an_error_after_the_end_does_no_harm() -> None:
    outcome = outcome_of(
        lambda stream: stream.text("a"),
        ResponsesStream.complete,
        lambda stream: stream.error("server_error"),
    )

    assert (None, "a") == (outcome.error, outcome.text_)
    assert "unreadable_end=error" in outcome.odd


@pytest.mark.parametrize("status", ["queued", "in_progress"])
def test_a_response_that_goes_on_elsewhere_is_not_whole(status: str) -> None:
    whole = {"object": "response", "status": status, "output": []}

    assert isinstance(read(RESPONSES, [json.dumps(whole).encode()]).error, StreamBroken)


def test_unknown_items_are_noted_and_skipped() -> None:
    item = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
    done = _event("response.output_item.done", output_index=0, item=item)
    outcome = read(RESPONSES, [done])

    assert ([], {"unknown_item=web_search_call"}) == (outcome.growth, outcome.odd)


def test_items_without_indexes_are_told_apart_by_their_ids() -> None:
    whole = body_of(everything, ResponsesStream.complete)
    body = re.sub(rb',"(output|content)_index":[0-9]+', b"", whole)

    assert b"output_index" not in body
    expect_everything(read(RESPONSES, [body]))


def test_halves_of_characters_are_joined() -> None:
    high, low = ("\\ud83d", "\\ude00")
    delta = (
        '{{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"{}"}}'
    )
    events = [b"data: " + delta.format(text).encode() + b"\n\n" for text in ("a", high, low, "b")]

    outcome = read(RESPONSES, [*events, _event("response.completed")])

    assert "a😀b" == outcome.text_
    assert outcome.complete


def test_pieces_of_text_are_read_in_one_call() -> None:
    body = body_of(lambda stream: stream.text(*"abcdef"), ResponsesStream.complete)

    begun = body.index(b"\n\n", body.index(b'"delta":"a"')) + 2
    growth = read(RESPONSES, [body[:begun], body[begun:]]).growth

    assert [("text", "a"), ("text", "bcdef")] == growth
