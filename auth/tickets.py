"""Tickets: how an EventSource enters, which can send no headers.

A ticket goes into a URL, and so into places where no key may go. It opens one thing: reading one
answer's events. It is good again and again, since an EventSource comes back to the same URL by
itself, until a minute after the answer's end; and, if an API key was used to get it, for no longer
than that key.

Nothing is stored. What a ticket says (who, by which key, when it was given) is signed together with
the answer's id, which is not in it: it stands in the URL's path.
"""

import base64
import hashlib
import hmac
import time
from datetime import datetime

import msgspec

from auth.principal import InvalidCredentials, Principal, TicketExpired

# Seconds after the answer's end, or after the ticket was given if that is later: an EventSource
# whose connection broke off just before the end comes back for it, after its backoff.
_AFTER_END_SECONDS = 60

# Seconds after which it is over in any case: no answer lives that long.
_LONGEST_SECONDS = 24 * 3600

# Seconds that the clocks of two machines may be apart.
_SKEW_SECONDS = 60

# Before it is looked at: a user's name of 256 characters, each of them four bytes in UTF-8 and as
# many thirds in base64, and 200 for the rest.
_LONGEST_TICKET = 2000


class _TicketPayload(msgspec.Struct, array_like=True, frozen=True):
    user: str
    api_key_id: str | None
    given_at: int  # seconds since 1970


class Ticket(msgspec.Struct, frozen=True):
    """A ticket that was found to be ours, for the answer that it was shown for."""

    principal: Principal
    given_at: int

    def check(self, ended_at: datetime | None) -> None:
        """Raise TicketExpired if it is over, for an answer that ended then or is live (None)."""
        at = time.time()
        if at > self.given_at + _LONGEST_SECONDS:
            raise TicketExpired("ticket_old")
        if ended_at is not None:
            last = max(self.given_at, ended_at.timestamp())
            if at > last + _AFTER_END_SECONDS:
                raise TicketExpired("ticket_of_an_ended_answer")


class Tickets:
    """Gives tickets and knows its own, on every process that has the same secret."""

    def __init__(self, secret: str) -> None:
        # A key of its own: whatever else comes to be signed with the secret is no ticket.
        self._key = hmac.digest(secret.encode(), b"headrace ticket 1", "sha256")

    def issue(self, principal: Principal, answer_id: str) -> str:
        """A ticket for reading the answer, which has to be the principal's."""
        claims = _TicketPayload(principal.user, principal.api_key_id, int(time.time()))
        payload = msgspec.json.encode(claims)
        return f"{_base64(payload)}.{_base64(self._signature(payload, answer_id))}"

    def verify(self, text: str, answer_id: str) -> Ticket:
        """The ticket, if we gave it for this answer; whether it is over yet `check` tells.

        Raises InvalidCredentials.
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
        # JSON holds no line end, so that no two pairs make the same bytes.
        signed = payload + b"\n" + answer_id.encode()
        return hmac.digest(self._key, signed, hashlib.sha256().name)


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _from_base64(text: str) -> bytes:
    padded = text.encode("ascii") + b"=" * (-len(text) % 4)
    return base64.b64decode(padded, altchars=b"-_", validate=True)
