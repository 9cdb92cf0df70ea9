"""`/v1/conversations/{id}/items`: the items of a conversation.

A conversation is a tree here and a line there: its items are those of the branch of the newest
message. They come of questions and answers; none can be added or deleted by itself, so that the
methods for that do not exist (405).
"""

import re
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from handlers.errors import ApiError
from handlers.openai.base import OpenAIHandler
from handlers.openai.conversations import conversation_id_in
from handlers.openai.field_errors import invalid_parameter
from handlers.openai.response_items import (
    Item,
    input_items,
    message_id_in,
)
from handlers.openai.response_object import items_of_answer
from model.messages import Message, Role
from storage.errors import NotFound
from storage.values import conversation_of

_LIMIT: Final = 20
_MOST: Final = 100

# Messages that are read at a time on the way along a branch.
_READ: Final = 50


class ItemPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of a conversation's items; the last id leads to the next page as `after`."""

    object: Annotated[str, Meta(description="Always `list`.")] = "list"
    # Questions and answers are both of the type `message`, which a union of structs cannot have.
    data: Annotated[list[Any], Meta(description="The items, in order.")]
    first_id: Annotated[str, Meta(description="The id of the first item; empty without any.")]
    last_id: Annotated[str, Meta(description="The id of the last item; empty without any.")]
    has_more: Annotated[bool, Meta(description="Whether there is another page.")]


class ItemsHandler(OpenAIHandler):
    """`GET /v1/conversations/{id}/items`."""

    async def get(self, given: str) -> None:
        """Write a page of the items of the newest branch."""
        conversation_id = conversation_id_in(given)
        limit, after = self._limit(), self.get_query_argument("after", None)
        order = self.get_query_argument("order", "desc")
        if order not in ("asc", "desc"):
            raise invalid_parameter("order", "asc or desc")
        async with self.services.relay.unsent_budget.loading(self.user):
            find = self._newest if order == "desc" else self._oldest
            items = await find(conversation_id, after, limit + 1)
            page = items[:limit]
            self.write_json(
                ItemPage(
                    data=page,
                    first_id=page[0].id if page else "",
                    last_id=page[-1].id if page else "",
                    has_more=len(items) > limit,
                )
            )

    async def _newest(self, conversation_id: str, after: str | None, count: int) -> list[Item]:
        """The newest items first, of those before `after`."""
        last = None if after is None else _message_id(conversation_id, after)
        found: list[Item] = []
        try:
            async for message in self._back(conversation_id, last):
                items = _items_of(message)[::-1]
                found += items if message.id != last else _behind(items, after)
                if len(found) >= count:
                    break
        except NotFound:
            if last is None:
                raise
            await self.services.storage.conversation(self.user, conversation_id)
            raise _not_an_item() from None
        return found[:count]

    async def _oldest(self, conversation_id: str, after: str | None, count: int) -> list[Item]:
        """The oldest items first, of those after `after`; the way to them is from the newest."""
        found: list[Item] = []
        async for message in self._back(conversation_id, None):
            items = _items_of(message)
            if after is not None and after in {item.id for item in items}:
                return [*_behind(items, after), *found][:count]
            found = [*items, *found][:count]
        if after is not None:
            raise _not_an_item()
        return found

    async def _back(self, conversation_id: str, last: str | None) -> AsyncIterator[Message]:
        """The messages from `last`, or from the newest, back to the first one."""
        while True:
            page = await self.services.storage.branch(
                self.user, conversation_id, limit=_READ, last=last
            )
            for message in reversed(page.data):
                yield message
            if page.next is None:
                return
            last = page.next

    def _limit(self) -> int:
        given = self.get_query_argument("limit", str(_LIMIT))
        if re.fullmatch(r"[0-9]{1,3}", given) and 1 <= int(given) <= _MOST:
            return int(given)
        raise invalid_parameter("limit", f"a whole number from 1 to {_MOST}")


class ItemHandler(OpenAIHandler):
    """`GET /v1/conversations/{id}/items/{item_id}`."""

    async def get(self, given: str, item_id: str) -> None:
        """Write the item."""
        message_id = message_id_in(item_id)
        if message_id is None or conversation_of(message_id) != conversation_id_in(given):
            raise NotFound
        message = await self.services.storage.message(self.user, message_id)
        for item in _items_of(message):
            if item.id == item_id:
                self.write_json(item)
                return
        raise NotFound


def _items_of(message: Message) -> tuple[Item, ...]:
    if message.role == Role.USER:
        return input_items(message.id, message.blocks)
    return items_of_answer(message)


def _behind(items: tuple[Item, ...], after: str | None) -> tuple[Item, ...]:
    ids = [item.id for item in items]
    if after not in ids:
        raise _not_an_item()
    return items[ids.index(after) + 1 :]


def _message_id(conversation_id: str, item_id: str) -> str:
    message_id = message_id_in(item_id)
    if message_id is None or conversation_of(message_id) != conversation_id:
        raise _not_an_item()
    return message_id


def _not_an_item() -> ApiError:
    return invalid_parameter("after", "the id of an item of the conversation")


routes = [
    (r"/v1/conversations/([^/]+)/items", ItemsHandler),
    (r"/v1/conversations/([^/]+)/items/([^/]+)", ItemHandler),
]
