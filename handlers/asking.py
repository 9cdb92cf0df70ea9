"""Asking: a question, or an answer's question again, becomes an answer that is generated."""

from http import HTTPStatus

from handlers.answer_form import AnswerForm, answer_form
from handlers.answer_responses import AnswerHandler, StartedAnswer
from handlers.errors import ApiError
from handlers.idempotency_key import idempotency_key
from handlers.question_body import QuestionContent
from handlers.question_options import Options
from handlers.request_bodies import Chat, Question
from handlers.resume_position import resume_position
from relay.ask_request import AskRequest


class AskHandler(AnswerHandler):
    """What the routes that ask have in common: starting an answer, and then sending it.

    A question may be a megabyte long, and answers last: no frame that refers to the question may be
    alive while the answer is sent.
    """

    takes_files = True

    async def ask(
        self, kind: type[Question], conversation_id: str | None = None
    ) -> StartedAnswer | None:
        """Start the answer to the question in the body. None: the client disconnected before."""
        with self.holding_body():
            question, content = await self.services.question_reader.read(self.request, kind)
            return await self._ask(question, content, conversation_id)

    async def _ask(
        self, question: Question, content: QuestionContent, conversation_id: str | None
    ) -> StartedAnswer | None:
        if isinstance(question, Chat):
            conversation_id = question.conversation_id
        text, parts, files = content
        if not (parts or text.strip()):
            raise ApiError(HTTPStatus.BAD_REQUEST, "invalid_body", "The question is empty.")
        ask_request = AskRequest(
            user=self.user,
            content=text,
            conversation_id=conversation_id,
            parent_id=question.parent_id,
            parts=parts,
            files=files,
        )
        return await self.start(ask_request, question)

    async def start(self, ask_request: AskRequest, options: Options) -> StartedAnswer | None:
        """Store the question and start its answer. None: the client disconnected before."""
        form, key = answer_form(self.request), idempotency_key(self.request)
        position = resume_position(self.request)
        if self.connection_stream.closed():
            return None  # disconnected before the question was handled: nothing is asked
        if form is AnswerForm.STREAM:
            # Before the question is stored, since the limit may refuse the stream.
            self.count_in(self.services.relay.streams)
        ask_request = options.of(
            ask_request, idempotency_key=key, caller=self.caller, allowed=self.allowed
        )
        result = await self.result_of(ask_request)
        return None if result is None else StartedAnswer(*result, form, position)


class ChatHandler(AskHandler):
    """`POST /chat`: asks in a conversation, or creates one with the question."""

    async def post(self) -> None:
        """Ask a question."""
        with self.watching_for_disconnect():
            await self.send(await self.ask(Chat))


class RegenerateHandler(AskHandler):
    """`POST /answers/{id}/regenerate`: generates another answer to the same question."""

    takes_files = False

    async def post(self, answer_id: str) -> None:
        """Ask the answer's question again."""
        with self.watching_for_disconnect():
            await self.send(await self._ask_again(answer_id, self._options()))

    async def _ask_again(self, answer_id: str, options: Options) -> StartedAnswer | None:
        return await self.start(
            await self.services.relay.regenerate_request(self.user, answer_id), options
        )

    def _options(self) -> Options:
        return self.body(Options) if self.request.body else Options()


routes = [
    (r"/api/v1/chat", ChatHandler),
    (r"/api/v1/answers/([^/]+)/regenerate", RegenerateHandler),
]
