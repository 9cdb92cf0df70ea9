"""Messages: single ones, pages of a conversation, and branches."""

from collections.abc import Mapping

import pymongo

from model.messages import Message, Role
from storage.contract import MessageStore
from storage.errors import NotFound
from storage.mongo import answer_queries, queries
from storage.mongo.connection import closing_cursor, command
from storage.mongo.conversations import MongoConversations
from storage.mongo.documents import changed_client_fields, message_in
from storage.mongo.live_answers import MongoLiveAnswers
from storage.pages import messages_page_builder, page_of_branch, page_of_messages
from storage.sizes import metadata_bytes
from storage.values import Page, conversation_of

# The number of messages to scan for those of one branch: 100 bytes each, a hundred in the first
# reply.
_MAX_LINKS = 1000


class MongoMessages(MongoConversations, MongoLiveAnswers, MessageStore):
    """The messages of conversations; a live answer comes with its growth so far."""

    @command("request")
    async def message(self, user: str, message_id: str) -> Message:
        found = await self._messages.find_one(queries.message_key(message_id) | {"user": user})
        if found is None:
            raise NotFound
        message = await self._with_stored_chunks(message_in(found))
        await self._check_conversation(user, conversation_of(message_id))
        return message

    @command("request")
    async def answer_status(self, user: str, answer_id: str) -> str:
        key = queries.message_key(answer_id) | {"user": user, "role": Role.ASSISTANT.value}
        found = await self._messages.find_one(key, {"_id": 0, "status": 1})
        if found is None:
            raise NotFound
        await self._check_conversation(user, conversation_of(answer_id))
        return str(found["status"])

    @command("request")
    async def messages(
        self, user: str, conversation_id: str, *, limit: int, before: str | None
    ) -> Page[Message]:
        query = queries.messages_before(user, conversation_id, before)
        cursor = self._messages.find(query).sort("ordinal", -1).limit(limit + 1)
        page = messages_page_builder(limit)
        async with closing_cursor(cursor) as documents:
            async for document in documents:
                if not page.add(await self._with_stored_chunks(message_in(document))):
                    break
        await self._check_conversation(user, conversation_id)
        return page_of_messages(page)

    @command("request")
    async def branch(
        self,
        user: str,
        conversation_id: str,
        *,
        limit: int,
        last: str | None,
        max_chars: int | None = None,
    ) -> Page[Message]:
        query = queries.messages_of(user, conversation_id)
        if last is not None:
            place = await self._ordinal_of(user, conversation_id, last)
            query = queries.messages_up_to(user, conversation_id, place)
        cursor = self._messages.find(query).sort("ordinal", -1).limit(limit)
        page = messages_page_builder(limit, max_chars)
        found = page.found
        # Most messages follow the one before, so that one read brings them all.
        async with closing_cursor(cursor) as documents:
            async for document in documents:
                place = document["ordinal"]
                if found and document["_id"] != found[-1].parent_id:
                    continue  # of another branch
                if not page.add(await self._with_stored_chunks(message_in(document))):
                    break
        parent_id = found[-1].parent_id if found and not page.has_more else None
        if parent_id is not None and len(found) < limit:
            line = await self._ancestor_ordinals(
                user, conversation_id, parent_id, below=place, limit=limit - len(found)
            )
            query = queries.messages_at(user, conversation_id, line)
            async with closing_cursor(self._messages.find(query).sort("ordinal", -1)) as documents:
                async for document in documents:
                    if not page.add(message_in(document)):
                        break
        await self._check_conversation(user, conversation_id)
        return page_of_branch(found)

    @command("deletion")  # which reads it first
    async def live_answer(self, user: str, conversation_id: str) -> str | None:
        live = await self._live_answer_id(user, conversation_id)
        await self._check_conversation(user, conversation_id)
        return live

    @command("request")
    async def change_client_metadata(
        self, user: str, answer_id: str, metadata: Mapping[str, str]
    ) -> Message:
        changed = await self._messages.find_one_and_update(
            answer_queries.client_answer(user, answer_id),
            {"$set": changed_client_fields(metadata)},
            return_document=pymongo.ReturnDocument.AFTER,
        )
        if changed is None:
            raise NotFound
        counted = await self._conversations.update_one(
            queries.conversation_key(user, conversation_of(answer_id)),
            queries.bytes_added(metadata_bytes(metadata)),
        )
        if not counted.matched_count:
            raise NotFound
        return await self._with_stored_chunks(message_in(changed))

    async def _live_answer_id(self, user: str, conversation_id: str) -> str | None:
        live = queries.messages_of(user, conversation_id) | queries.LIVE
        found = await self._messages.find_one(live, {"_id": 1})
        return None if found is None else str(found["_id"])

    async def _ordinal_of(self, user: str, conversation_id: str, message_id: str) -> int:
        """The ordinal of a message of a conversation. Raises NotFound."""
        key = queries.messages_of(user, conversation_id) | {"_id": message_id}
        found = await self._messages.find_one(key, {"ordinal": 1})
        if found is None:
            raise NotFound
        place: int = found["ordinal"]
        return place

    async def _ancestor_ordinals(
        self, user: str, conversation_id: str, last: str, *, below: int, limit: int
    ) -> list[int]:
        """The ordinals of the message `last` and of its nearest ancestors, `limit` in all.

        Ancestors have lower ordinals. Messages of other branches in between are read as well,
        without their content; beyond very many of them the next ancestor is looked up directly.
        """
        line: list[int] = []
        query = queries.messages_below(user, conversation_id, below)
        while True:
            cursor = self._messages.find(query, {"ordinal": 1, "parent_id": 1})
            async with closing_cursor(cursor.sort("ordinal", -1).limit(_MAX_LINKS)) as documents:
                async for document in documents:
                    if document["_id"] == last:
                        line.append(document["ordinal"])
                        last = document.get("parent_id")
                        if last is None or len(line) == limit:
                            return line
            place = await self._ordinal_of(user, conversation_id, last)
            query = queries.messages_up_to(user, conversation_id, place)
