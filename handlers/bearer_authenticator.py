"""The authenticator for `auth.mode` "keys" and "jwt": API keys, tokens and tickets.

It does not matter where a request comes from: proxies may forward it, and any host name will do. No
cookies are read, so no other site's page can make a browser send credentials.
"""

from typing import ClassVar, Protocol

from tornado.httputil import HTTPServerRequest

from auth.errors import InvalidCredentials, NoCredentials
from auth.principal import Principal
from auth.tickets import Ticket, Tickets
from handlers.single_header import RepeatedHeader, single_header


class CredentialVerifier(Protocol):
    """Verifies credentials: an ApiKeyVerifier or a TokenVerifier."""

    async def verify(self, credentials: str) -> Principal:
        """The principal of credentials. Raises Unauthenticated, StorageError and
        KeysUnavailable.
        """

    async def recheck(self, principal: Principal) -> None:
        """Return if the credentials that a ticket was issued for are still valid; raises as
        `verify`.
        """


class BearerAuthenticator:
    """Authenticates requests by an `Authorization: Bearer` header, or by a ticket."""

    asks_for_keys: ClassVar[bool] = True

    def __init__(self, verifier: CredentialVerifier, tickets: Tickets) -> None:
        self._verifier = verifier
        self._tickets = tickets

    def check_request(self, request: HTTPServerRequest) -> None:
        """Every request may be handled."""

    async def authenticate(self, request: HTTPServerRequest) -> Principal:
        """The user of the `Authorization` header; nothing else is read."""
        try:
            scheme, _, credentials = (single_header(request, "Authorization") or "").partition(" ")
        except RepeatedHeader:
            raise InvalidCredentials("sent_twice") from None
        if scheme.lower() != "bearer":
            raise NoCredentials("no_bearer" if scheme else "no_authorization")
        return await self._verifier.verify(credentials.strip())

    async def authenticate_ticket(self, ticket: str, answer_id: str) -> Ticket:
        """The ticket, if it is for this answer and the key that it was issued for is still
        valid.
        """
        opened = self._tickets.verify(ticket, answer_id)
        await self._verifier.recheck(opened.principal)
        return opened
