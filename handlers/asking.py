"""The routes that ask: a question in, its answer out as a stream, as a message, or at an
address.
"""

import math
import re
from contextlib import suppress
from http import HTTPStatus
from typing import NamedTuple

from handlers.errors import ApiError, failure_status
from handlers.request_bodies import Chat, Options, Question
from handlers.response_bodies import Accepted, FailedAnswer, List, MessageView, Problem
from handlers.resume_position import ResumePosition, resume_position
from handlers.single_header import RepeatedHeader, single_header
from handlers.streaming import ReadingHandler
from model.messages import Failure, Status
from relay.answer import Answer
from relay.ask_request import AskRequest
from storage.errors import InvalidCursor

_UNWANTED = re.compile(r"q\s*=\s*0(\.0*)?")

# Room for a UUID with a prefix; the store has a hash of the key.
_KEY = re.compile(r"[ -~]{1,255}")


class StartedAnswer(NamedTuple):
    """An answer, and the form in which its client wants it."""

    answer: Answer
    is_new: bool
    form: str
    position: ResumePosition


class AskingHandler(ReadingHandler):
    """What the routes that ask have in common: starting an answer, and then sending it.

    A question may be a megabyte long, and answers last: no frame that refers to the question may be
    alive while the answer is sent.
    """

    async def ask(
        self, question: Question, conversation_id: str | None = None
    ) -> StartedAnswer | None:
        """Start the answer to a new question. None: the client disconnected before."""
        if isinstance(question, Chat):
            conversation_id = question.conversation_id
        if not question.text.strip():
            raise ApiError(HTTPStatus.BAD_REQUEST, "invalid_body", "The question is empty.")
        asking = AskRequest(
            user=self.user,
            content=question.text,
            conversation_id=conversation_id,
            parent_id=question.parent_id,
        )
        return await self.begin(asking, question)

    async def begin(self, asking: AskRequest, options: Options) -> StartedAnswer | None:
        """Store the question and start its answer. None: the client disconnected before."""
        form, key, position = self._form(), self._key(), resume_position(self.request)
        if self.connection_stream.closed():
            return None  # disconnected before the question was handled: nothing is asked
        if form == "stream":
            self.count_in(
                self.services.relay.streams
            )  # before the question is stored, since the limit may refuse the stream
        asking = options.of(asking, idempotency_key=key, caller=self.caller, allowed=self.allowed)
        started = self.services.relay.ask(asking)
        if self.services.relay.outlives_its_reader(asking):
            answer, is_new = await started
        elif (kept := await self.unless_disconnected(started)) is not None:
            answer, is_new = kept
        else:
            return None  # disconnected while the store was busy: nothing is stored
        return StartedAnswer(answer, is_new, form, position)

    async def send(self, started: StartedAnswer | None) -> None:
        """Send the answer in the form that the client wants."""
        if started is None:
            return
        answer, position = started.answer, started.position
        if started.form == "later":
            self._answer_later(answer)
        elif started.form == "json":
            await self._answer_whole(answer)
        elif started.is_new:
            await self.follow(answer)  # a position in the request was that of another answer
        elif position.ended:
            self.stop_reconnecting()
        else:
            await self.follow(answer, position.seen)

    def _form(self) -> str:
        """`later`, `json` or `stream`, by the request's Prefer and Accept headers."""
        if "respond-async" in _listed(self.request.headers.get("Prefer", "")):
            return "later"
        kinds = _listed(self.request.headers.get("Accept", "*/*"))
        if kinds & {"text/event-stream", "text/*"}:
            return "stream"
        if kinds & {"application/json", "application/*"}:
            return "json"
        if "*/*" in kinds:
            return "stream"
        raise ApiError(
            HTTPStatus.NOT_ACCEPTABLE,
            "not_acceptable",
            "Accept must permit text/event-stream or application/json.",
        )

    def _key(self) -> str | None:
        """The idempotency key of the request; None without one. Raises ApiError 400."""
        with suppress(RepeatedHeader):
            key = single_header(self.request, "Idempotency-Key")
            if key is None or _KEY.fullmatch(key):
                return key
        raise ApiError(
            HTTPStatus.BAD_REQUEST,
            "invalid_idempotency_key",
            "Idempotency-Key must be sent once, with 1 to 255 printable ASCII characters.",
        )

    def _answer_later(self, answer: Answer) -> None:
        self.services.relay.expect_reader(answer)
        url = self.address(f"/api/v1/answers/{answer.id}/events")
        self.set_header("Preference-Applied", "respond-async")
        self.set_header("Location", url)
        accepted = Accepted(answer.conversation_id, answer.question_id, answer.id, url)
        self.write_json(accepted, HTTPStatus.ACCEPTED)

    async def _answer_whole(self, answer: Answer) -> None:
        if not await self.wait_for(answer):
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


def _listed(header: str) -> set[str]:
    """The values of a list header, without their parameters, and without those of weight 0
    (q=0).
    """
    wanted = set()
    for part in header.lower().split(","):
        value, *parameters = (piece.strip() for piece in part.split(";"))
        if not any(_UNWANTED.fullmatch(parameter) for parameter in parameters):
            wanted.add(value)
    return wanted


class MessagesHandler(AskingHandler):
    """`/conversations/{id}/messages`: lists the messages of a conversation, and asks in it."""

    async def get(self, conversation_id: str) -> None:
        """Write a page of messages, the newest page first, each from old to new."""
        limit, before = self.page_limit(), self.get_query_argument("before", None)
        async with self.services.relay.unsent_budget.loading(self.user):
            try:
                page = await self.services.storage.messages(
                    self.user, conversation_id, limit=limit, before=before
                )
            except InvalidCursor:
                raise self.bad_cursor("before") from None
            self.write_json(List([MessageView.of(message) for message in page.data], page.next))

    async def post(self, conversation_id: str) -> None:
        """Ask a question in the conversation."""
        with self.watching_for_disconnect():
            await self.send(await self.ask(self.body(Question), conversation_id))


class ChatHandler(AskingHandler):
    """`POST /chat`: asks in a conversation, or creates one with the question."""

    async def post(self) -> None:
        """Ask a question."""
        with self.watching_for_disconnect():
            await self.send(await self.ask(self.body(Chat)))


class RegenerateHandler(AskingHandler):
    """`POST /answers/{id}/regenerate`: generates another answer to the same question."""

    async def post(self, answer_id: str) -> None:
        """Ask the answer's question again."""
        with self.watching_for_disconnect():
            await self.send(await self._again(answer_id, self._options()))

    async def _again(self, answer_id: str, options: Options) -> StartedAnswer | None:
        return await self.begin(
            await self.services.relay.regenerate_request(self.user, answer_id), options
        )

    def _options(self) -> Options:
        return self.body(Options) if self.request.body else Options()


routes = [
    (r"/api/v1/conversations/([^/]+)/messages", MessagesHandler),
    (r"/api/v1/chat", ChatHandler),
    (r"/api/v1/answers/([^/]+)/regenerate", RegenerateHandler),
]
