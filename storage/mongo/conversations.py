"""Conversations: created, listed and changed, and how many bytes they take."""

from contextlib import suppress
from datetime import datetime

import pymongo
from pymongo.errors import DuplicateKeyError

from model.messages import Conversation
from storage.contract import ConversationStore
from storage.errors import NotFound
from storage.mongo import queries
from storage.mongo.connection import MongoConnection, closing_cursor, command
from storage.mongo.documents import conversation_document, conversation_in
from storage.pages import conversations_page_builder, page_of_conversations
from storage.sizes import CONVERSATION_BYTES
from storage.values import Changes, Order, Page


class MongoConversations(MongoConnection, ConversationStore):
    """A user's conversations, without their messages."""

    @command("request")
    async def create_conversation(self, conversation: Conversation) -> None:
        with suppress(DuplicateKeyError):  # by an earlier attempt
            await self._conversations.insert_one(conversation_document(conversation))

    @command("request")
    async def conversation(self, user: str, conversation_id: str) -> Conversation:
        key = queries.conversation_key(user, conversation_id)
        found = await self._conversations.find_one(key)
        if found is None:
            raise NotFound
        return conversation_in(found)

    @command("request")
    async def conversations(
        self, user: str, *, limit: int, after: str | None, order: Order = Order.CREATED
    ) -> Page[Conversation]:
        query = queries.conversations_after(user, after, order)
        cursor = self._conversations.find(query).sort([(order.field, -1), ("_id", -1)])
        cursor.allow_disk_use(True)  # for a store that is not migrated, which sorts them
        page = conversations_page_builder(limit)
        async with closing_cursor(cursor.limit(limit + 1)) as documents:
            async for document in documents:
                if not page.add(conversation_in(document)):
                    break
        return page_of_conversations(page, order)

    @command("request")
    async def change_conversation(
        self, user: str, conversation_id: str, changes: Changes, updated_at: datetime
    ) -> Conversation:
        changed = await self._conversations.find_one_and_update(
            queries.conversation_key(user, conversation_id),
            queries.changed(changes, updated_at),
            return_document=pymongo.ReturnDocument.AFTER,
        )
        if changed is None:
            raise NotFound
        return conversation_in(changed)

    @command("request")
    async def stored_bytes(self, user: str) -> int:
        found = self._conversations.aggregate(queries.sum_of_bytes(user))
        sums = [each["count"] * CONVERSATION_BYTES + each["bytes"] async for each in found]
        return sum(sums)

    async def _check_conversation(self, user: str, conversation_id: str) -> None:
        """Raise NotFound if it was deleted or never existed: its messages may still be there.

        It is called after reading them: a deletion in the meantime hides them as well.
        """
        key = queries.conversation_key(user, conversation_id)
        if await self._conversations.find_one(key, {"_id": 1}) is None:
            raise NotFound
