"""The routes of OpenAI's Responses for one response: read, stream, cancel and delete it.

Any response can be streamed, resumed and cancelled for as long as it is stored, also one that was
not asked for in the background.
"""

import re

from handlers.answer_responses import AnswerHandler
from handlers.openai.answer_deletion import delete_answer
from handlers.openai.base import OpenAIHandler
from handlers.openai.field_errors import invalid_parameter
from handlers.openai.response_items import InputItem, InputItemList, input_items
from handlers.openai.response_object import RESPONSE_PREFIX, DeletedResponse, response_of
from handlers.wires.event_numbers import LAST_NUMBER
from handlers.wires.responses import ResponsesWire
from model.messages import Role
from storage.errors import NotFound

# With so many digits that any number in a query can have, and none that takes long to read.
_NUMBER = re.compile(r"[0-9]{1,10}")

# Items of one page. A question has some dozen.
_MOST_ITEMS = 100


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
            raise invalid_parameter("stream", "true or false")
        return given == "true"

    def _starting_after(self) -> int | None:
        given = self.get_query_argument("starting_after", None)
        if given is None:
            return None
        if not (_NUMBER.fullmatch(given) and int(given) <= LAST_NUMBER):
            raise invalid_parameter("starting_after", "the sequence_number of an event")
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
                raise invalid_parameter("after", "the id of an item of the list")
            items = items[ids.index(after) + 1 :]
        limit = self._limit()
        self.write_json(InputItemList.of(items[:limit], has_more=len(items) > limit))

    def _order(self) -> str:
        given = self.get_query_argument("order", "desc")
        if given not in ("asc", "desc"):
            raise invalid_parameter("order", "asc or desc")
        return given

    def _limit(self) -> int:
        given = self.get_query_argument("limit", "20")
        if not (_NUMBER.fullmatch(given) and 1 <= int(given) <= _MOST_ITEMS):
            raise invalid_parameter("limit", f"a whole number from 1 to {_MOST_ITEMS}")
        return int(given)


routes = [
    (r"/v1/responses/([^/]+)", ResponseHandler),
    (r"/v1/responses/([^/]+)/cancel", CancelHandler),
    (r"/v1/responses/([^/]+)/input_items", InputItemsHandler),
]
