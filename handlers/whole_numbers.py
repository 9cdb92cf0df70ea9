"""Whole numbers in the bodies of requests, also where a client writes them with a fraction of 0."""

from typing import Annotated

from msgspec import Meta

# JSON has no integers: 2.0 is the same number as 2, and some languages write it so. Past 2**53 a
# float cannot represent every whole number.
Count = Annotated[int, Meta(ge=1, le=2**53)] | Annotated[float, Meta(ge=1, le=2**53, multiple_of=1)]
# Some providers hold these in 32 bits.
Whole = Annotated[int, Meta(ge=0, lt=2**31)] | Annotated[float, Meta(ge=0, lt=2**31, multiple_of=1)]
TopK = Annotated[int, Meta(ge=1, lt=2**31)] | Annotated[float, Meta(ge=1, lt=2**31, multiple_of=1)]


def whole(number: float | None) -> int | None:
    """The number as an integer; None stays None."""
    return None if number is None else int(number)
