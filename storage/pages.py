"""Pages of long lists, cut alike by both stores, and the cursors that lead from one to the next.

A cursor names the last thing on its page, so that a list which grows meanwhile neither repeats nor
skips anything. To clients it is opaque; what comes back is checked, for anybody can make one up.
"""

import base64
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from storage.base import ApiKey, Conversation, Message, Page

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def page_of_conversations(found: Sequence[Conversation], limit: int) -> Page[Conversation]:
    """The page, of one conversation more than `limit` if there are more; newest first."""
    return _page(found, limit, lambda last: f"{milliseconds(last.created_at)}.{last.id}")


def page_of_messages(found: Sequence[Message], limit: int) -> Page[Message]:
    """The page, of one message more than `limit` if there are more; found newest first."""
    page = _page(found, limit, lambda last: str(last.ordinal))
    return Page(page.data[::-1], page.next)


def page_of_branch(found: Sequence[Message]) -> Page[Message]:
    """The page, of messages found newest first, each the parent of the one ahead of it."""
    return Page(tuple(found[::-1]), found[-1].parent_id if found else None)


def page_of_api_keys(found: Sequence[ApiKey], limit: int) -> Page[ApiKey]:
    """The page, of one key more than `limit` if there are more; by their ids."""
    return _page(found, limit, lambda last: last.id)


def conversation_place(cursor: str) -> tuple[datetime, str]:
    """When the last conversation on the page before was created, and its id."""
    created, dot, conversation_id = _open(cursor).partition(".")
    if not dot:
        raise ValueError("no cursor")
    return instant(_whole(created)), conversation_id


def message_place(cursor: str) -> int:
    """The ordinal of the oldest message on the page before."""
    return _whole(_open(cursor))


def api_key_place(cursor: str) -> str:
    """The id of the last key on the page before."""
    return _open(cursor)


def milliseconds(time: datetime) -> int:
    """A time as whole milliseconds since 1970; what is finer is cut off."""
    return (time - _EPOCH) // _MILLISECOND


def instant(count: int) -> datetime:
    """The time that many milliseconds since 1970, in UTC. Raises ValueError."""
    try:
        return _EPOCH + count * _MILLISECOND
    except OverflowError:
        raise ValueError("no such time") from None


def _page(found: Sequence[T], limit: int, name: Callable[[T], str]) -> Page[T]:
    data = tuple(found[:limit])
    return Page(data, _seal(name(data[-1])) if len(found) > limit else None)


def _seal(place: str) -> str:
    return base64.urlsafe_b64encode(place.encode()).decode()


def _open(cursor: str) -> str:
    # binascii.Error and UnicodeError are ValueErrors already.
    return base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True).decode()


def _whole(digits: str) -> int:
    # Not int() alone, which takes signs, spaces and underscores; and no more than 8 bytes hold.
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 18):
        raise ValueError("no cursor")
    return int(digits)
