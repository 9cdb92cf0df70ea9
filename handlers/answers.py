"""The routes of answers: those that are live, an answer's event stream, tickets for reading it, and
stopping it.
"""

from contextlib import suppress
from http import HTTPStatus

from tornado.iostream import StreamClosedError

from auth.errors import KeysUnavailable
from auth.principal import Principal
from auth.tickets import Ticket
from handlers.base import BaseHandler
from handlers.errors import ApiError
from handlers.paging import invalid_cursor, page_limit
from handlers.response_bodies import GivenTicket, List, MessageView
from handlers.resume_position import resume_position
from handlers.streaming import StreamingHandler
from model.messages import Status
from relay.errors import Overloaded, TooMuchUnread
from storage.errors import InvalidCursor, StorageError


class AnswersHandler(BaseHandler):
    """`GET /answers?status=live`: the user's answers that are being generated."""

    async def get(self) -> None:
        """Write a page of the user's live answers of all conversations, newest first."""
        if self.get_query_argument("status", None) != Status.LIVE:
            raise ApiError(
                HTTPStatus.BAD_REQUEST,
                "invalid_status",
                "status must be live: answers that have ended are in their conversations.",
            )
        limit = page_limit(self.get_query_argument("limit", None))
        after = self.get_query_argument("after", None)
        async with self.services.relay.unsent_budget.loading(self.user):
            try:
                page = await self.services.storage.live_answers(self.user, limit=limit, after=after)
            except InvalidCursor:
                raise invalid_cursor("after") from None
            self.write_json(List([MessageView.of(message) for message in page.data], page.next))


class EventsHandler(StreamingHandler):
    """`GET /answers/{id}/events`: streams a live or ended answer from any position."""

    _ticket: Ticket | None = None

    async def prepare(self) -> None:
        """Authenticate the request; if that is impossible at the moment, have the client
        reconnect.
        """
        try:
            await super().prepare()
        except (StorageError, KeysUnavailable) as error:
            self.log_exception(type(error), error, None)
            self.send_reconnect()  # an EventSource gives up for good on any status but 200
            self.finish()

    async def authenticate(self) -> Principal:
        """The user of the request, by a key or token, or by `?ticket=`."""
        text = self.get_query_argument("ticket", None)
        if text is not None and "Authorization" not in self.request.headers:
            self._ticket = await self.services.authenticator.authenticate_ticket(
                text, self.path_args[0]
            )
            if self._ticket is not None:
                return self._ticket.principal
        return await super().authenticate()

    async def get(self, answer_id: str) -> None:
        """Stream the answer from the request's position, or from its beginning."""
        position = resume_position(self.request)
        if position.ended:
            self.stop_reconnecting()
            return
        self.count_in(self.services.relay.streams)
        with self.watching_for_disconnect():
            try:
                answer = await self.services.relay.answer(self.user, answer_id)
            except (StorageError, Overloaded, TooMuchUnread) as error:
                self.log_exception(type(error), error, None)
                self.send_reconnect()  # as above
                return
            if self._ticket is not None:
                self._ticket.check(None if answer.ending is None else answer.ending.ended_at)
            await self.follow(answer, position.seen)

    async def head(self, *names: str) -> None:
        """Send the headers of the stream without becoming a reader of the answer."""
        if resume_position(self.request).ended:
            self.stop_reconnecting()
            return
        try:
            answer = await self.services.relay.peek(self.user, *names)
        except StorageError as error:
            self.log_exception(type(error), error, None)
            self.send_reconnect()
            return
        if self._ticket is not None:
            self._ticket.check(None if answer.ending is None else answer.ending.ended_at)
        self.write_stream_headers()
        with suppress(StreamClosedError):
            await self.flush()  # the length is unknown: `finish` would send Content-Length: 0


class TicketHandler(BaseHandler):
    """`POST /answers/{id}/ticket`: issues tickets, for EventSources, which cannot send headers."""

    async def post(self, answer_id: str) -> None:
        """Issue a ticket for reading the answer."""
        principal = self.principal
        assert principal is not None
        await self.services.relay.check_answer(self.user, answer_id)
        ticket = self.services.tickets.issue(principal, answer_id)
        url = self.address(f"/api/v1/answers/{answer_id}/events?ticket={ticket}")
        self.write_json(GivenTicket(ticket, url), HTTPStatus.CREATED)


class StopHandler(BaseHandler):
    """`POST /answers/{id}/stop`: ends a live answer."""

    async def post(self, answer_id: str) -> None:
        """Stop the answer if it is live, and write its message as it is stored.

        If another process generates the answer, or the store is slow, the message may still be
        live.
        """
        answer = await self.services.relay.stop(self.user, answer_id)
        status = HTTPStatus.ACCEPTED if answer.ending is None else HTTPStatus.OK
        self.write_json(MessageView.of_answer(answer), status)


routes = [
    (r"/api/v1/answers", AnswersHandler),
    (r"/api/v1/answers/([^/]+)/events", EventsHandler),
    (r"/api/v1/answers/([^/]+)/ticket", TicketHandler),
    (r"/api/v1/answers/([^/]+)/stop", StopHandler),
]
