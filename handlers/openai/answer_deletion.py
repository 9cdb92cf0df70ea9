"""Deletes one answer, for protocols in which each answer is a thing of its own.

The store deletes conversations. An answer that has its conversation to itself is deleted with that;
in a conversation with others it is a part of what the others answer, and stays.
"""

from http import HTTPStatus

from handlers.errors import ApiError
from handlers.services import Services
from model.messages import Role
from storage.errors import NotFound

# A question and its answer.
_ALONE = 2


async def delete_answer(services: Services, user: str, answer_id: str) -> None:
    """Delete the answer with its question and its conversation.

    Raises NotFound, ApiError 409 if the conversation has others, and StorageError.
    """
    message = await services.storage.message(user, answer_id)
    if message.role != Role.ASSISTANT:
        raise NotFound
    conversation_id = message.conversation_id
    newest = await services.storage.messages(user, conversation_id, limit=_ALONE + 1, before=None)
    if len(newest.data) > _ALONE:
        raise ApiError(
            HTTPStatus.CONFLICT,
            "conversation_not_empty",
            "The conversation of this answer has other messages. Delete the conversation.",
        )
    await services.relay.conversations.delete(user, conversation_id)
