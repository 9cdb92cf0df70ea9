"""Who is let in while `auth.mode` is "keys" or "jwt": who has a key, a token, or a ticket.

Where a request comes from says nothing then, and nothing is asked about it: proxies may forward,
hosts may have names. No cookies are read, so no page can make a browser ask in its user's name.
"""

from typing import ClassVar, Protocol

from tornado.httputil import HTTPServerRequest

from auth.principal import InvalidCredentials, NoCredentials, Principal
from auth.tickets import Ticket, Tickets
from handlers.single_header import RepeatedHeader, single_header


class CredentialVerifier(Protocol):
    """Knows whose credentials are good: an ApiKeyVerifier or a TokenVerifier."""

    async def verify(self, credentials: str) -> Principal:
        """Whose they are. Raises Unauthenticated; StorageError or KeysUnavailable."""

    async def recheck(self, principal: Principal) -> None:
        """Return if what a principal got a ticket by is still good; raises the same."""


class BearerAuthenticator:
    """Admits whoever bears what the verifier knows."""

    asks_for_keys: ClassVar[bool] = True

    def __init__(self, verifier: CredentialVerifier, tickets: Tickets) -> None:
        self._verifier = verifier
        self._tickets = tickets

    def check_request(self, request: HTTPServerRequest) -> None:
        """Anything may be looked at."""

    async def authenticate(self, request: HTTPServerRequest) -> Principal:
        """By the Authorization header, and by nothing else."""
        try:
            scheme, _, credentials = (single_header(request, "Authorization") or "").partition(" ")
        except RepeatedHeader:
            raise InvalidCredentials("sent_twice") from None
        if scheme.lower() != "bearer":
            raise NoCredentials("no_bearer" if scheme else "no_authorization")
        return await self._verifier.verify(credentials.strip())

    async def authenticate_ticket(self, ticket: str, answer_id: str) -> Ticket:
        """By a ticket for this answer, as long as the key that gave it is good."""
        opened = self._tickets.verify(ticket, answer_id)
        await self._verifier.recheck(opened.principal)
        return opened
