"""Pages of long lists, cut alike by both stores.

A page is bounded by its characters, too: two hundred of the longest messages would be a gigabyte of
memory for one request, and whoever has a key may send many of those.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

from model.blocks import Block, FileBlock, ImageBlock, chars_in
from model.messages import Conversation, Message
from storage.cursors import api_key_cursor, conversation_cursor, message_cursor
from storage.values import ApiKey, Order, Page

T = TypeVar("T")


# Of all that a page holds: some 4 MB as JSON, and ten times what fifty usual messages have. What is
# longer alone is a page of its own.
PAGE_CHARS = 1_000_000

# How many dead processes' answers to hold in memory at once, and no more of them than of a page.
ORPHANS = 50


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
    found = builder.found
    cursor = conversation_cursor(found[-1], order) if builder.has_more else None
    return Page(tuple(found), cursor)


def page_of_messages(builder: PageBuilder[Message]) -> Page[Message]:
    """The page, of messages found newest first."""
    found = builder.found
    cursor = message_cursor(found[-1].ordinal) if builder.has_more else None
    return Page(tuple(found[::-1]), cursor)


def page_of_branch(found: Sequence[Message]) -> Page[Message]:
    """The page, of messages found newest first, each the parent of the one ahead of it."""
    return Page(tuple(found[::-1]), found[-1].parent_id if found else None)


def page_of_api_keys(found: Sequence[ApiKey], limit: int) -> Page[ApiKey]:
    """The page, of one key more than `limit` if there are more; by their ids."""
    page = tuple(found[:limit])
    return Page(page, api_key_cursor(page[-1].id) if len(found) > limit else None)


def _chars_held(block: Block) -> int:
    """What a block takes in memory; a picture's address may be all of the picture."""
    address = block.url if isinstance(block, ImageBlock | FileBlock) else None
    return chars_in(block) + len(address or "")
