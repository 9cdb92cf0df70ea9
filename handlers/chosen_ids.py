"""The base of handlers of protocols whose clients choose the ids of their conversations."""

import re
from contextlib import suppress
from typing import ClassVar

from handlers.base import BaseHandler
from model.client_ids import conversation_id_of
from model.random_ids import ID_DIGITS
from storage.errors import NotFound

# An id of a conversation, which the list of conversations shows.
_CONVERSATION_ID = re.compile(rf"[0-9a-f]{{{ID_DIGITS}}}")


class ChosenIdHandler(BaseHandler):
    """A handler that finds a conversation by the id that its client chose."""

    protocol: ClassVar[str]

    async def conversation_of(self, client_id: str) -> str:
        """The id of the client's conversation, whether or not there is one. Raises StorageError.

        One that is the id of a conversation of the user, as the list of conversations shows it, is
        that conversation.
        """
        if _CONVERSATION_ID.fullmatch(client_id):
            with suppress(NotFound):
                return (await self.services.storage.conversation(self.user, client_id)).id
        return conversation_id_of(self.user, self.protocol, client_id)
