"""OpenAI's Responses: `POST /v1/responses`.

A response is an answer, under the id `resp_` and the answer's.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from handlers.answer_responses import AnswerHandler
from handlers.on_disconnect import grace_header
from handlers.openai.base import OpenAIHandler
from handlers.openai.item_references import Items, referred_items
from handlers.openai.response_body import ResponseBody
from handlers.openai.response_input import Input, read_input
from handlers.openai.response_object import PROTOCOL, response_of
from handlers.openai.response_placing import branch_to, placed, remembering
from handlers.openai.unknown_fields import openai_extra
from handlers.retries import tries_of
from handlers.wires.responses import ResponsesWire
from model.messages import ClientData
from model.prompt import Turn
from relay.answer import Answer
from relay.ask_request import AskRequest, AskResult, text_and_parts
from storage.errors import Busy


class _Asked(NamedTuple):
    """An answer that was started, and what of its request tells how to send it."""

    answer: Answer
    stream: bool
    background: bool


class _InputParser:
    """Reads the input of a body, which may refer to `items`. `turns` may be called in a thread."""

    def __init__(self, items: Items) -> None:
        self._items = items
        self.input = Input((), ())

    def turns(self, body: ResponseBody) -> tuple[Turn, ...]:
        """The turns of the input, the last of which is the question."""
        body.check()
        self.input = read_input(body.input, self._items)
        return self.input.turns


class ResponsesHandler(OpenAIHandler, AnswerHandler):
    """`POST /v1/responses`: asks for a response."""

    takes_files = True
    option_names: Mapping[str, str] = {
        "max_tokens": "max_output_tokens",
        "reasoning_effort": "reasoning.effort",
        "response_format": "text.format",
        "response_format.schema": "text.format.schema",
    }

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
            items = await referred_items(self.services.storage, self.user, self.request.body)
            parser = _InputParser(items)
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
                store=store,
                keeps_system=False,
                grace_seconds=None if background else grace_header(self.request),
                caller=self.caller,
                allowed=self.allowed,
                client=ClientData(
                    protocol=PROTOCOL, metadata=body.metadata or {}, request=body.repeated()
                ),
                extra=self._extra(body),
                **body.options(),
            )
            request = tries.of(request, waits=not (stream or background))
            request = await placed(
                self.services.storage, request, body, parser.input.system, tuple(history)
            )
            if self.connection_stream.closed():
                return None
            if stream:
                self.count_in(self.services.relay.streams)
            result = await self._result(request)
        return None if result is None else _Asked(result.answer, stream, background)

    def _extra(self, body: ResponseBody) -> dict[str, Any]:
        """OpenAI's own fields in the body. Raises ApiError and RelayError."""
        asked = body.openai_fields()
        if not asked or body.model is None:  # which model it will be, only the conversation knows
            return openai_extra(asked, {})
        source, _ = self.services.models.resolve(body.model, self.allowed)
        return openai_extra(asked, source.openai_fields)

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
                history = await branch_to(
                    self.services.storage, self.user, request.conversation_id or "", parent_id
                )
            fork = msgspec.structs.replace(
                request, conversation_id=None, parent_id=None, history=history
            )
            return await self.result_of(remembering(fork, msgspec.to_builtins(history)))


routes = [(r"/v1/responses", ResponsesHandler)]
