"""The messages of a conversation: listed, and added to by asking."""

from handlers.asking import AskHandler
from handlers.paging import invalid_cursor, page_limit
from handlers.request_bodies import Question
from handlers.response_bodies import List, MessageView
from storage.errors import InvalidCursor


class MessagesHandler(AskHandler):
    """`/conversations/{id}/messages`: lists the messages of a conversation, and asks in it."""

    async def get(self, conversation_id: str) -> None:
        """Write a page of messages, the newest page first, each from old to new."""
        limit = page_limit(self.get_query_argument("limit", None))
        before = self.get_query_argument("before", None)
        async with self.services.relay.unsent_budget.loading(self.user):
            try:
                page = await self.services.storage.messages(
                    self.user, conversation_id, limit=limit, before=before
                )
            except InvalidCursor:
                raise invalid_cursor("before") from None
            self.write_json(List([MessageView.of(message) for message in page.data], page.next))

    async def post(self, conversation_id: str) -> None:
        """Ask a question in the conversation."""
        with self.watching_for_disconnect():
            await self.send(await self.ask(Question, conversation_id))


routes = [(r"/api/v1/conversations/([^/]+)/messages", MessagesHandler)]
