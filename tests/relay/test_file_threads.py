"""Large contents are decoded in slices, and to the same bytes."""

import random
import tracemalloc
from urllib.parse import unquote_to_bytes

import pytest

from relay import file_threads
from relay.file_threads import decode_percent


@pytest.mark.slow
def test_percent_encoding_is_decoded_in_slices_as_it_is_in_one_piece(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(file_threads, "_CHARS", 7)
    chooser = random.Random(1)

    for _ in range(5000):
        text = "".join(chooser.choices("%%%4a1é界zF", k=chooser.randrange(40)))
        assert unquote_to_bytes(text) == decode_percent(text)


@pytest.mark.slow
def test_decoding_escapes_takes_little_more_memory_than_they_have() -> None:
    text = "%41" * 300_000
    tracemalloc.start()

    try:
        data = decode_percent(text)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert b"A" * 300_000 == data
    assert most < 10 * len(text)  # in one piece it is 75 times as much
