"""The event-stream parser, held against the standard's own examples and against a naive reader."""

import json
import re
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.errors import BadResponse
from providers.sse import Event, EventParser, StrayLine

# What the standard makes of it: events as (type, data, id). Lines that it ignores are left out.
EXAMPLES = {
    b"data: a\ndata: b\n\n": [("message", b"a\nb", "")],
    b"data\n\n": [("message", b"", "")],
    b"data\ndata\n\n": [("message", b"\n", "")],
    b"data:\n\n": [("message", b"", "")],
    b"data: a": [],
    b"data: a\n": [],
    b":x\n\n": [],
    b":\n\n:\n\ndata: x\n\n": [("message", b"x", "")],
    b"id:1\nevent:result\n:HTTP_STATUS/200\ndata:{}\n\n": [("result", b"{}", "1")],
    b"event: ping\n\ndata: x\n\n": [("message", b"x", "")],
    b"event: a\nevent: b\ndata: x\n\n": [("b", b"x", "")],
    b"id: 7\n\ndata: x\n\n": [("message", b"x", "7")],
    b"id: 7\ndata: x\n\nid\ndata: y\n\n": [("message", b"x", "7"), ("message", b"y", "")],
    b"id: 7\ndata: x\n\nid: 8\0\ndata: y\n\n": [("message", b"x", "7"), ("message", b"y", "7")],
    b"data: a\r\rdata: b\r\n\r\n": [("message", b"a", ""), ("message", b"b", "")],
    b"data: a\r\n\r\n": [("message", b"a", "")],
    b"data: a\r\ndata: b\r\n\r\n": [("message", b"a\nb", "")],
    b"event: x\r\ndata: a\r\n\r\n": [("x", b"a", "")],
    b"data: a\n\r\ndata: b\r\n\n": [("message", b"a", ""), ("message", b"b", "")],
    b"data:  x\n\n": [("message", b" x", "")],
    b"data:\tx\n\n": [("message", b"\tx", "")],
    b"\xef\xbb\xbfdata: a\n\n": [("message", b"a", "")],
    b"data: a\n\n\xef\xbb\xbfdata: b\n\n": [("message", b"a", ""), ("message", b"b", "")],
    b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n": [("message", b"a", "")],
    b"data: [DONE]\n\n": [("message", b"[DONE]", "")],
    b"retry: 3000\ndata: x\n\n": [("message", b"x", "")],
    b"event: \xff\ndata: \xff\n\n": [("\ufffd", b"\xff", "")],
    "data: 行\u2028行\x85\u2029\n\n".encode(): [("message", "行\u2028行\x85\u2029".encode(), "")],
    b"data: \x0b\x0c\x1c\x1d\x1e\n\n": [("message", b"\x0b\x0c\x1c\x1d\x1e", "")],
}


def parse(pieces: Iterable[bytes]) -> list[Event | StrayLine]:
    parser = EventParser()
    return [item for piece in pieces for item in parser.feed(piece)] + [*parser.end()]


def events(pieces: Iterable[bytes]) -> list[tuple[str, bytes, str]]:
    return [(item.type, item.data, item.id) for item in parse(pieces) if isinstance(item, Event)]


def cuts(body: bytes) -> Iterator[list[bytes]]:
    """The body whole, byte by byte, and in two pieces at every position."""
    yield [body]
    yield [body[place : place + 1] for place in range(len(body))]
    for place in range(1, len(body)):
        yield [body[:place], body[place:]]


@pytest.mark.parametrize("body", EXAMPLES)
def test_the_standards_examples_at_any_cut(body: bytes) -> None:
    for pieces in cuts(body):
        assert EXAMPLES[body] == events(pieces), pieces


def test_a_cr_at_a_chunks_end_ends_its_line_at_once() -> None:
    parser = EventParser()
    assert [] == parser.feed(b"data: a\r")
    assert [Event(b"a")] == parser.feed(b"\r")  # a server of CRs may not send more for minutes
    assert [] == parser.feed(b"\n")
    assert [Event(b"b")] == parser.feed(b"data: b\r\n\r")
    assert [Event(b"c")] == parser.feed(b"\ndata: c\n\n")


@pytest.mark.parametrize(
    "chunk",
    [
        b"event: a\ndata: 1\n\nevent: b\ndata: 2\n\n",
        b"event: \ndata: 1\n\nevent: b\ndata: \n\n",
        b"event: a\n\nevent: b\ndata: 1\ndata: 2\n\n",
        b"event: a\ndata: 1\nid: 3\n\nevent: b\ndata: 2\n\n",
        b"event: a\ndata:1\n\nevent: b\ndata: 2\n\n",
        b"event: a\ndata: 1\n\ndata: 2\n\n",
        b"event: a\ndata: 1\n\n: hi\n\n",
        b"event: a\nevent: b\n\n",
        b"event: a\ndata: 1\r\n\n",
        b"event: \xff\ndata: \xff\n\n",
    ],
)
def test_events_with_types_in_one_chunk_are_the_same_as_in_pieces(chunk: bytes) -> None:
    before = b"data: x\n\n"

    assert naive(before + chunk) == parse([before, chunk])
    assert parse([before, *(bytes([byte]) for byte in chunk)]) == parse([before, chunk])


def test_an_event_in_one_chunk_is_the_same_after_anything() -> None:
    for before in (b"\n", b":\n\n", b"data: x\n\n", b"event: x\n\n", b"\r", b"foo\n"):
        parser = EventParser()
        parser.feed(before)
        assert [Event(b"a")] == parser.feed(b"data: a\n\n"), before
    for before, found in ((b"event: x\n", Event(b"a", "x")), (b"data: x\n", Event(b"x\na"))):
        parser = EventParser()
        parser.feed(before)
        assert [found] == parser.feed(b"data: a\n\n"), before


@pytest.mark.parametrize("line", [b'{"error_code":1}', b"error: {}", b"<html>", b"dat: x", b"foo"])
def test_a_line_that_is_no_field_comes_out_as_it_is(line: bytes) -> None:
    body = b"data: a\n\n" + line + b"\ndata: b\n\n"
    expected = [Event(b"a"), StrayLine(line), Event(b"b")]
    for pieces in cuts(body):
        assert expected == parse(pieces), pieces


ONE, TWO = b'{"n":1}', b'{"n":2}'

# What servers send that do not keep to the standard, and what they mean: the data of the events.
LOOSE = {
    b"data: %b\ndata: %b\n" % (ONE, TWO): [ONE, TWO],
    b"data: %b\ndata: %b\ndata: [DONE]\n" % (ONE, TWO): [ONE, TWO, b"[DONE]"],
    b"data: %b\ndata: [DONE]" % ONE: [ONE, b"[DONE]"],
    b"data: ping\ndata: %b\n\n" % ONE: [b"ping", ONE],
    b"data: %b\ndata: ping\n\n" % ONE: [ONE, b"ping"],
    b"id:1\nevent:result\ndata:%b\nid:2\nevent:result\ndata:%b\n" % (ONE, TWO): [ONE, TWO],
    b" data: %b\n\n\tdata: %b\n\n" % (ONE, TWO): [ONE, TWO],
    b"data : %b\n\nDATA: %b\n\n" % (ONE, TWO): [ONE, TWO],
    b": hi\n : hi\ndata: %b\n\n" % ONE: [ONE],
    b'data: {"n":\ndata: 1}\n\ndata: %b\n' % TWO: [b'{"n":\n1}', TWO],
    b"data: %b" % ONE: [ONE],
    b'data: {"n":1': [],
}


@pytest.mark.parametrize("body", LOOSE)
def test_loose_framing_is_read_as_it_is_meant_at_any_cut(body: bytes) -> None:
    for pieces in cuts(body):
        assert LOOSE[body] == [data for _, data, _ in events(pieces)], pieces


def test_events_that_end_with_their_line_come_with_it_once_that_is_known() -> None:
    parser = EventParser()

    assert [] == parser.feed(b"data: %b\n" % ONE)
    assert [Event(ONE), Event(TWO)] == parser.feed(b"data: %b\n" % TWO)
    assert [Event(ONE)] == parser.feed(b"data: %b\n" % ONE)


def test_a_stray_line_without_its_line_end_comes_out_at_the_end() -> None:
    body = b'data: a\n\n{"error_code":336100}'
    for pieces in cuts(body):
        assert [Event(b"a"), StrayLine(b'{"error_code":336100}')] == parse(pieces)


@pytest.mark.parametrize("tail", [b"data: x", b"data: x\n", b": beat", b"event: x", b"retry: 1"])
def test_what_is_open_at_the_end_and_no_stray_line_is_dropped(tail: bytes) -> None:
    for pieces in cuts(b"data: a\n\n" + tail):
        assert [Event(b"a")] == parse(pieces)


class TestBounds:
    """What a provider that never ends its line, its event or its comments can make us hold."""

    @pytest.mark.parametrize("piece", [b"x", b"data: x\n", b": x\n", b":\n\n", b"\n", b"foo\n"])
    def test_no_event_within_the_bound_is_an_error(self, piece: bytes) -> None:
        parser = EventParser(max_event_bytes=1000)
        with pytest.raises(BadResponse):
            deque(map(parser.feed, [piece] * 2000))

    def test_the_count_begins_anew_with_each_event(self) -> None:
        parser = EventParser(max_event_bytes=100)
        for _ in range(50):
            assert [] == parser.feed(b": keep-alive\n\n")
            assert [Event(b"x" * 60)] == parser.feed(b"data: " + b"x" * 60 + b"\n\n")

    def test_events_before_the_bound_are_not_lost_at_any_cut(self) -> None:
        body = b"data: a\n\n" + b"data: " + b"x" * 50 + b"\n\n" + b"data: b\n\n"
        for pieces in cuts(body):
            parser = EventParser(max_event_bytes=40)
            found: list[Event | StrayLine] = []
            with pytest.raises(BadResponse):  # noqa: PT012
                for piece in pieces:
                    found += parser.feed(piece)
                parser.end()
            assert [Event(b"a")] == found, pieces

    def test_the_bound_is_the_same_for_every_cut(self) -> None:
        body = b": x\n\ndata: " + b"x" * 20 + b"\n\n"
        for bound in range(20, 40):
            verdicts = {self._fits(pieces, bound) for pieces in cuts(body)}
            assert {bound >= len(body)} == verdicts, bound

    def _fits(self, pieces: list[bytes], bound: int) -> bool:
        parser = EventParser(max_event_bytes=bound)
        try:
            return [parser.feed(piece) for piece in pieces][-1] != []
        except BadResponse:
            return False

    def test_a_line_of_megabytes_is_an_event(self) -> None:
        parser = EventParser()
        line = b"data: " + b"x" * 4_000_000
        for start in range(0, len(line), 65536):
            assert [] == parser.feed(line[start : start + 65536])
        assert [Event(line[6:])] == parser.feed(b"\n\n")


def is_whole(data: bytes) -> bool:
    """Whether a line of data can be events in itself: values of JSON, or the mark of the end."""
    rest = data.strip().decode("utf-8", "replace")
    if rest in ("", "[DONE]"):
        return bool(rest)
    try:
        while rest:
            if rest[0] not in '{["':
                return False
            rest = rest[json.JSONDecoder().raw_decode(rest)[1] :]
    except ValueError:
        return False
    return True


def opens(data: bytes) -> bool:
    return data.lstrip().startswith((b"{", b"[", b'"'))


def naive(body: bytes) -> list[Event | StrayLine]:
    """The standard's algorithm, applied to the whole body at once, with the accepted deviations."""
    *lines, tail = re.split(rb"\r\n|\r|\n", body.removeprefix(b"\xef\xbb\xbf"))
    found: list[Event | StrayLine] = []
    data: list[bytes] = []
    kind, last_id, loose = "", "", False

    def dispatch() -> None:
        if data:
            found.append(Event(b"\n".join(data), kind or "message", last_id))
        data.clear()

    def end_whole() -> None:
        nonlocal kind, loose
        if len(data) == 1 and is_whole(data[0]):
            dispatch()
            kind, loose = "", True

    if tail:
        lines.append(tail)
    for line in lines:
        name, value = name_of(line), line.partition(b":")[2]
        value = value[1:] if value[:1] == b" " else value
        if not line:
            dispatch()
            kind = ""
        elif name == b"data":
            if len(data) == 1 and (is_whole(data[0]) or (opens(value) and not opens(data[0]))):
                dispatch()
                loose = True
            data.append(value)
            if loose and len(data) == 1 and is_whole(value):
                dispatch()
                kind = ""
        elif name == b"event":
            if kind:
                end_whole()
            kind = value.decode("utf-8", "replace")
        elif name == b"id":
            last_id = last_id if b"\0" in value else value.decode("utf-8", "replace")
        elif name not in (b"", b"retry"):
            end_whole()
            found.append(StrayLine(line))
    if len(data) == 1 and is_whole(data[0]):
        dispatch()
    return found


def name_of(line: bytes) -> bytes:
    return line.partition(b":")[0].strip(b" \t\0\xef\xbb\xbf").lower()


LINE_ENDS = [b"\n", b"\r", b"\r\n", b"\n\n"]
FIELDS = [b"data", b"data:", b"data: ", b"event: ", b"id: ", b"retry: 1", b":", b"data: x\n\n"]
TYPED = [b"event: y\ndata: x\n\n", b"event: \ndata: \n\nevent: z\ndata: {}\n\n"]
BYTES = [b" ", b"{", b"}", b"x", b"\0", "好".encode(), b"\xe5", b"\xff", b"\xef", b"\xef\xbb\xbf"]
WHOLE = [b"[DONE]", b'"', b"[]", b'data: {"a":1}\n', b'{"a":1}']
FRAGMENTS = [*LINE_ENDS, *FIELDS, *TYPED, *BYTES, *WHOLE]


@pytest.mark.slow
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=30), st.data())
def test_no_cut_changes_what_comes_out(fragments: list[bytes], data: st.DataObject) -> None:
    body = b"".join(fragments)
    places = data.draw(st.lists(st.integers(0, len(body)), max_size=8).map(sorted))
    bounds = [0, *places, len(body)]
    pieces = [body[start:end] for start, end in pairwise(bounds)]
    assert naive(body) == parse(pieces)
