"""A webhook: where events go, and with which secret they are signed."""

import hashlib
from pathlib import Path

import msgspec

# Hexadecimal digits of a webhook's key in the store.
_KEY_DIGITS = 32


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """One webhook of the settings.

    `key` names it in the store: a hash of its address, which may have a token in its path. With
    another secret it is the same webhook, so that events that wait are signed with the new one.
    `name` is for logs and metrics: the host of the address.
    """

    name: str
    url: str
    secret: bytes
    events: frozenset[str]
    ca_certs: Path | None = None

    @property
    def key(self) -> str:
        """Its name in the store."""
        return hashlib.sha256(self.url.encode()).hexdigest()[:_KEY_DIGITS]

    def __repr__(self) -> str:
        return f"<Webhook {self.name}>"
