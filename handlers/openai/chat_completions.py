"""`POST /v1/chat/completions`: asks as OpenAI's clients do, and answers them alike.

The history is the messages that come with the question. Nothing is stored, and leaving cancels the
answer, unless the client says `store`.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from handlers.answer_responses import AnswerHandler
from handlers.idempotency_key import idempotency_key
from handlers.on_disconnect import grace_header
from handlers.openai.answer_error import answer_error, may_succeed_later
from handlers.openai.chat_body import ChatCompletionBody
from handlers.openai.chat_messages import chat_turns
from handlers.openai.chat_placing import PROTOCOL, Place, place_of
from handlers.openai.completion import (
    CONVERSATION_PREFIX,
    completion_of,
    stored_completion,
)
from handlers.openai.error_body import error_body
from handlers.openai.stored_completions import CompletionListHandler
from handlers.openai.unknown_fields import (
    THINKING_NAMES,
    check_unknown,
    openai_options,
    thinking_options,
    unknown_fields,
)
from handlers.retries import tries_of
from handlers.wires.chat_completions import ChatCompletionsWire
from model.messages import ClientData, Ending
from model.prompt import Turn
from relay.answer import Answer
from relay.ask_request import AskRequest, text_and_parts


class _Started(NamedTuple):
    """An answer, and the wire by which it is streamed; None: it is waited for."""

    answer: Answer
    wire: ChatCompletionsWire | None
    is_stored: bool


class _MessagesParser:
    """Reads what the body's type does not have. `turns` may be called in a thread."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.system: str | None = None
        self.unknown: dict[str, Any] = {}

    def turns(self, body: ChatCompletionBody) -> tuple[Turn, ...]:
        """The turns of the body, whose last one is the question."""
        self.unknown = unknown_fields(self._data, ChatCompletionBody)
        self._data = b""
        body.check()
        self.system, turns = chat_turns(body.messages)
        return turns


class ChatCompletionsHandler(CompletionListHandler, AnswerHandler):
    """`/v1/chat/completions`: asks, and lists what was asked for with `store`."""

    takes_files = True
    option_names: Mapping[str, str] = {
        "response_format.schema": "response_format.json_schema.schema"
    }

    async def post(self) -> None:
        """Ask, and send the answer as a stream or whole."""
        with self.watching_for_disconnect():
            started = await self._start()
            if started is None:
                return
            answer, wire, is_stored = started
            if is_stored:
                conversation = f"{CONVERSATION_PREFIX}{answer.conversation_id}"
                self.set_header("Headrace-Conversation-Id", conversation)
            self.set_limits()
            if wire is None:
                await self._send_whole(answer, is_stored=is_stored)
            else:
                self.wire = wire
                await self.follow(answer)

    async def _start(self) -> _Started | None:
        """Start the answer to the question in the body. None: the client disconnected before."""
        with self.holding_body():
            tries = await tries_of(self)
            parser = _MessagesParser(self.request.body)
            body, turns, files = await self.services.question_reader.read_turns(
                self.request, ChatCompletionBody, parser.turns
            )
            source, _ = self.services.models.resolve(body.model, self.allowed)
            options, own = body.options(), dict[str, Any]()
            if not source.takes_chat_fields:
                own = openai_options(parser.unknown, source.openai_fields)
                if options["reasoning_effort"] is None:
                    options |= (thinking := thinking_options(parser.unknown))
                    self._call({name: THINKING_NAMES[name] for name in thinking})
            self._call(body.given_names)
            extra = own | check_unknown(parser.unknown, are_taken=source.takes_chat_fields)
            *history, question = turns
            content, parts = text_and_parts(question.blocks)
            metadata = body.metadata or {}
            place = Place()
            if body.store:
                name = metadata.get("conversation_id")
                place = await place_of(self.services.storage, self.user, name, history)
            ask_request = AskRequest(
                user=self.user,
                content=content,
                parts=parts,
                files=files,
                history=tuple(history),
                store=bool(body.store),
                conversation_id=place.conversation_id,
                parent_id=place.parent_id,
                creates_conversation=place.creates,
                client=ClientData(protocol=PROTOCOL, metadata=metadata),
                system=parser.system,
                system_after=question.system_after,
                grace_seconds=grace_header(self.request),
                caller=self.caller,
                allowed=self.allowed,
                extra=extra,
                **options,
            )
            if self.connection_stream.closed():
                return None
            wire = _wire_of(body)
            if wire is not None:
                self.count_in(self.services.relay.streams)
            result = await self.result_of(tries.of(ask_request, waits=wire is None))
            if result is None:
                return None
            return _Started(result.answer, wire, is_stored=ask_request.store)

    def _call(self, names: Mapping[str, str]) -> None:
        """Call options in refusals as this request does."""
        self.option_names = {**self.option_names, **names}

    async def _send_whole(self, answer: Answer, *, is_stored: bool) -> None:
        if not await self._wait_for(answer):
            return
        ending = answer.ending
        assert ending is not None
        if (error := answer_error(ending)) is None:
            self.write_json(stored_completion(answer) if is_stored else completion_of(answer))
            return
        if error.retry_after is not None:
            self.set_header("Retry-After", str(error.retry_after))
        self.set_header("x-should-retry", "true" if self._may_retry(ending) else "false")
        self.write_json(error_body(error, self.request_id), error.status)

    def _may_retry(self, ending: Ending) -> bool:
        """Whether it may help to ask again; with the same key it is the same answer for ever."""
        return may_succeed_later(ending) and idempotency_key(self.request) is None


def _wire_of(body: ChatCompletionBody) -> ChatCompletionsWire | None:
    """The wire of a stream; None if the answer is to be sent whole."""
    if not body.stream:
        return None
    options = body.stream_options
    include_usage = options is not None and bool(options.include_usage)
    return ChatCompletionsWire(
        include_usage=include_usage,
        running_usage=include_usage
        and options is not None
        and bool(options.continuous_usage_stats),
    )


routes = [(r"/v1/chat/completions", ChatCompletionsHandler)]
