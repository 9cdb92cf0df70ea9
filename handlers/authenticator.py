"""Letting requests in: what `auth.mode` chooses from, and what a route asks for."""

from enum import Enum
from typing import ClassVar, Protocol

from tornado.httputil import HTTPServerRequest

from auth.principal import Principal
from auth.tickets import Ticket


class Access(Enum):
    """Who may use a route. Every handler says so; what says nothing is for users."""

    EVERYBODY = "everybody"  # nothing of anybody's is there: signs of life, the page's own files
    USERS = "users"
    ADMINS = "admins"


class Authenticator(Protocol):
    """One way of telling who asks."""

    asks_for_keys: ClassVar[bool]  # or tokens; else credentials are not looked at

    def check_request(self, request: HTTPServerRequest) -> None:
        """Return if the request may be looked at at all, whatever it asks; else raise ApiError."""

    async def authenticate(self, request: HTTPServerRequest) -> Principal:
        """Who asks. Raises Unauthenticated; StorageError or KeysUnavailable if nobody can tell."""

    async def authenticate_ticket(self, ticket: str, answer_id: str) -> Ticket | None:
        """What a ticket opens; None: tickets mean nothing here. Raises as `authenticate` does."""
