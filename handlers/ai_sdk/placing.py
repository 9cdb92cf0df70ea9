"""Finds where in a conversation the last message of a chat belongs.

A client sends its messages, and the store has its own. What the store has is believed: the
question follows the last answer that both know, and is sent to the model with the store's branch.
Only if the client comes with answers that the store does not have are its messages the history.

The ids of answers begin with that of their conversation, so that most chats need no look at the
store. A message of `useChat` may be a chain of answers: its id is that of the first one, and its
metadata has that of the last one.
"""

from collections.abc import Iterable
from contextlib import suppress
from http import HTTPStatus
from typing import Final

import msgspec

from handlers.ai_sdk.chat_body import UIChat
from handlers.ai_sdk.ui_messages import UIMessage, history_of
from handlers.errors import ApiError
from model.messages import Message, Role, Status
from model.prompt import Turn
from relay.ask_request import AskRequest
from relay.exchanges import edited_question, newest_exchange
from relay.relay import Relay
from relay.tool_loop import results_in
from storage.contract import MessageStore
from storage.errors import NotFound
from storage.values import conversation_of

# Under this name the id of the message that asked is stored with its answer.
ASKED_BY: Final = "message_id"


class Placing:
    """Places the questions of one chat."""

    def __init__(
        self, relay: Relay, storage: MessageStore, user: str, conversation_id: str
    ) -> None:
        self._relay = relay
        self._storage = storage
        self._user = user
        self._conversation_id = conversation_id

    async def place(self, asked: AskRequest, chat: UIChat) -> tuple[AskRequest, str]:
        """`asked`, which has the content of the last message, with its place; and the id of the
        answer that it replaces or follows, if nothing in the request tells that, else an empty
        string.

        Raises ApiError, NotFound and StorageError.
        """
        if chat.trigger == "regenerate-message":
            if found := await self._regenerated(asked, chat):
                return found
            if chat.last.role != "user":
                raise _nothing_asked()
        elif chat.last.role == "assistant":
            return await self._going_on(asked, chat)
        if not (asked.parts or asked.content.strip()):
            raise _nothing_asked()
        if chat.message is not None:
            placed = await self._after_newest(asked, chat)
            return placed, "" if chat.last.id else await self._followed()
        before = chat.before
        parent_id = await self._last_known(before)
        if parent_id is None and any(message.role == "assistant" for message in before):
            return self.with_own_history(asked, chat), ""
        return _following(asked, parent_id), ""

    def with_own_history(self, asked: AskRequest, chat: UIChat) -> AskRequest:
        """`asked` as a first question, with the client's own messages as its history."""
        messages = chat.before
        if chat.last.role == "assistant":
            messages = (*messages, chat.last)
        turns = history_of(messages)
        if asked.tool_results and turns and _is_of_results(turns[-1]):
            turns = turns[:-1]  # these are the question
        return msgspec.structs.replace(asked, parent_id=None, history=turns)

    async def _regenerated(self, asked: AskRequest, chat: UIChat) -> tuple[AskRequest, str] | None:
        """The question of the answer to be replaced; None if the store does not have it."""
        answer_id = chat.message_id
        if answer_id is not None and self._is_ours(answer_id):
            try:
                return await self._again(asked, answer_id), ""
            except NotFound:
                return None
        exchange = await self._newest_exchange()
        # The client may show another branch, or have changed the question.
        if len(exchange) < 2 or exchange[0].text != asked.text:
            return None
        return await self._again(asked, exchange[1].id), exchange[-1].id

    async def _going_on(self, asked: AskRequest, chat: UIChat) -> tuple[AskRequest, str]:
        """Results of tools for an answer, or that answer again if it is not whole."""
        if not results_in(asked.blocks):
            exchange = await self._newest_exchange()
            if exchange and exchange[-1].status not in (Status.LIVE, Status.COMPLETE):
                return await self._again(asked, exchange[-1].id), exchange[-1].id
            raise _nothing_asked()
        parent_id = await self._last_known((chat.last,))
        if parent_id is not None:
            return _following(asked, parent_id), ""
        if chat.message is not None:
            return asked, ""  # the newest answer has to be it
        return self.with_own_history(asked, chat), ""

    async def _after_newest(self, asked: AskRequest, chat: UIChat) -> AskRequest:
        """The question of a client that sent nothing else; one that was edited beside itself."""
        if chat.message_id is None:
            return asked
        with suppress(NotFound):
            question = await edited_question(
                self._storage,
                self._user,
                self._conversation_id,
                lambda answer: _asked_by(answer) == chat.message_id,
            )
            if question is not None:
                return _following(asked, question.parent_id)
        raise ApiError(
            HTTPStatus.BAD_REQUEST,
            "unknown_parent",
            "messageId is not the id of a question of this chat. Send all messages of the chat.",
        )

    async def _followed(self) -> str:
        """The answer that a message without an id follows; an empty string for the first one.

        Somebody may say the same again once it is answered. Until then, and if its answer failed,
        the same words are the same question.
        """
        exchange = await self._newest_exchange()
        if not exchange:
            return ""
        last = exchange[-1]
        return (last.id if last.status is Status.COMPLETE else exchange[0].parent_id) or ""

    async def _again(self, asked: AskRequest, answer_id: str) -> AskRequest:
        """The question of an answer, to be asked again. Raises NotFound and StorageError."""
        again = await self._relay.regenerate_request(self._user, answer_id)
        return msgspec.structs.replace(again, client=asked.client)

    async def _last_known(self, messages: Iterable[UIMessage]) -> str | None:
        """The last answer in `messages` that the store has, as far as their ids show it."""
        for place, message in enumerate(reversed(tuple(messages))):
            if message.role == "assistant":
                return await self._last_answer_in(message)
            if message.role == "user" and place == 0:
                # Its answer failed, or was stopped, before the client heard of it.
                exchange = await self._newest_exchange()
                if exchange and _asked_by(exchange[-1]) == message.id:
                    return exchange[-1].id
        return None

    async def _last_answer_in(self, message: UIMessage) -> str | None:
        if (last := message.answer_id) is not None and self._is_ours(last):
            return last
        if not self._is_ours(message.id):
            return None
        ids = [each.id for each in await self._newest_exchange()]
        return ids[-1] if message.id in ids else message.id

    async def _newest_exchange(self) -> tuple[Message, ...]:
        try:
            return await newest_exchange(self._storage, self._user, self._conversation_id)
        except NotFound:
            return ()

    def _is_ours(self, message_id: str) -> bool:
        """Whether it has the form of an id of the chat's conversation."""
        return conversation_of(message_id) == self._conversation_id


def _following(asked: AskRequest, parent_id: str | None) -> AskRequest:
    return msgspec.structs.replace(asked, parent_id=parent_id)


def _asked_by(answer: Message) -> str | None:
    """The client's id of the message that an answer was asked with."""
    found = None if answer.client is None else answer.client.request.get(ASKED_BY)
    return found if isinstance(found, str) else None


def _is_of_results(turn: Turn) -> bool:
    return turn.role == Role.USER and bool(results_in(turn.blocks))


def _nothing_asked() -> ApiError:
    return ApiError(
        HTTPStatus.BAD_REQUEST,
        "invalid_body",
        "The last message asks nothing: it has to have text, files, or the results of all tools "
        "that its last step called.",
    )
