"""Who asks, once that is known, and how it comes that it is not.

Unauthenticated     401: come with other credentials
├── NoCredentials        there were none
├── InvalidCredentials   unknown, malformed, revoked: which of them is nobody's business
├── ExpiredCredentials   they were good once: whoever holds them may fetch new ones
└── TicketExpired        the answer it let its holder read ended a while ago
KeysUnavailable     503: nobody can tell now whether a token is good

Their words are fixed: nothing of what was sent is in them. Why it is so, in a word of ours such as
the claim that failed, is for the log of the operator and for nobody else.
"""

import re
from typing import ClassVar

import msgspec

# A user's name comes from `--user`, or from a token's `sub`. It is stored with everything they own;
# line ends and other controls would only forge lines in what people read.
MAX_USER_CHARS = 256
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

# Whoever enters while `auth.mode` is "none".
LOCAL_USER = "local"


class Principal(msgspec.Struct, frozen=True):
    """The one who asks. `api_key_id` is the API key by which they came in, if it was one.

    `models` are patterns of those they may ask; None: any.
    """

    user: str
    admin: bool = False
    api_key_id: str | None = None
    models: tuple[str, ...] | None = None


class Unauthenticated(Exception):
    """Base of the reasons for a 401. `code` is what clients match on; it is never reworded."""

    code: ClassVar[str] = "unauthenticated"
    words: ClassVar[str] = "This takes a key."
    challenge: ClassVar[str] = 'Bearer realm="headrace", error="invalid_token"'

    def __init__(self, reason: str, api_key_id: str | None = None) -> None:
        super().__init__(self.words)
        self.reason = reason
        self.api_key_id = api_key_id  # of an API key that there is, or was


class NoCredentials(Unauthenticated):
    """The request carried none."""

    code = "credentials_required"
    words = "Send Authorization: Bearer and a key or token."
    challenge = 'Bearer realm="headrace"'  # RFC 6750: without an error if nothing was tried


class InvalidCredentials(Unauthenticated):
    """They open nothing."""

    code = "invalid_credentials"
    words = "The key, token or ticket is not one that is good here."


class ExpiredCredentials(Unauthenticated):
    """Their time is over."""

    code = "expired_credentials"
    words = "The key or token has expired."


class TicketExpired(Unauthenticated):
    """The ticket's answer has ended, and its time after that is over."""

    code = "ticket_expired"
    words = "The ticket has expired. Ask for another one."


class KeysUnavailable(Exception):
    """The issuer's keys could not be fetched, so that no token can be judged."""

    code: ClassVar[str] = "auth_unavailable"
    words: ClassVar[str] = "Tokens cannot be checked just now. Try again shortly."

    def __init__(self, reason: str) -> None:
        super().__init__(self.words)
        self.reason = reason


def is_user_name(text: str) -> bool:
    """Whether `text` may be a user's name."""
    return 0 < len(text) <= MAX_USER_CHARS and not _CONTROLS.search(text)
