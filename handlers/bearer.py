"""Who may enter while `auth.mode` is "keys" or "jwt": who has a key, a token, or a ticket.

Where a request comes from says nothing then, and nothing is asked about it: proxies may forward,
hosts may have names. No cookies are read, so no page can make a browser ask in its user's name.
"""

from typing import ClassVar, Protocol

from tornado.httputil import HTTPServerRequest

from auth.principal import InvalidCredentials, NoCredentials, Principal
from auth.tickets import Ticket, Tickets
from handlers.sole import SentTwice, sole


class Authority(Protocol):
    """Knows whose credentials are good: a Keyring or a Verifier."""

    async def enter(self, credentials: str) -> Principal:
        """Whose they are. Raises Unauthenticated; StorageError or KeysUnavailable."""

    async def check(self, principal: Principal) -> None:
        """Return if what a principal got a ticket by is still good. Raises as `enter` does."""


class Bearer:
    """Admits whoever bears what the authority knows."""

    asks_for_keys: ClassVar[bool] = True

    def __init__(self, authority: Authority, tickets: Tickets) -> None:
        self._authority = authority
        self._tickets = tickets

    def screen(self, request: HTTPServerRequest) -> None:
        """Anything may be looked at."""

    async def enter(self, request: HTTPServerRequest) -> Principal:
        """By the Authorization header, and by nothing else."""
        try:
            scheme, _, credentials = (sole(request, "Authorization") or "").partition(" ")
        except SentTwice:
            raise InvalidCredentials("sent_twice") from None
        if scheme.lower() != "bearer":
            raise NoCredentials("no_bearer" if scheme else "no_authorization")
        return await self._authority.enter(credentials.strip())

    async def enter_with(self, ticket: str, answer_id: str) -> Ticket:
        """By a ticket for this answer, as long as the key that gave it is good."""
        opened = self._tickets.open(ticket, answer_id)
        await self._authority.check(opened.principal)
        return opened
