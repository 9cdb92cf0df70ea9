"""Lines of JSON, wherever their bytes are cut."""

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.errors import BadResponse
from providers.ndjson import LineParser
from providers.sse import Event

FRAGMENTS = [b"\n", b"\r\n", b"\r", b" ", b"{", b"}", b'{"a":1}', "好".encode(), b"\xe5", b"\0"]


def lines(pieces: Iterable[bytes]) -> list[bytes]:
    parser = LineParser()
    found = [item for piece in pieces for item in parser.feed(piece)] + [*parser.end()]
    assert all(isinstance(item, Event) for item in found)
    return [item.data for item in found if isinstance(item, Event)]


@pytest.mark.slow
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=30), st.data())
def test_no_cut_changes_what_comes_out(fragments: list[bytes], data: st.DataObject) -> None:
    body = b"".join(fragments)
    places = data.draw(st.lists(st.integers(0, len(body)), max_size=8).map(sorted))
    pieces = [body[start:end] for start, end in pairwise([0, *places, len(body)])]

    assert [line.strip() for line in body.split(b"\n") if line.strip()] == lines(pieces)


def test_a_line_comes_as_soon_as_it_ends() -> None:
    parser = LineParser()

    assert [] == parser.feed(b'{"done":false')
    assert [Event(b'{"done":false}')] == parser.feed(b"}\n{")


def test_a_separator_of_unicode_ends_no_line() -> None:
    line = '{"text":"a\u2028b\x85c"}'.encode()

    assert [line] == lines([line + b"\n"])


def test_a_line_without_an_end_is_bounded_and_what_came_before_is_not_lost() -> None:
    parser = LineParser(max_event_bytes=20)

    assert [Event(b"{}")] == parser.feed(b"{}\n" + b"x" * 21)
    with pytest.raises(BadResponse):
        parser.feed(b"x")
    with pytest.raises(BadResponse):
        parser.end()


def test_many_lines_are_not_bounded_together() -> None:
    parser = LineParser(max_event_bytes=20)

    assert 100 == sum(len(parser.feed(b'{"a":1}\n' * 10)) for _ in range(10))
