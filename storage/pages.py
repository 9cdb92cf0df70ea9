"""Builds pages of long lists, bounded in the same way for both stores.

A page is bounded by its characters too: two hundred of the longest messages would take a gigabyte
of memory for one request.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

from model.blocks import Block, FileBlock, ImageBlock, chars_in
from model.messages import Conversation, Message
from storage.cursors import answer_cursor, api_key_cursor, conversation_cursor, message_cursor
from storage.sizes import client_bytes
from storage.values import ApiKey, Order, Page

T = TypeVar("T")


# Characters in a page: some 4 MB as JSON, and ten times what fifty usual messages have. A longer
# item is a page of its own.
PAGE_CHARS = 1_000_000

# The number of orphans in memory at a time, within the characters of a page.
ORPHANS = 50


class PageBuilder(Generic[T]):
    """Collects items in the order in which the store finds them, until the page is full.

    The store stops reading once an item did not fit, so that memory is bounded.
    """

    def __init__(
        self, limit: int, chars: Callable[[T], int], *, max_chars: int | None = None
    ) -> None:
        self.found: list[T] = []
        self.has_more = False  # an item did not fit, so there is another page
        self._limit = limit
        self._chars = chars
        self._chars_left = PAGE_CHARS if max_chars is None else min(max_chars, PAGE_CHARS)

    def add_all(self, found: Iterable[T]) -> None:
        """Add items until one does not fit, and read no further."""
        for each in found:
            if not self.add(each):
                return

    def add(self, each: T) -> bool:
        """Add an item if there is room for it; returns whether there was."""
        self._chars_left -= self._chars(each)
        if len(self.found) == self._limit or (self.found and self._chars_left < 0):
            self.has_more = True
        else:
            self.found.append(each)
        return not self.has_more


def conversations_page_builder(limit: int) -> PageBuilder[Conversation]:
    """Return an empty page for at most `limit` conversations; their lengths are bounded
    elsewhere.
    """
    return PageBuilder(limit, lambda conversation: len(conversation.system or ""))


def messages_page_builder(limit: int, max_chars: int | None = None) -> PageBuilder[Message]:
    """Return an empty page for at most `limit` messages, and `max_chars` characters if that is
    less.
    """
    return PageBuilder(limit, _chars_of_message, max_chars=max_chars)


def page_of_conversations(builder: PageBuilder[Conversation], order: Order) -> Page[Conversation]:
    """Return the page of conversations, newest first."""
    found = builder.found
    cursor = conversation_cursor(found[-1], order) if builder.has_more else None
    return Page(tuple(found), cursor)


def page_of_messages(builder: PageBuilder[Message]) -> Page[Message]:
    """Return the page of messages, which were found newest first."""
    found = builder.found
    cursor = message_cursor(found[-1].ordinal) if builder.has_more else None
    return Page(tuple(found[::-1]), cursor)


def page_of_answers(builder: PageBuilder[Message]) -> Page[Message]:
    """Return the page of a user's answers, in the order in which they were found."""
    found = builder.found
    return Page(tuple(found), answer_cursor(found[-1]) if builder.has_more else None)


def page_of_branch(found: Sequence[Message]) -> Page[Message]:
    """Return the page of a branch, whose messages were found newest first, each the parent of
    the one before.
    """
    return Page(tuple(found[::-1]), found[-1].parent_id if found else None)


def page_of_api_keys(found: Sequence[ApiKey], limit: int) -> Page[ApiKey]:
    """Return the page of API keys by id; with one more than `limit` there is another page."""
    page = tuple(found[:limit])
    return Page(page, api_key_cursor(page[-1].id) if len(found) > limit else None)


def _chars_of_message(message: Message) -> int:
    held = 0 if message.client is None else client_bytes(message.client)
    return held + sum(map(_chars_held, message.blocks))


def _chars_held(block: Block) -> int:
    """Return the characters that a block takes in memory; an image's URL may contain the image."""
    address = block.url if isinstance(block, ImageBlock | FileBlock) else None
    return chars_in(block) + len(address or "")
