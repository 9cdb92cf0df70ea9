"""The protocol of the authenticators that `auth.mode` chooses from, and who may use a route."""

from typing import ClassVar, Protocol

from tornado.httputil import HTTPServerRequest

from auth.principal import Principal
from auth.tickets import Ticket


class Authenticator(Protocol):
    """One way of finding out the user of a request."""

    asks_for_keys: ClassVar[bool]  # or tokens; without either, credentials are ignored

    def check_request(self, request: HTTPServerRequest) -> None:
        """Return if the request may be handled, whatever it asks for; else raise ApiError."""

    async def authenticate(self, request: HTTPServerRequest) -> Principal:
        """The user of the request. Raises Unauthenticated, StorageError and KeysUnavailable."""

    async def authenticate_ticket(self, ticket: str, answer_id: str) -> Ticket | None:
        """The ticket's user and answer; None: tickets are not used. Raises as `authenticate`."""
