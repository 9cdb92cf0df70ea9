"""Errors of credentials: they are invalid, or it cannot be determined whether they are valid.

Unauthenticated     401: other credentials are needed
├── NoCredentials        none were sent
├── InvalidCredentials   unknown, malformed or revoked; the response does not say which
├── ExpiredCredentials   they were valid once: their holder may get new ones
└── TicketExpired        the answer that it was for ended a while ago
KeysUnavailable     503: tokens cannot be verified at the moment

Their messages are fixed: nothing that was sent is in them. `reason`, such as the name of the claim
that failed, is for the operator's log only.
"""

from typing import ClassVar


class Unauthenticated(Exception):
    """Base of the reasons for a 401. `code` is what clients match on; it is never reworded."""

    code: ClassVar[str] = "unauthenticated"
    words: ClassVar[str] = "This request needs an API key or a token."
    challenge: ClassVar[str] = 'Bearer realm="headrace", error="invalid_token"'

    def __init__(self, reason: str, api_key_id: str | None = None) -> None:
        super().__init__(self.words)
        self.reason = reason
        self.api_key_id = api_key_id  # of an API key that there is, or was


class NoCredentials(Unauthenticated):
    """The request has no credentials."""

    code = "credentials_required"
    words = "Send an API key or a token in the header Authorization: Bearer."
    challenge = 'Bearer realm="headrace"'  # RFC 6750: without an error if nothing was tried


class InvalidCredentials(Unauthenticated):
    """The credentials are unknown, malformed or revoked."""

    code = "invalid_credentials"
    words = (
        "The API key, token or ticket is not valid here. It may be mistyped, revoked or for "
        "another server."
    )


class ExpiredCredentials(Unauthenticated):
    """The credentials were valid until they expired."""

    code = "expired_credentials"
    words = "The API key or token has expired. Get a new one."


class TicketExpired(Unauthenticated):
    """The ticket's answer has ended, and the ticket's time after that is over."""

    code = "ticket_expired"
    words = "The ticket has expired. Get a new one by POST /api/v1/answers/{answer_id}/ticket."


class KeysUnavailable(Exception):
    """The issuer's keys could not be fetched, so that no token can be verified."""

    code: ClassVar[str] = "auth_unavailable"
    words: ClassVar[str] = (
        "Tokens cannot be verified at the moment, since the identity provider's keys cannot be "
        "fetched. Try again in a few seconds."
    )

    def __init__(self, reason: str) -> None:
        super().__init__(self.words)
        self.reason = reason
