"""Streams runs: from an event on, and again from the beginning where a client is ahead."""

import asyncio
from typing import Final

import msgspec

from handlers.ag_ui.snapshot_messages import snapshot_messages
from handlers.answer_responses import AnswerHandler
from handlers.chosen_ids import ChosenIdHandler
from handlers.wires.ag_ui import PROTOCOL, AgUiWire, Run
from handlers.wires.event_numbers import LAST_NUMBER
from handlers.wires.json_line import json_line
from model.messages import Message
from relay.answer import Answer
from relay.errors import RelayError
from relay.reader import Reader

# The path of files, before their ids.
FILES: Final = "/api/v1/files/"

# Messages in a read of a thread; pages of long ones are shorter.
_PAGE = 200


class AgUiHandler(ChosenIdHandler, AnswerHandler):
    """A handler whose response is the stream of a run."""

    protocol = PROTOCOL
    thread = b""  # the JSON of the messages before the run, if the client sent them

    wire: AgUiWire

    async def send_run(self, answer: Answer, run: Run, after: int) -> None:
        """Send the events of the run beyond the number `after`."""
        if after == LAST_NUMBER:
            self.stop_reconnecting()
            return
        self.wire = AgUiWire(answer, run, after=after, can_resume=self._can_resume)
        self.wire.thread = self.thread
        await self.follow(answer, self.wire.position)

    @property
    def _can_resume(self) -> bool:
        """Whether the client resumes a stream that was cut off.

        TanStack's client does. It has the run's id outside of the body as well, and AG-UI's client
        has not.
        """
        headers = self.request.headers
        return "runId" in self.request.query_arguments or "X-Run-Id" in headers

    async def _reset(self, reader: Reader, loop: asyncio.AbstractEventLoop) -> None:
        if not self.wire.thread:
            self.wire.thread = await self._stored_thread(reader.answer)
        await super()._reset(reader, loop)

    async def _stored_thread(self, answer: Answer) -> bytes:
        """The JSON of the messages before the run, as they are stored."""
        found: list[Message] = []
        last: str | None = answer.id
        async with self.services.relay.unsent_budget.loading(self.user):
            while last is not None:
                page = await self.services.storage.branch(
                    self.user, answer.conversation_id, limit=_PAGE, last=last
                )
                found[:0] = page.data
                last = page.next
        # It brings the ids of its question.
        found[-1] = msgspec.structs.replace(found[-1], blocks=())
        return json_line(snapshot_messages(found, self.address(FILES)))

    async def _cut_off(self, error: RelayError) -> None:
        """Break the connection, as far as that can be noticed: AG-UI's client takes a stream that
        ends for a complete run.
        """
        if self.request.version == "HTTP/1.0":
            await super()._cut_off(error)
        else:
            self.connection_stream.close()
