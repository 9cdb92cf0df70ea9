"""The routes of a chat of `useChat`: asking, resuming and stopping."""

import hashlib
from contextlib import suppress
from http import HTTPStatus

import msgspec
from tornado.iostream import StreamClosedError

from handlers.ai_sdk.base import AISDKHandler
from handlers.ai_sdk.chat_body import UIChat
from handlers.ai_sdk.placing import ASKED_BY, Placing
from handlers.ai_sdk.ui_messages import file_bytes, question_blocks, system_of
from handlers.answer_responses import AnswerHandler
from handlers.errors import ApiError
from handlers.idempotency_key import idempotency_key
from handlers.wires.ai_sdk import PROTOCOL, AISDKWire, step
from model.messages import ClientData, Message, Role, Status
from model.prompt import Turn
from relay.answer import Answer
from relay.ask_request import AskRequest, AskResult, text_and_parts
from relay.errors import RelayError, UnknownParent
from relay.exchanges import newest_exchange
from relay.question_files import NewFile
from relay.tool_loop import is_whole
from storage.errors import NotFound

# How often a question is asked again because the answers to it failed: a client that sends the same
# request again wants an answer, and each of them costs a read of the store.
_MOST_FAILED = 20


class _UIStreamHandler(AISDKHandler, AnswerHandler):
    """A handler whose response is a UI message stream."""

    def write_stream_headers(self) -> None:
        """Set the headers of an event stream."""
        super().write_stream_headers()
        self.set_header("x-vercel-ai-ui-message-stream", "v1")

    async def send_all(self, answer: Answer, wire: AISDKWire) -> None:
        """Send all of the answer."""
        self.wire = wire
        await self.follow(answer)
        ending = answer.ending
        if ending is not None and answer.tool_calls and not self.disconnected and is_whole(ending):
            self.services.received_calls.add(answer.id)

    async def _cut_off(self, error: RelayError) -> None:
        """Break the connection: clients take a stream that ends for a complete answer, and resume
        after one that breaks. With HTTP/1.0 both are the same, so that it has to be told.
        """
        if self.request.version == "HTTP/1.0":
            await super()._cut_off(error)
        else:
            self.connection_stream.close()


class UIChatHandler(_UIStreamHandler):
    """`POST /ai-sdk/chat`: asks, asks again, edits, and returns results of tools."""

    takes_files = True

    async def post(self) -> None:
        """Answer the chat's last message."""
        with self.watching_for_disconnect():
            if (asked := await self._ask()) is not None:
                await self.send_all(*asked)

    async def _ask(self) -> tuple[Answer, AISDKWire] | None:
        """Start the answer. None: the client disconnected before."""
        with self.holding_body():
            chat, (question,), files = await self.services.question_reader.read_turns(
                self.request, UIChat, _asked_turn, _files_before
            )
            if self.connection_stream.closed():
                return None  # disconnected before the question was handled: nothing is asked
            self.count_in(self.services.relay.streams)
            result = await self._answer_to(chat, question, files)
        if result is None:
            return None
        # What goes on is the same message; what is asked again, or newly, is another one.
        goes_on = chat.trigger == "submit-message" and chat.last.role == "assistant"
        return result.answer, AISDKWire(chat.last.id if goes_on else result.answer.id)

    async def _answer_to(
        self, chat: UIChat, question: Turn, files: tuple[NewFile, ...]
    ) -> AskResult | None:
        text, parts = text_and_parts(question.blocks)
        conversation_id = await self.conversation_of(chat.id)
        placing = Placing(self.services.relay, self.services.storage, self.user, conversation_id)
        content = AskRequest(
            user=self.user,
            content=text,
            parts=parts,
            files=files,
            conversation_id=conversation_id,
            creates_conversation=True,
            client=ClientData(protocol=PROTOCOL, request={ASKED_BY: chat.last.id}),
        )
        placed, answer_id = await placing.place(content, chat)
        try:
            return await self._ask_once(chat, placed, answer_id)
        except UnknownParent:
            if chat.messages is None:
                raise
            # The conversation was deleted, and the client goes on with what it has.
            return await self._ask_once(chat, placing.with_own_history(content, chat), answer_id)

    async def _ask_once(self, chat: UIChat, placed: AskRequest, answer_id: str) -> AskResult | None:
        """Ask, or return the answer that the same request was given before.

        If that one failed, the client asks for another.
        """
        asked = chat.of(placed, idempotency_key=None, caller=self.caller, allowed=self.allowed)
        if asked.system is None:
            asked = msgspec.structs.replace(asked, system=system_of(chat.before))
        own_key = idempotency_key(self.request)
        key = own_key or _key_of(chat, asked, answer_id)
        for _ in range(_MOST_FAILED):
            asked = msgspec.structs.replace(asked, idempotency_key=key)
            result = await self.result_when_free(asked)
            if result is None or result.is_new or own_key or not _failed(result.answer):
                break
            question = await self.services.storage.message(self.user, result.answer.question_id)
            text, parts = text_and_parts(question.blocks)  # which name the files that are stored
            again = asked.regenerating(question)
            asked = msgspec.structs.replace(again, content=text, parts=parts, files=())
            key = _digest(key, result.answer.id)
        return result


class UIResumeHandler(_UIStreamHandler):
    """`GET /ai-sdk/chat/{id}/stream`: sends the newest answer of the chat from its beginning."""

    async def get(self, chat_id: str) -> None:
        """Stream the newest answer, or write 204 if there is none."""
        self.count_in(self.services.relay.streams)
        with self.watching_for_disconnect():
            if (resumed := await self._resumed(chat_id)) is None:
                self.set_status(HTTPStatus.NO_CONTENT)
            else:
                await self.send_all(*resumed)

    async def head(self, *names: str) -> None:
        """Send the headers of the stream without becoming a reader of the answer."""
        if not await self._exchange(*names):
            self.set_status(HTTPStatus.NO_CONTENT)
            return
        self.write_stream_headers()
        with suppress(StreamClosedError):
            await self.flush()  # the length is unknown: `finish` would send Content-Length: 0

    async def _resumed(self, chat_id: str) -> tuple[Answer, AISDKWire] | None:
        """The answer to send, and how; a frame of its own, since the messages may be long."""
        async with self.services.relay.unsent_budget.loading(self.user):
            exchange = await self._exchange(chat_id)
            if not exchange:
                return None
            *earlier, newest = [each for each in exchange if each.role == Role.ASSISTANT]
            results = [each for each in exchange if each.role == Role.USER][1:]
            steps = zip(map(Answer.restored, earlier), results, strict=True)
            sent = b"".join(step(answer, result.blocks) for answer, result in steps)
            self.hold_unsent(len(sent))
            first = earlier[0] if earlier else newest
        return await self.services.relay.answer(self.user, newest.id), AISDKWire(first.id, sent)

    async def _exchange(self, chat_id: str) -> tuple[Message, ...]:
        """The newest exchange; empty if there is nothing to be resumed.

        That is so if nothing was asked, and if the client has received tool calls: it would carry
        them out again.
        """
        conversation_id = await self.conversation_of(chat_id)
        try:
            exchange = await newest_exchange(self.services.storage, self.user, conversation_id)
        except NotFound:
            return ()
        if exchange and self._has(exchange[-1]):
            return ()
        return exchange

    def _has(self, answer: Message) -> bool:
        """Whether the client has all of an ended answer: it says so, or it received tool calls."""
        if answer.status is Status.LIVE:
            return False
        return (
            self.get_query_argument("has", None) == answer.id
            or answer.id in self.services.received_calls
        )


class UIStopHandler(AISDKHandler):
    """`POST /ai-sdk/chat/{id}/stop`: ends the chat's live answer."""

    async def post(self, chat_id: str) -> None:
        """Stop the live answer, if there is one; its readers get the end."""
        conversation_id = await self.conversation_of(chat_id)
        self.set_status(HTTPStatus.NO_CONTENT)
        with suppress(NotFound):
            answer_id = await self.services.storage.live_answer(self.user, conversation_id)
            if answer_id is not None:
                answer = await self.services.relay.stop(self.user, answer_id)
                if answer.ending is None:
                    self.set_status(HTTPStatus.ACCEPTED)


def _asked_turn(chat: UIChat) -> tuple[Turn, ...]:
    """What the chat's last message asks, as one turn. Raises ApiError."""
    if chat.last.role == "system":
        raise ApiError(
            HTTPStatus.BAD_REQUEST, "invalid_body", "The last message has the role `system`."
        )
    before = chat.before[-1] if chat.before else None
    return (Turn(Role.USER, question_blocks(chat.last, before)),)


def _files_before(chat: UIChat) -> int:
    """The bytes of the files of earlier messages, which the client sends again with each question.

    Raises ApiError.
    """
    return sum(map(file_bytes, chat.before))


def _key_of(chat: UIChat, asked: AskRequest, answer_id: str) -> str:
    """The idempotency key of a request: the same for each retry, and no other."""
    named = (chat.trigger, chat.message_id or answer_id, chat.last.id, asked.fingerprint)
    return _digest(*named)


def _digest(*words: str) -> str:
    return hashlib.sha256("\0".join(words).encode()).hexdigest()


def _failed(answer: Answer) -> bool:
    return answer.ending is not None and answer.ending.status is not Status.COMPLETE


routes = [
    (r"/ai-sdk/chat", UIChatHandler),
    (r"/ai-sdk/chat/([^/]+)/stream", UIResumeHandler),
    (r"/ai-sdk/chat/([^/]+)/stop", UIStopHandler),
]
