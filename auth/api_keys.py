"""The text of API keys: `hr_`, an id that may be shown, and a secret that is shown once.

    hr_ptq3zv5kfw2m7ahd_5x2q…
       id, 16 letters   secret, 32 letters

A key is found by its id, so that no secret is looked up by its value. The store has the SHA-256 of
the whole key: its 160 random bits cannot be guessed, however fast the hash. A slow hash is for
passwords that people choose, and would cost each request milliseconds.
"""

import base64
import hashlib
import hmac
import re
import secrets
from typing import NamedTuple

from auth.errors import InvalidCredentials

PREFIX = "hr_"

# Bytes, multiples of five, for which base32 needs no padding. Ids are not secret, and 80 bits do
# not collide; the secret has to be unguessable.
_ID_BYTES = 10
_SECRET_BYTES = 20

_ID = re.compile(r"[a-z2-7]{16}")
_KEY = re.compile(r"hr_([a-z2-7]{16})_[a-z2-7]{32}")


class NewKey(NamedTuple):
    """A new key; its text goes to its user and is not stored."""

    id: str
    text: str


def make() -> NewKey:
    """A new random key."""
    api_key_id = _letters(_ID_BYTES)
    return NewKey(api_key_id, f"{PREFIX}{api_key_id}_{_letters(_SECRET_BYTES)}")


def id_of(text: str) -> str:
    """The id within a key. Raises InvalidCredentials if `text` is not a key."""
    match = _KEY.fullmatch(text)
    if match is None:
        raise InvalidCredentials("key_malformed")
    return match[1]


def parse_id(text: str) -> str | None:
    """The id that an operator gives to a command: as listed, or within a whole key."""
    if match := _KEY.fullmatch(text):
        return match[1]
    return text if _ID.fullmatch(text) else None


def digest(text: str) -> str:
    """The digest of a key, which is stored in its place."""
    return hashlib.sha256(text.encode()).hexdigest()


def matches(text: str, stored_digest: str) -> bool:
    """Whether a key has this digest, compared in constant time."""
    return hmac.compare_digest(digest(text), stored_digest)


def _letters(count: int) -> str:
    return base64.b32encode(secrets.token_bytes(count)).decode().lower()
