"""Numbers in the bodies of requests: whole ones, also where a client writes them with a fraction of
0, and those of OpenAI's APIs whose range is wider than that of other providers.
"""

from typing import Annotated, Final

from msgspec import Meta

# JSON has no integers: 2.0 is the same number as 2, and some languages write it so. Past 2**53 a
# float cannot represent every whole number.
Count = Annotated[int, Meta(ge=1, le=2**53)] | Annotated[float, Meta(ge=1, le=2**53, multiple_of=1)]
# Some providers hold these in 32 bits.
Whole = Annotated[int, Meta(ge=0, lt=2**31)] | Annotated[float, Meta(ge=0, lt=2**31, multiple_of=1)]
TopK = Annotated[int, Meta(ge=1, lt=2**31)] | Annotated[float, Meta(ge=1, lt=2**31, multiple_of=1)]

# As OpenAI has it: 64 bits.
Seed = (
    Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
    | Annotated[float, Meta(ge=-(2**53), le=2**53, multiple_of=1)]
)

_LEAST_TOP_P: Final = 0.001


def seed_of(given: float | None) -> int | None:
    """A seed as providers take it, in 31 bits: the same for the same one."""
    return None if given is None else int(given) % 2**31


def whole(number: float | None) -> int | None:
    """The number as an integer; None stays None."""
    return None if number is None else int(number)


def positive(top_p: float | None) -> float | None:
    """A `top_p` as all providers take it: 0 is so little that one token is left, too."""
    return _LEAST_TOP_P if top_p == 0 else top_p
