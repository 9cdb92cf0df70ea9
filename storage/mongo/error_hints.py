"""Messages for the operator when MongoDB fails: which servers, what failed, what to do about it.

They are made of names and numbers only. The driver's messages may quote a document, which is
private, or the URL with its password.
"""

from collections.abc import Iterable
from urllib.parse import urlsplit

from storage.errors import Reason

# Hints by the server's error code.
_HINTS = {
    13: "the user of storage.url may not do this; it needs readWrite and dbAdmin on the database",
    18: "user name or password of storage.url are wrong",
    20: "transactions need a replica set (one server will do) or a sharded cluster",
    121: "a document does not match the collection's validator: is `server.py migrate` due?",
}

# Reasons by the server's error code, and by the name of the driver's class; the first match counts.
_REASONS: dict[int | str | None, Reason] = {
    13: Reason.DENIED,
    18: Reason.DENIED,
    50: Reason.TIMEOUT,
    257: Reason.TOO_LARGE,  # a transaction
    10334: Reason.TOO_LARGE,  # a document
    17280: Reason.TOO_LARGE,  # a key of an index
    17419: Reason.TOO_LARGE,  # a document, once changed
    17420: Reason.TOO_LARGE,
    14031: Reason.FULL,
    91: Reason.NOT_PRIMARY,
    189: Reason.NOT_PRIMARY,
    10107: Reason.NOT_PRIMARY,
    11600: Reason.NOT_PRIMARY,
    11602: Reason.NOT_PRIMARY,
    13435: Reason.NOT_PRIMARY,
    13436: Reason.NOT_PRIMARY,
    "DocumentTooLarge": Reason.TOO_LARGE,
    "NotPrimaryError": Reason.NOT_PRIMARY,
    "ServerSelectionTimeoutError": Reason.UNREACHABLE,
    "NetworkTimeout": Reason.TIMEOUT,
    "ExecutionTimeout": Reason.TIMEOUT,
    "WTimeoutError": Reason.TIMEOUT,
    "ConnectionFailure": Reason.UNREACHABLE,
}


def reason(kinds: Iterable[type], code: int | None, *, timed_out: bool) -> Reason:
    """The reason, by the classes of an error, the most specific first, and the server's code."""
    known = [code, *(kind.__name__ for kind in kinds)]
    for each in known:
        if (found := _REASONS.get(each)) is not None:
            return found
    return Reason.TIMEOUT if timed_out else Reason.FAILED


def words(error: str, code: int | None) -> str:
    """The message for an error, by the name of its class and the server's code, with a hint if
    known.
    """
    if error == "ServerSelectionTimeoutError":
        return "no server that accepts writes was found"
    if error == "ConfigurationError":  # of a DNS lookup: the rest was checked before
        return "DNS has no servers for its name: is the mongodb+srv:// address right?"
    if code is None:
        return error
    hint = _HINTS.get(code)
    return f"{error} (code {code})" + (f": {hint}" if hint else "")


def hosts(url: str) -> str:
    """The servers in a URL, without user and password."""
    parts = urlsplit(url)
    if "@" in parts.path:  # a slash in the password: its end is unknown
        return "?"
    return parts.netloc.rpartition("@")[2]
