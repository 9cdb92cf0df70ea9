"""Large contents are decoded in slices, and to the same bytes."""

import base64
import random
import tracemalloc
from urllib.parse import quote, unquote_to_bytes

import pytest

from relay import file_threads
from relay.file_threads import decode_base64, decode_percent, standard_base64


@pytest.mark.slow
def test_percent_encoding_is_decoded_in_slices_as_it_is_in_one_piece(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(file_threads, "_CHARS", 7)
    chooser = random.Random(1)

    for _ in range(5000):
        text = "".join(chooser.choices("%%%4a1é界zF", k=chooser.randrange(40)))
        assert unquote_to_bytes(text) == decode_percent(text)


def test_base64_of_every_encoder_is_read_as_the_one_that_providers_take(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(file_threads, "_CHARS", 8)
    chooser = random.Random(1)

    for size in range(1, 200):
        data = chooser.randbytes(size)
        standard = base64.b64encode(data).decode()
        for_addresses = base64.urlsafe_b64encode(data).decode()
        for written in (
            standard,
            for_addresses,
            standard.rstrip("="),
            for_addresses.rstrip("="),
            base64.encodebytes(data).decode(),
            base64.encodebytes(data).decode().replace("\n", "\r\n"),
            quote(standard, safe=""),
        ):
            assert standard == standard_base64(written)
        assert data == decode_base64(standard)


@pytest.mark.parametrize(
    "text", ["iVBOR", "iV==BORw", "iVBO====", "iVBO*", "iVBO é", "iV BORw0", "iV%C3%A9", "%2"]
)
def test_what_no_encoder_writes_is_no_base64(text: str) -> None:
    with pytest.raises(ValueError, match=r"padding|base64|ASCII|ascii"):
        decode_base64(standard_base64(text))


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
