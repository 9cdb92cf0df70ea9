"""Lists of a user's answers of all conversations: those that are live, those of a protocol."""

from collections.abc import Collection, Mapping

from model.messages import Message
from storage.answer_lists import AnswerLists
from storage.errors import Outdated
from storage.mongo import answer_queries
from storage.mongo.connection import closing_cursor, command
from storage.mongo.documents import Document, message_in
from storage.mongo.messages import MongoMessages
from storage.pages import messages_page_builder, page_of_answers
from storage.values import ClientAnswers, Page, conversation_of


class MongoAnswerLists(MongoMessages, AnswerLists):
    """Each list is read from an index of its own, of every shard."""

    @command("request")
    async def live_answers(
        self, user: str, *, limit: int, after: str | None = None
    ) -> Page[Message]:
        return await self._page(user, answer_queries.live_answers_after(user, after), limit=limit)

    @command("request")
    async def live_answer_ids(
        self, user: str, conversation_ids: Collection[str]
    ) -> Mapping[str, str]:
        live = answer_queries.live_answers_of(user, conversation_ids)
        found = self._messages.find(live, {"conversation": 1})
        return {each["conversation"]: each["_id"] async for each in found}

    @command("request")
    async def answers_of_protocol(
        self, user: str, chosen: ClientAnswers, *, limit: int, after: str | None = None
    ) -> Page[Message]:
        if not self._lists_protocols:
            raise Outdated("the index of protocols is missing; `server.py migrate` creates it")
        query = answer_queries.client_answers_after(user, chosen, after)
        return await self._page(user, query, limit=limit, oldest_first=chosen.oldest_first)

    async def _page(
        self, user: str, query: Document, *, limit: int, oldest_first: bool = False
    ) -> Page[Message]:
        """Return a page of the answers; ids first, so that those of deleted conversations and
        those that do not fit are not read.
        """
        towards = 1 if oldest_first else -1
        order = [("created_at", towards), ("_id", towards)]
        ids: list[str] = []
        async with closing_cursor(self._messages.find(query, {"_id": 1}).sort(order)) as found:
            while len(ids) <= limit and (some := await found.to_list(limit + 1)):
                ids += await self._of_existing(user, [each["_id"] for each in some])
        page = messages_page_builder(limit)
        answers = self._messages.find(answer_queries.answers_by_id(user, ids[: limit + 1])).sort(
            order
        )
        async with closing_cursor(answers) as documents:
            async for document in documents:
                if not page.add(await self._with_stored_chunks(message_in(document))):
                    break
        return page_of_answers(page)

    async def _of_existing(self, user: str, answer_ids: Collection[str]) -> list[str]:
        """Those of the answers whose conversation exists."""
        named = {conversation_of(answer_id) for answer_id in answer_ids}
        found = self._conversations.find(
            answer_queries.existing_conversations(user, named), {"_id": 1}
        )
        existing = {each["_id"] async for each in found}
        return [each for each in answer_ids if conversation_of(each) in existing]
