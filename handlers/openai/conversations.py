"""`/v1/conversations`: OpenAI's conversations, which are this server's own.

Their items come of questions and answers (`conversation_items.py`); none can be added by itself.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from handlers.openai.base import OpenAIHandler
from handlers.openai.chat_body import ChatMetadata
from handlers.openai.chat_messages import OpenBody
from handlers.openai.field_errors import unsupported_field
from handlers.openai.response_object import CONVERSATION_PREFIX
from model.messages import Conversation, now
from model.random_ids import random_id
from storage.values import Changes


class NewOpenAIConversation(OpenBody, frozen=True):
    """A conversation to create."""

    metadata: Annotated[
        ChatMetadata | None, Meta(description="Up to 16 strings, which are stored with it.")
    ] = None
    items: Annotated[
        list[Any] | None, Meta(description="Must be empty: items come of questions and answers.")
    ] = None


class ChangedOpenAIConversation(OpenBody, frozen=True):
    """What may be changed of a conversation."""

    metadata: Annotated[
        ChatMetadata | None, Meta(description="The strings that replace those there are.")
    ]


class OpenAIConversation(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation, without its items."""

    id: Annotated[str, Meta(description="The conversation's id, behind `conv_`.")]
    object: Annotated[str, Meta(description="Always `conversation`.")] = "conversation"
    created_at: Annotated[int, Meta(description="When it was created, in seconds since 1970.")]
    metadata: Annotated[dict[str, str], Meta(description="The client's own strings.")]

    @classmethod
    def of(cls, conversation: Conversation) -> "OpenAIConversation":
        """The view of a stored conversation."""
        return cls(
            id=f"{CONVERSATION_PREFIX}{conversation.id}",
            created_at=int(conversation.created_at.timestamp()),
            metadata=conversation.metadata,
        )


class DeletedOpenAIConversation(msgspec.Struct, frozen=True, kw_only=True):
    """What is left of a deleted conversation."""

    id: Annotated[str, Meta(description="The conversation's id.")]
    object: Annotated[str, Meta(description="Always `conversation.deleted`.")] = (
        "conversation.deleted"
    )
    deleted: Annotated[bool, Meta(description="Always true.")] = True


class ConversationCreationHandler(OpenAIHandler):
    """`POST /v1/conversations`."""

    async def post(self) -> None:
        """Create a conversation."""
        new = self.body(NewOpenAIConversation)
        if new.items:
            raise unsupported_field(
                "items",
                "`items` must be empty: a conversation's items come of questions and answers. Send "
                "what was said before as `input` of a response.",
            )
        created_at = now()
        conversation = Conversation(
            id=random_id(),
            user=self.user,
            metadata=new.metadata or {},
            created_at=created_at,
            updated_at=created_at,
        )
        await self.services.relay.conversations.create(conversation)
        self.write_json(OpenAIConversation.of(conversation))


class OpenAIConversationHandler(OpenAIHandler):
    """`/v1/conversations/{id}`: one conversation."""

    async def get(self, given: str) -> None:
        """Write the conversation."""
        conversation = await self.services.storage.conversation(
            self.user, conversation_id_in(given)
        )
        self.write_json(OpenAIConversation.of(conversation))

    async def post(self, given: str) -> None:
        """Replace the conversation's metadata."""
        changed = self.body(ChangedOpenAIConversation)
        conversation = await self.services.relay.conversations.change(
            self.user, conversation_id_in(given), Changes(metadata=changed.metadata or {}), now()
        )
        self.write_json(OpenAIConversation.of(conversation))

    async def delete(self, given: str) -> None:
        """Stop a live answer of the conversation, then delete it with all its items."""
        conversation_id = conversation_id_in(given)
        await self.services.relay.conversations.delete(self.user, conversation_id)
        self.write_json(DeletedOpenAIConversation(id=f"{CONVERSATION_PREFIX}{conversation_id}"))


def conversation_id_in(given: str) -> str:
    """The id of a conversation, which may be sent without its prefix."""
    return given.removeprefix(CONVERSATION_PREFIX)


routes = [
    (r"/v1/conversations", ConversationCreationHandler),
    (r"/v1/conversations/([^/]+)", OpenAIConversationHandler),
]
