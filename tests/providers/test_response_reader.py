"""The rules of reading one response, each on its own."""

import json
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.messages import FinishReason
from providers.errors import (
    BadResponse,
    ProviderError,
    ProviderOverloaded,
    RateLimited,
    StreamBroken,
)
from providers.response_reader import MAX_ERROR_BYTES, ResponseReader
from providers.sink import Finish
from tests.providers.outcome import (
    CUMULATIVE,
    DASHSCOPE,
    EVENT_STREAM,
    JSON,
    OPENAI,
    Outcome,
    read,
    reader_into,
)

STOP = {"choices": [{"delta": {}, "finish_reason": "stop"}]}


def sse(*events: object) -> bytes:
    """The events of a stream; a dict is made JSON, bytes are what they are."""
    framed = []
    for event in events:
        data = event if isinstance(event, bytes) else json.dumps(event).encode()
        framed.append(b"data: " + data + b"\n\n")
    return b"".join(framed)


def delta(**fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": fields}]}


def text(content: str) -> dict[str, Any]:
    return delta(content=content)


def call(index: int | None, arguments: str = "", *, id: str | None = None, name: str | None = None):
    function = {"name": name, "arguments": arguments}
    return delta(tool_calls=[{"index": index, "id": id, "function": function}])


def reader_of(*, status: int = 200, content_type: str = EVENT_STREAM) -> ResponseReader:
    return reader_into(Outcome(), status=status, content_type=content_type)


def read_events(*events: object) -> Outcome:
    return read(OPENAI, [sse(*events)])


def given_so_far(*events: object) -> list[tuple[str, ...]]:
    """What a stream that goes on has handed over, event by event."""
    outcome = Outcome()
    reader = reader_into(outcome)
    for event in events:
        reader.feed(sse(event))
    return outcome.growth


class TestWhatABodyIs:
    def test_a_page_of_html_is_no_answer_and_known_at_once(self) -> None:
        for page in (b"<html>", b"\r\n <!DOCTYPE html>"):
            for content_type in ("text/html; charset=utf-8", EVENT_STREAM, ""):
                with pytest.raises(BadResponse):
                    reader_of(content_type=content_type).feed(page)

    def test_words_labelled_as_a_page_are_no_answer(self) -> None:
        with pytest.raises(BadResponse):
            reader_of(content_type="TEXT/HTML").feed(b"Bad gateway")

    def test_an_empty_body_is_a_broken_stream(self) -> None:
        for body in (b"", b"\n\n", b": keep-alive\n\n", b"Bad gateway"):
            assert isinstance(read(OPENAI, [body]).error, StreamBroken)

    def test_blank_lines_before_a_json_answer_are_waited_through(self) -> None:
        answer = {"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}
        body = b"\xef\xbb\xbf" + b"\n" * 100 + json.dumps(answer).encode()
        outcome = read(OPENAI, [body[place : place + 1] for place in range(len(body))])
        assert ("hi", True) == (outcome.text_, outcome.complete)

    def test_a_body_of_json_is_bounded(self) -> None:
        outcome = read(OPENAI, [b"{"] * 2000, content_type=JSON, max_body_bytes=1000)
        assert "body_too_long" == getattr(outcome.error, "reason", None)

    def test_an_endless_error_body_is_read_over(self) -> None:
        reader = reader_of(status=503)
        for _ in range(100):
            reader.feed(b"<" * 65536)
        assert len(reader._body) == MAX_ERROR_BYTES
        with pytest.raises(ProviderOverloaded):
            reader.end()

    def test_json_that_is_no_answer_is_a_bad_response(self) -> None:
        for body in (b"{}", b"[]", b'{"ok": true}', b"{" * 100_000):
            assert isinstance(read(OPENAI, [body], content_type=JSON).error, BadResponse)


class TestProgress:
    def test_only_data_events_count(self) -> None:
        reader = reader_of()
        for keep_alive in (b": ping\n\n", b"\n", b"event: ping\n\n", b"foo: bar\n"):
            reader.feed(keep_alive)
        assert 0 == reader.events
        reader.feed(sse(text("a")) + sse(text("b"))[:-1])
        assert 1 == reader.events

    def test_finished_and_done_are_two_things(self) -> None:
        reader = reader_of()
        seen = []
        for event in (text("a"), STOP, {"choices": [], "usage": {"prompt_tokens": 1}}, b"[DONE]"):
            reader.feed(sse(event))
            seen.append((reader.finished, reader.done))
        assert [(False, False), (True, False), (True, False), (True, True)] == seen

    def test_done_alone_finishes_nothing(self) -> None:
        outcome = read_events(text("a"), b"[DONE]")
        assert ("a", None) == (outcome.text_, outcome.finish_word)
        assert isinstance(outcome.error, StreamBroken)


class TestCharacters:
    def test_a_high_surrogate_waits_for_its_other_half(self) -> None:
        found = given_so_far(text("笑\ud83d"), text("\ude00脸"))
        assert [("text", "笑"), ("text", "😀脸")] == found

    def test_it_waits_for_text_of_its_own_kind(self) -> None:
        found = given_so_far(
            delta(reasoning_content="\ud83d"), text("好\ud83d"), delta(reasoning_content="\ude00")
        )
        assert [("text", "好"), ("reasoning", "😀")] == found

    def test_a_half_that_stays_alone_becomes_a_replacement(self) -> None:
        assert [("text", "\ufffda\ufffdb")] == given_so_far(text("\ude00a\ud83db"))
        assert [("text", "\ufffda")] == given_so_far(text("\ud83d"), text("a"))

    @pytest.mark.parametrize("last", [STOP, {"error": {"code": "server_error"}}, b"[DONE]"])
    def test_a_half_at_the_end_becomes_a_replacement(self, last: object) -> None:
        assert "a\ufffd" == read_events(text("a\ud83d"), last).text_

    def test_refusals_are_kept_apart_from_text(self) -> None:
        found = given_so_far(delta(refusal="抱\ud83d"), delta(refusal="\ude00"))
        assert [("refusal", "抱"), ("refusal", "😀")] == found

    def test_a_message_behind_a_delta_may_be_a_refusal(self) -> None:
        message = {"choices": [{"index": 0, "message": {"refusal": "No."}}]}
        assert [("refusal", "No.")] == given_so_far(delta(role="assistant"), message)

    def test_bytes_that_are_no_utf8_become_replacements(self) -> None:
        event = b'{"choices":[{"delta":{"content":"\xe5\xa5 \xff"}}]}'
        assert [("text", "\ufffd \ufffd")] == given_so_far(event)

    def test_nothing_is_handed_on_for_an_empty_text(self) -> None:
        assert [] == given_so_far(text(""), delta(content=None), delta(), b" ", b"")

    @given(st.text(alphabet="a好\ud83d\ude00"), st.lists(st.integers(0, 30)))
    def test_the_deltas_cuts_never_change_the_text(self, said: str, places: list[int]) -> None:
        bounds = [0, *sorted(places), len(said)]
        pieces = [said[start:end] for start, end in pairwise(bounds)]
        outcome = read_events(*map(text, pieces), STOP)
        assert said.encode("utf-16", "surrogatepass").decode("utf-16", "replace") == outcome.text_


class TestCumulative:
    """DashScope without `incremental_output`: each event repeats everything so far."""

    def read(self, *messages: dict[str, Any], stop: bool = True) -> Outcome:
        events = [
            {"output": {"choices": [{"message": message, "finish_reason": "null"}]}}
            for message in messages
        ]
        if stop:
            events[-1]["output"]["choices"][0]["finish_reason"] = "stop"
        return read(CUMULATIVE, [sse(*events)])

    def test_only_what_is_new_is_handed_on(self) -> None:
        outcome = self.read(
            {"content": "", "reasoning_content": "想"},
            {"content": "", "reasoning_content": "想一想"},
            {"content": "哈", "reasoning_content": "想一想"},
            {"content": "哈哈", "reasoning_content": "想一想"},
            {"content": "哈哈", "reasoning_content": "想一想"},
        )
        assert ("想一想", "哈哈") == (outcome.reasoning_, outcome.text_)

    def test_in_incremental_mode_the_same_texts_are_appended(self) -> None:
        output = {"choices": [{"message": {"content": "哈"}, "finish_reason": "null"}]}
        more = {"choices": [{"message": {"content": "哈哈"}, "finish_reason": "stop"}]}
        outcome = read(DASHSCOPE, [sse({"output": output}, {"output": more})])
        assert "哈哈哈" == outcome.text_

    def test_a_character_cut_at_the_end_comes_whole_with_the_next(self) -> None:
        outcome = self.read({"content": "好\ud83d"}, {"content": "好😀"}, {"content": "好😀！"})
        assert "好😀！" == outcome.text_

    def test_what_was_said_differently_is_not_said_again(self) -> None:
        assert "一二三四" == self.read({"content": "一二"}, {"content": "一二三四"}).text_
        shorter_for_once = ({"content": "一二三"}, {"content": "一二"}, {"content": "一二三四"})
        assert "一二三四" == self.read(*shorter_for_once).text_
        # Rewritten: an answer cannot take back, so what follows the common beginning is appended.
        assert "abcX" == self.read({"content": "abc"}, {"content": "abX"}, {"content": "abX"}).text_

    def test_tool_calls_repeat_their_arguments(self) -> None:
        def calls(arguments: str, name: str = "f") -> dict[str, Any]:
            function = {"name": name, "arguments": arguments}
            return {"tool_calls": [{"index": 0, "id": "c", "function": function}]}

        outcome = self.read(calls('{"a'), calls('{"a": "\ud83d'), calls('{"a": "😀"}'))
        expected = {"index": 0, "id": "c", "name": "f", "arguments": '{"a": "😀"}'}
        assert [expected] == outcome.tool_calls
        outcome = self.read(calls("{}"), calls("{}"), calls('{"a"'), calls('{"a":1}'))
        assert [{**expected, "arguments": '{"a":1}'}] == outcome.tool_calls


class TestToolCalls:
    def test_pieces_of_the_open_call_pass_at_once(self) -> None:
        found = given_so_far(
            call(0, id="a", name="f"), call(0, '{"x"'), call(0, id="", name="", arguments=":1}")
        )
        assert [
            ("tool_call", "a", "f"),
            ("arguments", '{"x"'),
            ("arguments", ":1}"),
        ] == found

    def test_a_second_call_waits_until_the_first_is_whole(self) -> None:
        first = call(0, '{"x":', id="a", name="f")
        second = call(1, '{"y":2}', id="b", name="g")
        assert [("tool_call", "a", "f"), ("arguments", '{"x":')] == given_so_far(first, second)
        assert [
            ("tool_call", "a", "f"),
            ("arguments", '{"x":'),
            ("arguments", "1}"),
            ("tool_call", "b", "g"),
            ("arguments", '{"y":2}'),
        ] == given_so_far(first, second, call(0, "1}"))

    def test_calls_one_after_the_other_pass_at_once(self) -> None:
        found = given_so_far(
            call(0, "{}", id="a", name="f"), call(1, '{"y":', id="b", name="g"), call(1, "2}")
        )
        assert [
            ("tool_call", "a", "f"),
            ("arguments", "{}"),
            ("tool_call", "b", "g"),
            ("arguments", '{"y":'),
            ("arguments", "2}"),
        ] == found

    def test_a_call_that_never_gets_whole_is_finished_by_the_finish_mark(self) -> None:
        outcome = read_events(
            call(0, '{"x', id="a", name="f"), call(1, "{}", id="b", name="g"), text("…"), STOP
        )
        assert ['{"x', "{}"] == [found["arguments"] for found in outcome.tool_calls]
        assert ("…", "stop") == (outcome.text_, outcome.finish_word)

    @pytest.mark.parametrize("last", [{"error": {"code": "server_error"}}, b"[DONE]"])
    def test_what_was_held_back_is_not_lost_with_the_stream(self, last: object) -> None:
        outcome = read_events(call(0, "{", id="a", name="f"), call(1, id="b", name="g"), last)
        assert ["f", "g"] == [found["name"] for found in outcome.tool_calls]
        assert not outcome.complete

    def test_text_waits_for_a_call_that_is_not_whole(self) -> None:
        opened = call(0, '{"x":', id="a", name="f")
        held = given_so_far(opened, text("so"))
        assert [("tool_call", "a", "f"), ("arguments", '{"x":')] == held
        freed = given_so_far(opened, text("so"), text("!"), call(0, "1}"), text("go"))
        assert [("arguments", "1}"), ("text", "so"), ("text", "!"), ("text", "go")] == freed[2:]

    def test_behind_text_a_whole_call_gets_nothing_more(self) -> None:
        found = given_so_far(call(0, "{}", id="a", name="f"), text("so"), call(0, " "))
        assert [("tool_call", "a", "f"), ("arguments", "{}"), ("text", "so")] == found

    def test_a_new_id_at_a_known_index_is_a_new_call(self) -> None:
        outcome = read_events(
            call(0, '{"x":1}', id="a", name="f"), call(0, '{"y":2}', id="b", name="g"), STOP
        )
        assert [("a", "f"), ("b", "g")] == [(c["id"], c["name"]) for c in outcome.tool_calls]

    @pytest.mark.parametrize(("id", "name"), [("a", "f"), ("", ""), (None, None), ("a", None)])
    def test_repeated_or_empty_ids_and_names_change_nothing(
        self, id: str | None, name: str | None
    ) -> None:
        outcome = read_events(call(0, "{", id="a", name="f"), call(0, "}", id=id, name=name), STOP)
        assert [{"index": 0, "id": "a", "name": "f", "arguments": "{}"}] == outcome.tool_calls

    def test_the_opening_waits_for_the_name(self) -> None:
        assert [] == given_so_far(call(0, id="a"))
        found = given_so_far(call(0, id="a"), call(0, "{", name="f"))
        assert [("tool_call", "a", "f"), ("arguments", "{")] == found

    def test_a_call_that_began_with_nothing_may_get_its_id_later(self) -> None:
        found = given_so_far(call(0, '{"q":'), call(0, "1}", id="a", name="f"))
        assert [("tool_call", "a", "f"), ("arguments", '{"q":1}')] == found

    def test_a_call_without_id_has_an_opening_all_the_same(self) -> None:
        found = given_so_far(call(None, name="f"), call(None, '{"q":1}'))
        assert [("tool_call", "", "f"), ("arguments", '{"q":1}')] == found

    def test_the_providers_numbers_are_not_ours(self) -> None:
        found = given_so_far(call(3, "{}", name="f"), call(1, '{"q":1}', name="g"))
        one, other = ("tool_call", "", "f"), ("tool_call", "", "g")
        assert [one, ("arguments", "{}"), other, ("arguments", '{"q":1}')] == found

    def test_a_whole_message_may_leave_out_the_numbers(self) -> None:
        calls = [{"function": {"name": name, "arguments": {"x": 1}}} for name in "fg"]
        found = given_so_far(delta(tool_calls=calls))
        assert [
            ("tool_call", "", "f"),
            ("arguments", '{"x":1}'),
            ("tool_call", "", "g"),
            ("arguments", '{"x":1}'),
        ] == found

    def test_half_a_character_in_an_object_of_arguments_stands_as_its_escape(self) -> None:
        function = {"name": "f", "arguments": {"x": "\ud83d"}}
        outcome = read_events(delta(tool_calls=[{"function": function}]), STOP)
        assert ['{"x": "\\ud83d"}'] == [found["arguments"] for found in outcome.tool_calls]
        assert outcome.complete

    def test_half_a_character_waits_in_arguments_too(self) -> None:
        outcome = read_events(
            call(0, '{"x":"\ud83d', name="f"), call(0, '\ude00"}'), call(1, '{"\ud83d', name="g")
        )
        assert ['{"x":"😀"}', '{"\ufffd'] == [found["arguments"] for found in outcome.tool_calls]

    def test_what_is_held_back_is_bounded(self) -> None:
        def forever(event: Callable[[int], dict[str, Any]]) -> Iterator[bytes]:
            yield sse(call(0, "{", id="a", name="f"))
            for number in range(10_000):
                yield sse(event(number))
            raise AssertionError("nothing stopped it")

        for event in (
            lambda _: text("x" * 1000),
            lambda _: call(1, "x" * 1000, id="b", name="g"),
            lambda number: call(number + 1, id=f"c{number}", name="g"),
        ):
            assert isinstance(read(OPENAI, forever(event)).error, BadResponse)


class TestErrors:
    def test_what_stood_before_an_error_in_its_event_is_not_lost(self) -> None:
        event = {"error": {"code": 502, "message": "boom"}, **text("last words")}
        outcome = read_events(event)
        assert "last words" == outcome.text_
        assert isinstance(outcome.error, ProviderOverloaded)

    @pytest.mark.parametrize(
        ("word", "error"),
        [
            ("insufficient_system_resource", ProviderOverloaded),
            ("network_error", ProviderOverloaded),
            ("abort", StreamBroken),
            ("error", StreamBroken),
        ],
    )
    def test_a_finish_mark_may_say_that_it_is_none(
        self, word: str, error: type[ProviderError]
    ) -> None:
        outcome = read_events(text("a"), {"choices": [{"finish_reason": word}]}, b"[DONE]")
        assert ("a", Finish(FinishReason.ERROR, word)) == (outcome.text_, outcome.mark)
        assert isinstance(outcome.error, error)
        assert word == outcome.error.provider_code
        assert outcome.error.retryable

    def test_an_event_that_is_not_json_is_a_bad_response(self) -> None:
        for broken in (b'{"choices":', b'{"choices": 5}', b"[" * 100_000, b'{"choices":[{"de'):
            assert isinstance(read_events(text("a"), broken, STOP).error, BadResponse), broken

    @pytest.mark.parametrize("words", [b"hello", b"2024-04-27 01:35:43.68", b"[ping]", b"{ping}"])
    def test_an_event_of_no_json_is_read_over_and_told(self, words: bytes) -> None:
        outcome = read_events(text("a"), words, text("b"), STOP)
        assert ("ab", True, {"no_json"}) == (outcome.text_, outcome.complete, outcome.odd)

    def test_an_event_of_a_strangers_name_is_looked_at(self) -> None:
        body = b"event: ping\ndata: hello\n\nevent: foo\n" + sse(text("a"), STOP)
        outcome = read(OPENAI, [body])
        assert ("a", True) == (outcome.text_, outcome.complete)

    def test_an_error_keeps_the_wait_its_headers_ask_for(self) -> None:
        outcome = read(OPENAI, [b"{}"], status=429, headers={"retry-after": "7"})
        assert isinstance(outcome.error, RateLimited)
        assert 7 == outcome.error.retry_after

    def test_usage_passes_wherever_it_stands(self) -> None:
        usage = {"usage": {"prompt_tokens": 3, "completion_tokens": 4}}
        for event in (usage, {"choices": [{"delta": {}, **usage}]}):
            assert [3, 4] == read_events(event, {"usage": {}}, STOP).tokens
