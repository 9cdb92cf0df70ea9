"""Sends an answer to the client that asked: as a stream, a message, or an address.

A client that waits for the message may wait for minutes, which proxies take for a dead server.
After `relay.first_sign_seconds` it gets white space, which JSON may begin with. That sends the head
of the response, with the status 200. If the answer fails after that, the connection is broken off:
clients then see an error, as they should, and not a message.
"""

import asyncio
import math
from http import HTTPStatus
from typing import Any, NamedTuple

from handlers.answer_form import AnswerForm
from handlers.errors import failure_status
from handlers.response_bodies import Accepted, FailedAnswer, MessageView, Problem
from handlers.resume_position import ResumePosition
from handlers.streaming import StreamingHandler
from model.messages import Failure, Status
from relay.answer import Answer
from relay.ask_request import AskRequest, AskResult
from relay.errors import AnswerElsewhere
from storage.errors import Busy


class StartedAnswer(NamedTuple):
    """An answer, and the form in which its client requested it."""

    answer: Answer
    is_new: bool
    form: AnswerForm
    position: ResumePosition


class AnswerHandler(StreamingHandler):
    """A handler whose response is an answer, in the form that the client requested."""

    _waits_since: float | None = None  # by the loop's clock; while the client waits for an end
    _gave_sign = False

    def heartbeat(self) -> None:
        """Send a heartbeat, or a sign of life to a client that waits for an answer's end."""
        if self._waits_since is None:
            super().heartbeat()
            return
        time = asyncio.get_running_loop().time()
        first = self.services.event_streams.first_sign_seconds
        if first and time - self._waits_since >= first and not self.connection_stream.closed():
            self._give_sign(time)

    def finish(self, chunk: str | bytes | dict[str, Any] | None = None) -> "asyncio.Future[None]":
        """Tornado's method. After a sign of life only breaking off tells that an answer failed."""
        is_whole = self.get_status() == HTTPStatus.OK and self.request.version != "HTTP/1.0"
        if not self._gave_sign or is_whole:
            return super().finish(chunk)
        written = self.flush()
        if written.done():
            return self._break_off(written)
        written.add_done_callback(self._break_off)
        return written

    async def result_of(self, request: AskRequest) -> AskResult | None:
        """Ask. None: the client disconnected while the store was busy, and nothing is stored."""
        asking = self.services.relay.ask(request)
        if self.services.relay.outlives_its_reader(request):
            return await asking
        return await self.unless_disconnected(asking)

    async def result_when_free(self, request: AskRequest) -> AskResult | None:
        """`result_of`, for clients that stop an answer by disconnecting: a live answer of the
        conversation that nobody reads is stopped first.
        """
        try:
            return await self.result_of(request)
        except Busy as busy:
            if not await self.services.relay.stop_unread(self.user, busy.answer_id):
                raise
        return await self.result_of(request)

    async def send(self, started: StartedAnswer | None) -> None:
        """Send the answer in the form that the client requested."""
        if started is None:
            return
        answer, position = started.answer, started.position
        if started.form is AnswerForm.ADDRESS:
            self._send_address(answer)
        elif started.form is AnswerForm.MESSAGE:
            await self._send_message(answer)
        elif started.is_new:
            await self.follow(answer)  # a position in the request was that of another answer
        elif position.ended:
            self.stop_reconnecting()
        else:
            await self.follow(answer, position.seen)

    def _send_address(self, answer: Answer) -> None:
        self.services.relay.expect_reader(answer)
        url = self.address(f"/api/v1/answers/{answer.id}/events")
        self.set_header("Preference-Applied", "respond-async")
        self.set_header("Location", url)
        accepted = Accepted(answer.conversation_id, answer.question_id, answer.id, url)
        self.write_json(accepted, HTTPStatus.ACCEPTED)

    async def _send_message(self, answer: Answer) -> None:
        if not await self._wait_for(answer):
            return
        message = MessageView.of_answer(answer)
        if message.status not in (Status.FAILED, Status.INTERRUPTED):
            self.write_json(message)
            return
        failure = message.error or Failure(
            "interrupted", "The server stopped while it generated this answer. Ask again."
        )
        problem = Problem.of(failure, self.request_id)
        if failure.retry_after is not None:
            self.set_header("Retry-After", str(math.ceil(failure.retry_after)))
        self.write_json(FailedAnswer(problem, message), failure_status(failure.code))

    async def _wait_for(self, answer: Answer) -> bool:
        """Wait for the end of `answer` as one of its readers; returns False if the client
        disconnects first.

        Raises AnswerElsewhere if another process generates it and this one can wait no longer.
        """
        self._waits_since = self.last_write_at = asyncio.get_running_loop().time()
        with self.reading(answer) as reader, self.services.event_streams.waiting(self):
            ended = await reader.ended() is not None
        self._waits_since = None
        self.close_if_disconnected()
        if not ended and not self.disconnected:
            raise AnswerElsewhere
        return ended

    def _give_sign(self, time: float) -> None:
        if not self._gave_sign:
            self._gave_sign = True
            self.set_status(HTTPStatus.OK)
            self.set_header("Content-Type", "application/json; charset=utf-8")
        self.last_write_at = time
        self.write(b"\n")
        self.flush().add_done_callback(lambda written: written.exception())  # it was disconnected

    def _break_off(self, written: "asyncio.Future[None]") -> "asyncio.Future[None]":
        written.exception()  # retrieved: the client has disconnected
        self.connection_stream.close()
        return super().finish()
