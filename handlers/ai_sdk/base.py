"""What the handlers of the AI SDK's UI stream have in common: their errors, and a chat's id."""

import re
from contextlib import suppress

from handlers.base import BaseHandler
from handlers.errors import ErrorResponse
from handlers.wires.ai_sdk import PROTOCOL
from model.client_ids import conversation_id_of
from storage.errors import NotFound

# An id of a conversation, which the list of conversations shows.
_CONVERSATION_ID = re.compile(r"[0-9a-f]{32}")


class AISDKHandler(BaseHandler):
    """A handler whose errors `useChat` shows as they are: the message alone, as text."""

    def write_refusal(self, error: ErrorResponse) -> None:
        """Write the message of an error; its code is in a header."""
        self.set_status(error.status)
        self.set_header("Headrace-Error", error.code)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.write(error.message)

    async def conversation_of(self, chat_id: str) -> str:
        """The id of the chat's conversation, whether or not there is one. Raises StorageError.

        Clients choose the ids of their chats. One that is the id of a conversation of the user, as
        the list of conversations shows it, is that conversation.
        """
        if _CONVERSATION_ID.fullmatch(chat_id):
            with suppress(NotFound):
                found = await self.services.storage.conversation(self.user, chat_id)
                return found.id
        return conversation_id_of(self.user, PROTOCOL, chat_id)
