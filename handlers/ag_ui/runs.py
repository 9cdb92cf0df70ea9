"""`/ag-ui`: starts runs, resumes and joins their streams, and shows a thread.

A thread is a conversation, and a run is an answer whose idempotency key is the `runId`: a run that
is sent again is not asked again. TanStack's client sends the same request with `Last-Event-ID` when
its connection was lost.
"""

from contextlib import suppress
from http import HTTPStatus

import msgspec
from tornado.iostream import StreamClosedError

from handlers.ag_ui.base import FILES, AgUiHandler
from handlers.ag_ui.positions import BEGINNING, position_in
from handlers.ag_ui.run_input import RunInput, run_key
from handlers.ag_ui.snapshot_messages import ids_of_question
from handlers.ag_ui.ui_messages import ui_messages
from handlers.errors import ApiError
from handlers.json_body import decoded
from handlers.paging import invalid_cursor, page_limit
from handlers.wires.ag_ui import AgUiWire, Run, run_of
from handlers.wires.json_line import json_line
from model.messages import Message, Role, Status
from relay.answer import Answer
from relay.ask_request import AskRequest, AskResult
from relay.errors import KeyReused, UnknownParent
from relay.exchanges import edited_question
from relay.tool_loop import results_in
from storage.errors import NotFound


class _Messages(msgspec.Struct):
    """Of a run's input only the messages, as they were sent."""

    messages: list[object]


class RunsHandler(AgUiHandler):
    """`/ag-ui`: POST starts or resumes a run, GET joins one or shows a thread."""

    takes_files = True

    async def post(self) -> None:
        """Start the run in the body and stream it, or go on with its stream."""
        after = position_in(self.request)
        with self.watching_for_disconnect():
            if (found := await self._run(after)) is not None:
                answer, run, self.thread = found
                del found
                await self.send_run(answer, run, after)

    async def get(self) -> None:
        """Stream the run `runId`, or write the messages of the thread `threadId`."""
        run_id = self.get_query_argument("runId", None)
        thread_id = self.get_query_argument("threadId", None)
        with self.watching_for_disconnect():
            if run_id is not None:
                after = self._join_position()
                self.count_in(self.services.relay.streams)
                answer = await self._joined(run_id)
                await self.send_run(answer, run_of(answer), after)
            elif thread_id is not None:
                await self._show(thread_id)
            else:
                raise ApiError(
                    HTTPStatus.BAD_REQUEST,
                    "invalid_query",
                    "The query has to have `runId`, to join a run, or `threadId`, to get a thread.",
                )

    async def head(self, *_: str) -> None:
        """Send the headers of what GET would write, without becoming a reader of the answer."""
        run_id = self.get_query_argument("runId", None)
        if run_id is None:
            await self.get()
            return
        self._join_position()
        await self._joined(run_id)
        self.write_stream_headers()
        with suppress(StreamClosedError):
            await self.flush()  # the length is unknown: `finish` would send Content-Length: 0

    def _join_position(self) -> int:
        """The number after which to go on; `offset` has to be the beginning of the run."""
        offset = self.get_query_argument("offset", str(BEGINNING))
        if offset != str(BEGINNING):
            raise ApiError(
                HTTPStatus.BAD_REQUEST,
                "invalid_position",
                "offset has to be -1: runs are joined from their beginning. To go on after an "
                "event send its id as Last-Event-ID.",
            )
        return position_in(self.request)

    async def _run(self, after: int) -> tuple[Answer, Run, bytes] | None:
        """The run's answer, the run, and the thread before it, if the client may have to be sent
        that again. None: the client disconnected before.
        """
        body = self.request.body if after != BEGINNING else b""
        with self.holding_body():
            run_input, turns, files = await self.services.question_reader.read_turns(
                self.request, RunInput, RunInput.turns
            )
            if self.connection_stream.closed():
                return None  # disconnected before the run was handled: nothing is asked
            self.count_in(self.services.relay.streams)
            conversation_id = await self.conversation_of(run_input.thread_id)
            asked = run_input.options().of(
                run_input.ask_request(self.user, conversation_id, turns, files),
                idempotency_key=run_key(run_input.run_id),
                caller=self.caller,
                allowed=self.allowed,
            )
            if after != BEGINNING:
                answer = await self._asked_before(asked)
                is_ahead = AgUiWire(answer, run_input.run, after=after).is_ahead
                return answer, run_input.run, self._thread_in(body) if is_ahead else b""
            if asked.parent_id is msgspec.UNSET:
                asked = await self._edited(asked, run_input.asked_ids)
            result = await self._ask(asked, turns)
        return None if result is None else (result.answer, run_input.run, b"")

    async def _edited(self, asked: AskRequest, ids: list[str]) -> AskRequest:
        """The question of a client that sent no answer, which follows the newest one; beside itself
        if it was asked before: then the client edits it, or wants another answer.
        """
        assert asked.conversation_id is not None
        question = None
        with suppress(NotFound):
            question = await edited_question(
                self.services.storage,
                self.user,
                asked.conversation_id,
                lambda answer: not set(ids_of_question(answer)).isdisjoint(ids),
            )
        if question is None:
            return asked
        return msgspec.structs.replace(asked, parent_id=question.parent_id)

    async def _ask(self, asked: AskRequest, turns: tuple[object, ...]) -> AskResult | None:
        try:
            return await self.result_when_free(asked)
        except UnknownParent:
            # The conversation was deleted, and the client goes on with what it has.
            own = msgspec.structs.replace(asked, parent_id=None, history=turns[:-1])
            return await self.result_when_free(own)

    async def _asked_before(self, asked: AskRequest) -> Answer:
        """The answer to a question that its client has seen events of. It is never asked again.

        Raises NotFound, and KeyReused if the client sends another question.
        """
        storage = self.services.storage
        key = await storage.idempotency_key(self.user, asked.idempotency_key_id)
        if key is None:
            raise NotFound
        if key.fingerprint != asked.fingerprint:
            raise KeyReused
        return await self.services.relay.answer(self.user, key.answer_id)

    def _thread_in(self, body: bytes) -> bytes:
        """The messages in the body, as JSON of one line."""
        return json_line(decoded(body, _Messages).messages)

    async def _joined(self, run_id: str) -> Answer:
        """The answer that a run is, by its client's id within a day, or by the answer's own id."""
        asked = AskRequest(user=self.user, content="", idempotency_key=run_key(run_id))
        key = await self.services.storage.idempotency_key(self.user, asked.idempotency_key_id)
        return await self.services.relay.answer(self.user, run_id if key is None else key.answer_id)

    async def _show(self, thread_id: str) -> None:
        """Write a page of the thread's newest branch. A thread that nobody used has no messages."""
        limit = page_limit(self.get_query_argument("limit", None))
        before = self.get_query_argument("before", None)
        conversation_id = await self.conversation_of(thread_id)
        async with self.services.relay.unsent_budget.loading(self.user):
            try:
                messages, cursor = await self._page(conversation_id, before, limit)
            except NotFound:
                if before is not None:
                    raise invalid_cursor("before") from None
                messages, cursor = [], None
            live = messages[-1] if messages and messages[-1].status is Status.LIVE else None
            page = {"truncated": False} if cursor is None else {"truncated": True, "cursor": cursor}
            self.write_json(
                {
                    "messages": ui_messages(messages, self.address(FILES)),
                    "activeRun": None if live is None else {"runId": run_of(live).run_id},
                    "page": page,
                }
            )

    async def _page(
        self, conversation_id: str, before: str | None, limit: int
    ) -> tuple[list[Message], str | None]:
        """Messages, oldest first, from the question of a person on, and what precedes them."""
        storage, found = self.services.storage, list[Message]()
        while True:
            page = await storage.branch(self.user, conversation_id, limit=limit, last=before)
            found[:0] = page.data
            is_begun = bool(found) and found[0].role == Role.USER
            if page.next is None or (is_begun and not results_in(found[0].blocks)):
                return found, page.next
            before, limit = page.next, 1


routes = [(r"/ag-ui", RunsHandler)]
