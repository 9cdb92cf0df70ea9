"""Tickets, with which an EventSource authenticates, since it cannot send headers.

A ticket is sent in a URL, where no key should be, so it permits one thing only: reading one
answer's events. It can be used repeatedly, since an EventSource reconnects to the same URL, until a
minute after the answer's end and, if it was requested with an API key, no longer than that key is
valid.

Tickets are not stored. A ticket has the user, the key and the time of issue, signed together with
the answer's id, which is in the URL's path.
"""

import base64
import hashlib
import hmac
import time
from datetime import datetime

import msgspec

from auth.errors import InvalidCredentials, TicketExpired
from auth.principal import Principal

# Seconds after the answer's end, or after the ticket's issue if that is later: an EventSource that
# was cut off just before the end reconnects after its backoff.
_AFTER_END_SECONDS = 60

# Seconds after which a ticket expires in any case: no answer lasts that long.
_LONGEST_SECONDS = 24 * 3600

# Seconds by which the clocks of two machines may differ.
_SKEW_SECONDS = 60

# The longest ticket in characters: a user's name of 256 characters takes four bytes each in UTF-8,
# and a third more in base64; 200 are for the rest.
_LONGEST_TICKET = 2000


class _TicketPayload(msgspec.Struct, array_like=True, frozen=True):
    user: str
    api_key_id: str | None
    given_at: int  # seconds since 1970


class Ticket(msgspec.Struct, frozen=True):
    """A valid ticket for the answer that it was sent with."""

    principal: Principal
    given_at: int

    def check(self, ended_at: datetime | None) -> None:
        """Raise TicketExpired if it has expired, for an answer that ended at that time or is live
        (None).
        """
        at = time.time()
        if at > self.given_at + _LONGEST_SECONDS:
            raise TicketExpired("ticket_old")
        if ended_at is not None:
            last = max(self.given_at, ended_at.timestamp())
            if at > last + _AFTER_END_SECONDS:
                raise TicketExpired("ticket_of_an_ended_answer")


class Tickets:
    """Issues and verifies tickets; all processes with the same secret accept them."""

    def __init__(self, secret: str) -> None:
        # A key derived for tickets only: nothing else that is signed with the secret can pass for
        # one.
        self._key = hmac.digest(secret.encode(), b"headrace ticket 1", "sha256")

    def issue(self, principal: Principal, answer_id: str) -> str:
        """Return a ticket for reading the answer, which must belong to the principal."""
        claims = _TicketPayload(principal.user, principal.api_key_id, int(time.time()))
        payload = msgspec.json.encode(claims)
        return f"{_base64(payload)}.{_base64(self._signature(payload, answer_id))}"

    def verify(self, text: str, answer_id: str) -> Ticket:
        """Return the ticket if it was issued for this answer. Raises InvalidCredentials if not.

        The caller checks with `check` whether it has expired.
        """
        sealed, _, signature = text.partition(".")
        if len(text) > _LONGEST_TICKET:
            raise InvalidCredentials("ticket_malformed")
        try:
            payload, signed = _from_base64(sealed), _from_base64(signature)
        except ValueError:  # as UnicodeError and binascii.Error are
            raise InvalidCredentials("ticket_malformed") from None
        if not hmac.compare_digest(signed, self._signature(payload, answer_id)):
            raise InvalidCredentials("ticket_signature")
        try:
            claims = msgspec.json.decode(payload, type=_TicketPayload)
        except ValueError:  # as msgspec's errors are
            raise InvalidCredentials("ticket_malformed") from None
        if claims.given_at > time.time() + _SKEW_SECONDS:
            raise InvalidCredentials("ticket_of_the_future")
        return Ticket(Principal(claims.user, api_key_id=claims.api_key_id), claims.given_at)

    def _signature(self, payload: bytes, answer_id: str) -> bytes:
        # JSON contains no line end, so different pairs never make the same bytes.
        signed = payload + b"\n" + answer_id.encode()
        return hmac.digest(self._key, signed, hashlib.sha256().name)


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _from_base64(text: str) -> bytes:
    padded = text.encode("ascii") + b"=" * (-len(text) % 4)
    return base64.b64decode(padded, altchars=b"-_", validate=True)
