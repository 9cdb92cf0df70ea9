"""Pages of long lists, cut alike by both stores, and the cursors that lead from one to the next.

A cursor names the last thing on its page, so that a list which grows meanwhile neither repeats nor
skips anything. To clients it is opaque; what comes back is checked, for anybody can make one up.

A page is bounded by its characters, too: two hundred of the longest messages would be a gigabyte of
memory for one request, and whoever has a key may send many of those.
"""

import base64
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

from model.blocks import Block, FileBlock, ImageBlock, chars_in
from model.messages import Conversation, Message
from storage.values import ApiKey, Order, Page

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

# Of all that a page holds: some 4 MB as JSON, and ten times what fifty usual messages have. What is
# longer alone is a page of its own.
PAGE_CHARS = 1_000_000

# How many dead processes' answers to hold in memory at once, and no more of them than of a page.
ORPHANS = 50

# What the cursors of a list by activity begin with, so that neither list takes the other's.
_MARKS = {Order.CREATED: "", Order.UPDATED: "updated."}


class PageBuilder(Generic[T]):
    """Collects what a store finds, in that order, until the page is full.

    The store stops reading once something did not fit, so that what is in memory is bounded.
    """

    def __init__(
        self, limit: int, chars: Callable[[T], int], *, max_chars: int | None = None
    ) -> None:
        self.found: list[T] = []
        self.has_more = False  # something did not fit: there is a page behind this one
        self._limit = limit
        self._chars = chars
        self._chars_left = PAGE_CHARS if max_chars is None else min(max_chars, PAGE_CHARS)

    def add_all(self, found: Iterable[T]) -> None:
        """Add what there is room for, and read nothing behind that."""
        for each in found:
            if not self.add(each):
                return

    def add(self, each: T) -> bool:
        """Add one, if there is room for it; whether there was."""
        self._chars_left -= self._chars(each)
        if len(self.found) == self._limit or (self.found and self._chars_left < 0):
            self.has_more = True
        else:
            self.found.append(each)
        return not self.has_more


def conversations_page_builder(limit: int) -> PageBuilder[Conversation]:
    """An empty page of at most `limit` conversations; what else is long of them is bounded."""
    return PageBuilder(limit, lambda conversation: len(conversation.system or ""))


def messages_page_builder(limit: int, max_chars: int | None = None) -> PageBuilder[Message]:
    """An empty page of at most `limit` messages, and of `max_chars` characters, if that is less."""
    return PageBuilder(
        limit, lambda message: sum(map(_chars_held, message.blocks)), max_chars=max_chars
    )


def page_of_conversations(builder: PageBuilder[Conversation], order: Order) -> Page[Conversation]:
    """The page; newest first."""

    def name(last: Conversation) -> str:
        return f"{_MARKS[order]}{milliseconds(getattr(last, order.field))}.{last.id}"

    return _page(builder.found, builder.has_more, name)


def page_of_messages(builder: PageBuilder[Message]) -> Page[Message]:
    """The page, of messages found newest first."""
    page = _page(builder.found, builder.has_more, lambda last: str(last.ordinal))
    return Page(page.data[::-1], page.next)


def page_of_branch(found: Sequence[Message]) -> Page[Message]:
    """The page, of messages found newest first, each the parent of the one ahead of it."""
    return Page(tuple(found[::-1]), found[-1].parent_id if found else None)


def page_of_api_keys(found: Sequence[ApiKey], limit: int) -> Page[ApiKey]:
    """The page, of one key more than `limit` if there are more; by their ids."""
    return _page(found[:limit], len(found) > limit, lambda last: last.id)


def conversation_place(cursor: str, order: Order) -> tuple[datetime, str]:
    """When the last conversation on the page before was created, or updated, and its id."""
    mark = _MARKS[order]
    place = _open(cursor)
    time, dot, conversation_id = place.removeprefix(mark).partition(".")
    if not dot or not place.startswith(mark):
        raise ValueError("no cursor")
    return instant(_whole(time)), conversation_id


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


def _chars_held(block: Block) -> int:
    """What a block takes in memory; a picture's address may be all of the picture."""
    address = block.url if isinstance(block, ImageBlock | FileBlock) else None
    return chars_in(block) + len(address or "")


def _page(found: Sequence[T], has_more: bool, name: Callable[[T], str]) -> Page[T]:
    return Page(tuple(found), _seal(name(found[-1])) if has_more else None)


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
