"""The routes of conversations: create, list, get, change and delete."""

import secrets
from http import HTTPStatus

from handlers.base import BaseHandler
from handlers.disconnect_aware import DisconnectAwareHandler
from handlers.errors import ApiError
from handlers.paging import invalid_cursor, page_limit
from handlers.request_bodies import ChangedConversation, NewConversation
from handlers.response_bodies import ConversationView, List
from model.messages import Conversation, now
from relay.titles import shown
from storage.errors import InvalidCursor
from storage.values import Changes, Order


class ConversationsHandler(DisconnectAwareHandler):
    """`/conversations`: lists the user's conversations, and creates them."""

    async def get(self) -> None:
        """Write a page of conversations, by creation or by last update, newest first."""
        limit = page_limit(self.get_query_argument("limit", None))
        order = self._order()
        after = self.get_query_argument("after", None)
        async with self.services.relay.unsent_budget.loading(self.user):
            try:
                page = await self.services.storage.conversations(
                    self.user, limit=limit, after=after, order=order
                )
            except InvalidCursor:
                raise invalid_cursor("after") from None
            live = await self.services.storage.live_answer_ids(
                self.user, [each.id for each in page.data]
            )
            views = [ConversationView.of(each, live.get(each.id)) for each in page.data]
            self.write_json(List(views, page.next))

    def _order(self) -> Order:
        """The query parameter `order`, or its default. Raises ApiError 400."""
        given = self.get_query_argument("order", Order.CREATED)
        try:
            return Order(given)
        except ValueError:
            raise ApiError(
                HTTPStatus.BAD_REQUEST, "invalid_order", "order must be created or updated."
            ) from None

    async def post(self) -> None:
        """Create a conversation."""
        new = self.body(NewConversation)
        if new.model is not None:
            self.services.models.resolve(new.model, self.allowed)
        created_at = now()
        conversation = Conversation(
            id=secrets.token_hex(16),
            user=self.user,
            title=shown(new.title),
            model=new.model,
            system=new.system,
            metadata=new.metadata,
            created_at=created_at,
            updated_at=created_at,
        )
        with self.watching_for_disconnect():
            await self.unless_disconnected(self.services.relay.conversations.create(conversation))
        if self.disconnected:
            return
        self.set_header("Location", self.address(f"/api/v1/conversations/{conversation.id}"))
        self.write_json(ConversationView.of(conversation), HTTPStatus.CREATED)


class ConversationHandler(BaseHandler):
    """`/conversations/{id}`: one conversation."""

    async def get(self, conversation_id: str) -> None:
        """Write the conversation."""
        conversation = await self.services.storage.conversation(self.user, conversation_id)
        await self._write(conversation)

    async def patch(self, conversation_id: str) -> None:
        """Change the fields that the body names."""
        changed = self.body(ChangedConversation)
        if isinstance(changed.model, str):
            self.services.models.resolve(changed.model, self.allowed)
        changes = Changes(
            title=shown(changed.title) if isinstance(changed.title, str) else changed.title,
            model=changed.model,
            system=changed.system,
            metadata=changed.metadata,
        )
        conversation = await self.services.relay.conversations.change(
            self.user, conversation_id, changes, now()
        )
        await self._write(conversation)

    async def delete(self, conversation_id: str) -> None:
        """Stop a live answer of the conversation, then delete it and all its messages."""
        await self.services.relay.conversations.delete(self.user, conversation_id)
        self.set_status(HTTPStatus.NO_CONTENT)

    async def _write(self, conversation: Conversation) -> None:
        live = await self.services.storage.live_answer_ids(self.user, [conversation.id])
        self.write_json(ConversationView.of(conversation, live.get(conversation.id)))


routes = [
    (r"/api/v1/conversations", ConversationsHandler),
    (r"/api/v1/conversations/([^/]+)", ConversationHandler),
]
