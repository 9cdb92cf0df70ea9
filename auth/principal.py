"""Who sends a request, once that is known."""

import re

import msgspec

# A user's name comes from `--user`, or from a token's `sub`. It is stored with everything they own;
# line ends and other control characters in it could forge lines of a log.
MAX_USER_CHARS = 256
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

# The user of all requests while `auth.mode` is "none".
LOCAL_USER = "local"


class Principal(msgspec.Struct, frozen=True):
    """The user of a request. `api_key_id` is the id of the API key that was sent, if it was one.

    `models` are patterns of the models that they may use; None: all models.
    """

    user: str
    admin: bool = False
    api_key_id: str | None = None
    models: tuple[str, ...] | None = None


def is_user_name(text: str) -> bool:
    """Whether `text` is a valid user name."""
    return 0 < len(text) <= MAX_USER_CHARS and not _CONTROLS.search(text)
