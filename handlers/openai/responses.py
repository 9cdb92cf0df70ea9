"""OpenAI's Responses: `/v1/responses` and its routes for one response.

A response is an answer, under the id `resp_` and the answer's. Any response can be streamed,
resumed and cancelled for as long as it is stored, also one that was not asked for in the
background.
"""

from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec

from handlers.answer_responses import AnswerHandler
from handlers.errors import ApiError
from handlers.on_disconnect import grace_header
from handlers.openai.answer_deletion import delete_answer
from handlers.openai.base import OpenAIHandler
from handlers.openai.response_body import ResponseBody
from handlers.openai.response_input import Input, read_input
from handlers.openai.response_items import InputItem, InputItemList, input_items
from handlers.openai.response_object import PROTOCOL, RESPONSE_PREFIX, DeletedResponse, response_of
from handlers.retries import tries_of
from handlers.wires.event_numbers import LAST_NUMBER
from handlers.wires.responses import ResponsesWire
from model.blocks import Block, FileBlock, ImageBlock, blocks_in
from model.messages import ClientData, Message, Role
from model.prompt import Turn
from relay.answer import Answer
from relay.ask_request import AskRequest, AskResult, text_and_parts
from relay.errors import UnknownParent
from relay.tool_loop import kept_of, results_in
from storage.errors import Busy, NotFound

# Messages of a branch that a fork takes along: those of fifty exchanges.
_MOST_FORKED = 100

# Items of one page. A question has some dozen.
_MOST_ITEMS = 100


# Where a stored response keeps the turns that its input had before the question: they are in no
# message, and a response that follows it needs them.
_EARLIER = "earlier_turns"


class _StoredTurn(msgspec.Struct, frozen=True):
    """A turn as it is kept with a response."""

    role: str
    blocks: list[dict[str, Any]]


class _Asked(NamedTuple):
    """An answer that was started, and what of its request tells how to send it."""

    answer: Answer
    stream: bool
    background: bool


class _InputParser:
    """Reads the input of a body. `turns` may be called in a thread."""

    def __init__(self) -> None:
        self.input = Input(None, ())

    def turns(self, body: ResponseBody) -> tuple[Turn, ...]:
        """The turns of the input, the last of which is the question."""
        body.check()
        self.input = read_input(body.input)
        return self.input.turns


class ResponsesHandler(OpenAIHandler, AnswerHandler):
    """`POST /v1/responses`: asks for a response."""

    takes_files = True

    async def post(self) -> None:
        """Ask, and send the response as a stream, at once, or when it has ended."""
        with self.watching_for_disconnect():
            asked = await self._ask()
            if asked is None:
                return
            answer = asked.answer
            if asked.stream:
                self.wire = ResponsesWire(answer)
                await self.follow(answer)
            elif asked.background or await self._wait_for(answer):
                if asked.background:
                    self.services.relay.expect_reader(answer)
                self.write_json(response_of(answer))

    async def _ask(self) -> _Asked | None:
        """Start the answer to the question in the body. None: the client disconnected before."""
        with self.holding_body():
            tries = await tries_of(self)
            parser = _InputParser()
            body, turns, files = await self.services.question_reader.read_turns(
                self.request, ResponseBody, parser.turns
            )
            *history, question = turns
            content, parts = text_and_parts(question.blocks)
            store = body.store is not False
            stream, background = bool(body.stream), bool(body.background)
            request = AskRequest(
                user=self.user,
                content=content,
                parts=parts,
                files=files,
                system=_system(body, parser.input.system),
                store=store,
                keeps_system=False,
                grace_seconds=None if background else grace_header(self.request),
                caller=self.caller,
                allowed=self.allowed,
                client=ClientData(
                    protocol=PROTOCOL, metadata=body.metadata or {}, request=body.repeated()
                ),
                **body.options(),
            )
            request = tries.of(request, waits=not (stream or background))
            request = await self._placed(request, body, tuple(history))
            if self.connection_stream.closed():
                return None
            if stream:
                self.count_in(self.services.relay.streams)
            result = await self._result(request)
        return None if result is None else _Asked(result.answer, stream, background)

    async def _result(self, request: AskRequest) -> AskResult | None:
        """Ask; a fork of a conversation that has another live answer gets one of its own."""
        try:
            return await self.result_of(request)
        except Busy as error:
            parent_id = request.parent_id
            if not isinstance(parent_id, str) or error.answer_id == parent_id:
                raise
            history = request.history
            if history is None:
                history = await self._branch(request.conversation_id or "", parent_id)
            fork = msgspec.structs.replace(
                request, conversation_id=None, parent_id=None, history=history
            )
            return await self.result_of(_remembering(fork, msgspec.to_builtins(history)))

    async def _branch(self, conversation_id: str, last: str) -> tuple[Turn, ...]:
        """The turns up to an answer, from a question on."""
        page = await self.services.storage.branch(
            self.user, conversation_id, limit=_MOST_FORKED, last=last
        )
        turns: list[Turn] = []
        for message in page.data:
            blocks = message.blocks
            if message.role == Role.ASSISTANT:
                blocks = kept_of(message, model=None, with_tools=True, with_reasoning=False)
            if blocks and (turns or _begins(message)):
                turns.append(Turn(message.role, blocks))
        return tuple(turns)

    async def _placed(
        self, request: AskRequest, body: ResponseBody, history: tuple[Turn, ...]
    ) -> AskRequest:
        """The request with what it follows: a response, a conversation, or what came with it."""
        previous, conversation_id = body.previous_answer_id, body.conversation_id
        if previous is None and conversation_id is None:
            request = msgspec.structs.replace(request, history=history, parent_id=None)
            return _remembering(request, msgspec.to_builtins(history)) if history else request
        if history:
            raise ApiError(
                HTTPStatus.BAD_REQUEST,
                "unsupported_parameter",
                "With `previous_response_id` or `conversation`, `input` may have items of the user "
                "only: earlier answers are known.",
                param="input",
            )
        if previous is None:
            return msgspec.structs.replace(request, conversation_id=conversation_id)
        try:
            parent = await self.services.storage.message(self.user, previous)
        except NotFound:
            raise UnknownParent from None
        if parent.role != Role.ASSISTANT:
            raise UnknownParent
        request = msgspec.structs.replace(
            request, conversation_id=parent.conversation_id, parent_id=parent.id
        )
        earlier = None if parent.client is None else parent.client.request.get(_EARLIER)
        if not earlier:
            return request
        branch = await self._branch(parent.conversation_id, parent.id)
        turns = (*msgspec.convert(earlier, tuple[_StoredTurn, ...]),)
        known = tuple(Turn(Role(turn.role), tuple(blocks_in(turn.blocks))) for turn in turns)
        known = tuple(Turn(turn.role, _without_files(turn.blocks)) for turn in known)
        request = msgspec.structs.replace(request, history=(*known, *branch))
        return _remembering(request, earlier)


def _remembering(request: AskRequest, turns: Any) -> AskRequest:
    """The request, with the turns kept for responses that follow."""
    client = request.client
    if client is None or not request.store:
        return request
    kept = msgspec.structs.replace(client, request={**client.request, _EARLIER: turns})
    return msgspec.structs.replace(request, client=kept)


def _without_files(blocks: tuple[Block, ...]) -> tuple[Block, ...]:
    """The blocks without contents that are not stored with them."""
    kept = (b for b in blocks if not isinstance(b, ImageBlock | FileBlock) or b.url is not None)
    return tuple(kept)


def _begins(message: Message) -> bool:
    """Whether a history may begin with the message: a person's question."""
    return message.role == Role.USER and not results_in(message.blocks)


def _system(body: ResponseBody, said: str | None) -> str | None:
    """The system prompt: the instructions, and what messages of a system say."""
    return "\n\n".join(filter(None, (body.instructions, said))) or None


class ResponseHandler(OpenAIHandler, AnswerHandler):
    """`/v1/responses/{id}`: one response."""

    async def get(self, response_id: str) -> None:
        """Write the response as it is now, or stream it."""
        answer_id = response_id.removeprefix(RESPONSE_PREFIX)
        if not self._wants_stream():
            self.write_json(response_of(await self.services.relay.peek(self.user, answer_id)))
            return
        after = self._starting_after()
        self.count_in(self.services.relay.streams)
        with self.watching_for_disconnect():
            answer = await self.services.relay.answer(self.user, answer_id)
            wire = ResponsesWire(
                answer, after=-1 if after is None else after, one_by_one=after is None
            )
            self.wire = wire
            await self.follow(answer, wire.position())

    async def head(self, *names: str) -> None:
        """Send the headers of the response, without becoming a reader of it."""
        answer_id = names[0].removeprefix(RESPONSE_PREFIX)
        answer = await self.services.relay.peek(self.user, answer_id)
        if self._wants_stream():
            self._starting_after()
            self.write_stream_headers()
            await self.flush()
        else:
            self.write_json(response_of(answer))

    async def delete(self, response_id: str) -> None:
        """Delete the response."""
        answer_id = response_id.removeprefix(RESPONSE_PREFIX)
        await delete_answer(self.services, self.user, answer_id)
        self.write_json(DeletedResponse(RESPONSE_PREFIX + answer_id))

    def _wants_stream(self) -> bool:
        given = self.get_query_argument("stream", "false")
        if given not in ("true", "false"):
            raise _invalid_query("stream", "`stream` must be true or false.")
        return given == "true"

    def _starting_after(self) -> int | None:
        given = self.get_query_argument("starting_after", None)
        if given is None:
            return None
        if not (given.isascii() and given.isdecimal() and int(given[:11]) <= LAST_NUMBER):
            raise _invalid_query(
                "starting_after", "`starting_after` must be the sequence_number of an event."
            )
        return int(given)


class CancelHandler(OpenAIHandler, AnswerHandler):
    """`POST /v1/responses/{id}/cancel`: ends a live response."""

    async def post(self, response_id: str) -> None:
        """Cancel the response if it is live, and write it as it is then."""
        answer_id = response_id.removeprefix(RESPONSE_PREFIX)
        answer = await self.services.relay.stop(self.user, answer_id)
        if answer.ending is None:
            # Another process generates it, or the store is slow: its end is near.
            with self.watching_for_disconnect():
                if not await self._wait_for(answer):
                    return
        self.write_json(response_of(answer))


class InputItemsHandler(OpenAIHandler):
    """`GET /v1/responses/{id}/input_items`: what the response was asked with."""

    async def get(self, response_id: str) -> None:
        """Write a page of the items, the last of them first unless `order` is asc."""
        answer_id = response_id.removeprefix(RESPONSE_PREFIX)
        storage = self.services.storage
        answer = await storage.message(self.user, answer_id)
        if answer.role != Role.ASSISTANT:
            raise NotFound
        question = await storage.message(self.user, answer.parent_id or "")
        items: list[InputItem] = list(input_items(question.id, question.blocks))
        if self._order() == "desc":
            items.reverse()
        after = self.get_query_argument("after", None)
        if after is not None:
            ids = [item.id for item in items]
            if after not in ids:
                raise _invalid_query("after", "`after` must be the id of an item of the list.")
            items = items[ids.index(after) + 1 :]
        limit = self._limit()
        self.write_json(InputItemList.of(items[:limit], has_more=len(items) > limit))

    def _order(self) -> str:
        given = self.get_query_argument("order", "desc")
        if given not in ("asc", "desc"):
            raise _invalid_query("order", "`order` must be asc or desc.")
        return given

    def _limit(self) -> int:
        given = self.get_query_argument("limit", "20")
        if not (given.isascii() and given.isdecimal() and 1 <= int(given[:9]) <= _MOST_ITEMS):
            raise _invalid_query("limit", f"`limit` must be a number from 1 to {_MOST_ITEMS}.")
        return int(given)


def _invalid_query(name: str, message: str) -> ApiError:
    return ApiError(HTTPStatus.BAD_REQUEST, "invalid_query", message, param=name)


routes = [
    (r"/v1/responses", ResponsesHandler),
    (r"/v1/responses/([^/]+)", ResponseHandler),
    (r"/v1/responses/([^/]+)/cancel", CancelHandler),
    (r"/v1/responses/([^/]+)/input_items", InputItemsHandler),
]
