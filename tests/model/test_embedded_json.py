"""JSON within texts can be encoded again, or is refused."""

import sys

import msgspec
import pytest

from model.embedded_json import check_depth, embedded_json


@pytest.mark.parametrize("text", ["", " ", '{"a":', "NaN", "1e400", "[1] 2", '"\ud800"'])
def test_what_is_no_json_is_a_value_error(text: str) -> None:
    with pytest.raises((msgspec.DecodeError, UnicodeError)):  # ValueErrors, both
        embedded_json(text)


@pytest.mark.parametrize("depth", [257, 900, 3_000, 100_000])
def test_json_that_is_too_deep_is_a_value_error(depth: int) -> None:
    with pytest.raises(ValueError, match="more than 256 deep"):
        embedded_json("[" * depth + "]" * depth)


def test_what_is_decoded_can_be_encoded_with_less_of_the_stack() -> None:
    text = '{"a":' * 256 + "1" + "}" * 256

    value = embedded_json(text)

    def encoded(frames: int) -> bytes:
        return encoded(frames - 1) if frames else msgspec.json.encode(value)

    assert text.encode() == encoded(sys.getrecursionlimit() // 2)


def test_depth_counts_objects_and_lists_within_each_other() -> None:
    value = [{"a": [1]}, [], 1]

    check_depth(value, 3)

    with pytest.raises(ValueError, match="more than 2 deep"):
        check_depth(value, 2)
