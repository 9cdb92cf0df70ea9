"""The base of all handlers: what Tornado calls before, after and in place of a method."""

import logging
from asyncio import Future
from collections.abc import Awaitable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import cached_property
from http import HTTPStatus
from types import TracebackType
from typing import Any, ClassVar, cast

import msgspec
from tornado.http1connection import HTTP1Connection
from tornado.iostream import StreamClosedError
from tornado.web import HTTPError, RequestHandler

from auth.principal import Principal
from handlers.authorization import Access, acting_principal, check_access
from handlers.errors import ErrorResponse, to_error_response
from handlers.json_body import COMPRESSED, Body, check_body, read_body
from handlers.request_ids import request_id, traceparent
from handlers.response_bodies import Problem, Refusal
from handlers.services import Services
from relay.ask_request import Caller
from relay.errors import InternalError, clear_traceback
from relay.model_access import AllowedModels
from relay.unsent_budget import FREE_BYTES
from relay.user_concurrency import UserConcurrencyLimit
from sockets.client_connection import ClientConnection
from telemetry.log_event import LogEvent

log = logging.getLogger("headrace.http")

_encoder = msgspec.json.Encoder()

_BUG = ErrorResponse(HTTPStatus.INTERNAL_SERVER_ERROR, InternalError.code, InternalError.words)


class BaseHandler(RequestHandler):
    """Authenticates requests, decodes bodies into types, and writes JSON and errors."""

    services: Services
    access: ClassVar[Access] = Access.USERS
    takes_files: ClassVar[bool] = False  # whether the body of a POST may bring files
    principal: Principal | None = None
    _counted_in: UserConcurrencyLimit | None = None  # the limit that it is counted in
    _unsent_bytes = 0  # the response's share of `limits.max_unsent_bytes`

    def initialize(self, services: Services) -> None:
        """Tornado's hook: the values of the route table."""
        self.services = services

    @cached_property
    def request_id(self) -> str:
        """The id by which a client's report can be found in the log."""
        return request_id(self.request)

    @property
    def caller(self) -> Caller:
        """The request, as the log line about its answer describes it."""
        return Caller(self.request_id, traceparent(self.request))

    def set_default_headers(self) -> None:
        """Tornado's hook, called for every response, and again before an error is written."""
        self.clear_header("Server")
        self.set_header("X-Request-Id", self.request_id)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Cache-Control", "no-store")

    async def prepare(self) -> None:
        """Tornado's hook, before the method: authenticate the request and check its headers."""
        self.services.open_requests.add(self)
        self.connection_stream.request_id = self.request_id
        self._set_current_headers()
        self.services.authenticator.check_request(self.request)
        # A browser's preflight by OPTIONS asks whether it may send a key, and carries none.
        if self.access is not Access.EVERYBODY and self.request.method != "OPTIONS":
            with self.holding_body():
                principal = await self.authenticate()
            check_access(principal, self.access)
            self.principal = acting_principal(principal, self.request, self.request_id)
            self.count_in(self.services.relay.requests)
        services = self.services
        if self.takes_files:
            check_body(self.request, services.max_file_body_bytes, "limits.max_file_body_bytes")
        else:
            check_body(self.request, services.max_body_bytes, "limits.max_body_bytes")

    def on_finish(self) -> None:
        """Tornado's hook: the response was sent, or its client has disconnected."""
        self.services.open_requests.remove(self)

    def compute_etag(self) -> None:
        """Tornado's hook. Responses are not cacheable, so an ETag would only cost a hash."""

    def head(self, *names: str) -> Awaitable[None] | None:
        """What GET would write; Tornado leaves out the body and counts its length."""
        return self.get(*names)

    def options(self, *_: str) -> None:
        """Answer a browser's preflight request; the headers say what is permitted."""
        self.set_header("Allow", self._methods())
        self.set_status(HTTPStatus.NO_CONTENT)

    async def authenticate(self) -> Principal:
        """The user of the request."""
        return await self.services.authenticator.authenticate(self.request)

    @property
    def user(self) -> str:
        """The user that the request acts for. Every call of the store takes it."""
        assert self.principal is not None, "a route for everybody has no user"
        return self.principal.user

    @property
    def allowed(self) -> AllowedModels:
        """The patterns of the models that the credentials permit; an admin's own also for
        another user.
        """
        return None if self.principal is None else self.principal.models

    @property
    def api_key_id(self) -> str | None:
        """The id of the API key that the request was sent with, if it was one."""
        return None if self.principal is None else self.principal.api_key_id

    def close_as_revoked(self) -> None:
        """The API key is no longer valid: close the connection."""
        log.info(
            LogEvent(
                "request closed, its API key is no longer valid",
                request=self.request_id,
                key=self.api_key_id,
            )
        )
        self.connection_stream.close()

    def holding_body(self) -> AbstractContextManager[None]:
        """Count the body in the budgets for bodies within this block."""
        length = len(self.request.body)
        free = length <= self.services.body_budget.free_bytes
        return nullcontext() if free else self._holding(length)

    @contextmanager
    def _holding(self, length: int) -> Iterator[None]:
        usual, files = self.services.body_budget, self.services.file_body_budget
        with usual.holding(min(length, files.free_bytes)), files.holding(length):
            yield

    def body(self, kind: type[Body]) -> Body:
        """The request's JSON body as `kind`. Raises ApiError 400, whose message quotes no value."""
        return read_body(self.request, kind)

    def address(self, path: str) -> str:
        """The path of a resource, as clients see it."""
        return self.services.base_path + path

    def write_json(self, value: object, status: HTTPStatus = HTTPStatus.OK) -> None:
        """Write `value` as the whole response.

        Raises Overloaded and TooMuchUnread for a long response if too many of them are unread.
        """
        data = _encoder.encode(value)
        if len(data) > FREE_BYTES:
            self.hold_unsent(len(data))
        self.set_status(status)
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.write(data)

    def hold_unsent(self, count: int) -> None:
        """Count the bytes of the response until it is sent. Raises Overloaded and TooMuchUnread."""
        self._unsent_bytes = self.services.relay.unsent_budget.take(self.user, count)

    async def write_shared(self, data: bytes) -> None:
        """Write bytes that are in memory and counted, or shared, as the whole response, in
        pieces.
        """
        self.set_header("Content-Length", str(len(data)))
        with suppress(StreamClosedError):
            for start in range(0, len(data), FREE_BYTES):
                self.write(data[start : start + FREE_BYTES])
                await self.flush()

    def finish(self, chunk: str | bytes | dict[str, Any] | None = None) -> "Future[None]":
        """Tornado's hook that ends a response, which may wait until its reader takes it."""
        written = super().finish(chunk)
        stream = self.connection_stream
        if stream.closed() or not stream.writing():
            self._stop_counting()
        else:  # waits until the client reads it or disconnects
            stream.write(b"").add_done_callback(lambda _: self._stop_counting())
        return written

    def count_in(self, limit: UserConcurrencyLimit) -> None:
        """Count the request in this limit of the user from now on, in place of another one."""
        limit.take(self.user)
        if self._counted_in is not None:
            self._counted_in.give(self.user)
        self._counted_in = limit

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Tornado's hook for exceptions, and for statuses that Tornado sends by itself."""
        error = kwargs["exc_info"][1] if "exc_info" in kwargs else HTTPError(status_code)
        response = to_error_response(error) or _BUG
        self.services.metrics.refused(response.code)
        self._set_current_headers()
        self.set_status(response.status)
        if response.retry_after is not None:
            self.set_header("Retry-After", str(response.retry_after))
        if response.challenge is not None:
            self.set_header("WWW-Authenticate", response.challenge)
        if response.status == HTTPStatus.METHOD_NOT_ALLOWED:
            self.set_header("Allow", self._methods())
        if response.code == COMPRESSED:
            self.set_header("Accept-Encoding", "identity")
        self.write_refusal(response)
        self.finish()

    def write_refusal(self, error: ErrorResponse) -> None:
        """Write the whole response that refuses the request: as JSON, unless the client's protocol
        wants something else.
        """
        self.write_json(self.refusal(error), error.status)

    def refusal(self, error: ErrorResponse) -> object:
        """The body of a response that refuses the request, in the form of the client's protocol.

        A protocol may also set headers of its own here.
        """
        return Refusal(self.problem(error))

    def problem(self, error: ErrorResponse) -> Problem:
        """The error as it is written in a response."""
        busy = msgspec.UNSET if error.answer_id is None else error.answer_id
        reason = msgspec.UNSET if error.reason is None else error.reason
        return Problem(error.code, error.message, self.request_id, busy, reason=reason)

    def log_exception(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Tornado's hook: log a refusal in one line, if at all, and a bug with its traceback."""
        response = to_error_response(value)
        if response is None:
            log.error(LogEvent("request failed", request=self.request_id), exc_info=value)
        else:
            self.services.refusal_log.log(response, value, request_id=self.request_id)
            clear_traceback(value)

    def _stop_counting(self) -> None:
        """The response was sent, or its reader has disconnected."""
        if self._counted_in is not None:
            self._counted_in.give(self.user)
            self._counted_in = None
        if self._unsent_bytes:
            self.services.relay.unsent_budget.give(self.user, self._unsent_bytes)
            self._unsent_bytes = 0

    def _set_current_headers(self) -> None:
        """Set the headers that depend on the request and on the state of the server."""
        if self.services.relay.is_draining:  # the next request should go to another process
            self.set_header("Connection", "close")
        for name, value in self.services.cors.headers(self.request):
            self.set_header(name, value)

    def _methods(self) -> str:
        """The methods that this path supports, for `Allow`."""
        return ", ".join(filter(self.takes, self.SUPPORTED_METHODS))

    @classmethod
    def takes(cls, method: str) -> bool:
        """Whether handlers support a method; HEAD where they support GET."""
        name = "get" if method == "HEAD" else method.lower()
        return getattr(cls, name) is not getattr(RequestHandler, name)

    @property
    def connection_stream(self) -> ClientConnection:
        """The stream of the client's connection."""
        return cast(ClientConnection, cast(HTTP1Connection, self.request.connection).stream)
