"""API keys as text: `hr_`, an id that may be shown, and a secret that is shown once.

    hr_ptq3zv5kfw2m7ahd_5x2q…
       id, 16 letters   secret, 32 letters

The id finds the key, so that no secret is ever looked up by its value. What is kept of the secret
is a plain SHA-256 of the whole key: it has 160 random bits, which nobody guesses, however quick the
hash. A slow hash is for what people make up themselves, and would cost each request milliseconds.
"""

import base64
import hashlib
import hmac
import re
import secrets
from typing import NamedTuple

from auth.principal import InvalidCredentials

PREFIX = "hr_"

# Bytes, in steps of five: base32 then needs no padding. Ids are no secrets, and 80 bits do not
# collide; a secret is never to be guessed.
_ID_BYTES = 10
_SECRET_BYTES = 20

_ID = re.compile(r"[a-z2-7]{16}")
_KEY = re.compile(r"hr_([a-z2-7]{16})_[a-z2-7]{32}")


class NewKey(NamedTuple):
    """A key just made: its text goes to its user and nowhere else."""

    id: str
    text: str


def make() -> NewKey:
    """A new key."""
    api_key_id = _letters(_ID_BYTES)
    return NewKey(api_key_id, f"{PREFIX}{api_key_id}_{_letters(_SECRET_BYTES)}")


def id_of(text: str) -> str:
    """The id within a key. Raises InvalidCredentials if `text` is none."""
    match = _KEY.fullmatch(text)
    if match is None:
        raise InvalidCredentials("key_malformed")
    return match[1]


def named(text: str) -> str | None:
    """The id that an operator names: as it is listed, or within a key that was found somewhere."""
    if match := _KEY.fullmatch(text):
        return match[1]
    return text if _ID.fullmatch(text) else None


def digest(text: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(text.encode()).hexdigest()


def opens(text: str, kept: str) -> bool:
    """Whether `kept` is the digest of this key; takes as long whichever letters differ."""
    return hmac.compare_digest(digest(text), kept)


def _letters(count: int) -> str:
    return base64.b32encode(secrets.token_bytes(count)).decode().lower()
