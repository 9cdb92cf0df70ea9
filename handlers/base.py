"""The base of all handlers: authentication, reading bodies, writing JSON and errors."""

import logging
import re
import secrets
from asyncio import Future
from collections.abc import Awaitable
from contextlib import suppress
from functools import cached_property
from http import HTTPStatus
from types import TracebackType
from typing import Any, ClassVar, NamedTuple, cast

import msgspec
from msgspec import structs
from tornado.http1connection import HTTP1Connection
from tornado.iostream import StreamClosedError
from tornado.web import HTTPError, RequestHandler

from auth.principal import Principal, is_user_name
from auth.tickets import Tickets
from handlers.authenticator import Access, Authenticator
from handlers.cors import Cors
from handlers.decoding import Body, decoded
from handlers.disconnects import DisconnectWatcher
from handlers.errors import ApiError, ErrorResponse, to_error_response
from handlers.event_streams import EventStreams
from handlers.open_requests import OpenRequests
from handlers.refusal_log import RefusalLog
from handlers.response_bodies import Problem, Refusal
from handlers.single_header import RepeatedHeader, single_header
from handlers.store_health import StoreHealth
from relay.ask_request import Caller
from relay.errors import forget_frames
from relay.model_access import AllowedModels
from relay.models import Models
from relay.relay import Relay
from relay.unsent_budget import FREE_BYTES
from relay.user_concurrency import UserConcurrencyLimit
from sockets.body_budget import BodyBudget
from sockets.client_connection import ClientConnection
from storage.contract import Storage
from telemetry.log_event import LogEvent
from telemetry.metrics import Metrics

log = logging.getLogger("headrace.http")

_encoder = msgspec.json.Encoder()

# A client's own request id is used if it is short and plain, so that it can be logged.
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

# W3C's Trace Context, version 00. Without a valid one the answer begins a new trace.
_TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")

# msgspec's message quotes the value that was found, here in quotation marks.
_QUOTED = re.compile(r"(Invalid (?:enum )?value) '.*'", re.DOTALL)


class Services(NamedTuple):
    """The objects that handlers work with; made once, in `app/composition.py`."""

    relay: Relay
    storage: Storage
    store_health: StoreHealth
    refusal_log: RefusalLog
    models: Models
    open_requests: OpenRequests
    event_streams: EventStreams
    disconnects: DisconnectWatcher
    authenticator: Authenticator
    tickets: Tickets
    cors: Cors
    max_body_bytes: int
    body_budget: BodyBudget
    base_path: str  # prefix of all paths, as clients see them
    metrics: Metrics
    metrics_here: bool  # the port belongs to this process alone, and `metrics.port` is unset


class BaseHandler(RequestHandler):
    """Authenticates requests, decodes bodies into types, and writes JSON and errors."""

    services: Services
    access: ClassVar[Access] = Access.USERS
    principal: Principal | None = None
    _counted_in: UserConcurrencyLimit | None = None  # the limit that it is counted in
    _unsent_bytes = 0  # the response's share of `limits.max_unsent_bytes`

    def initialize(self, services: Services) -> None:
        """Tornado's hook: the values of the route table."""
        self.services = services

    @cached_property
    def request_id(self) -> str:
        """The id by which a client's report can be found in the log."""
        asked = self.request.headers.get("X-Request-Id", "")
        return asked if _REQUEST_ID.fullmatch(asked) else secrets.token_hex(8)

    @property
    def caller(self) -> Caller:
        """The request, as the log line about its answer describes it."""
        parent = self.request.headers.get("traceparent", "")
        return Caller(self.request_id, parent if _TRACEPARENT.fullmatch(parent) else "")

    def set_default_headers(self) -> None:
        """Tornado's hook, called for every response, and once more before an error is written."""
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
            with self.services.body_budget.holding(len(self.request.body)):
                principal = await self.authenticate()
            self.principal = self._acting(self._checked(principal))
            self.count_in(self.services.relay.requests)
        if self.request.body:
            self._check_form()
        if len(self.request.body) > self.services.max_body_bytes:
            limit = self.services.max_body_bytes
            raise ApiError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                "body_too_large",
                f"The body is longer than {limit:,} bytes (limits.max_body_bytes).",
            )
        if self.request.method == "GET":
            self.request.body = (
                b""  # the body of a GET has no meaning, and a stream would keep it in memory
            )

    def _check_form(self) -> None:
        """Raise ApiError unless the body is uncompressed JSON, by its headers."""
        if not _is_json(self.request.headers.get("Content-Type", "")):
            raise ApiError(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                "not_json",
                "Send the body as JSON, with Content-Type: application/json.",
            )
        codings = self.request.headers.get("Content-Encoding", "").lower().split(",")
        if any(coding.strip() not in ("", "identity") for coding in codings):
            raise ApiError(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                _COMPRESSED,
                "Send the body uncompressed, without Content-Encoding.",
            )

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

    def close_for_its_key(self) -> None:
        """The API key is no longer valid: close the connection."""
        log.info(
            LogEvent("request ended, its key is gone", request=self.request_id, key=self.api_key_id)
        )
        self.connection_stream.close()

    def body(self, kind: type[Body]) -> Body:
        """The request's JSON body as `kind`. Raises ApiError 400, whose message quotes no value."""
        data, self.request.body = (
            self.request.body,
            b"",
        )  # it is read once, and a stream would keep it in memory
        try:
            return decoded(data, kind)
        except msgspec.ValidationError as error:
            said = _QUOTED.sub(r"\1", str(error))
            raise ApiError(HTTPStatus.BAD_REQUEST, "invalid_body", f"{said}.") from None
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise ApiError(
                HTTPStatus.BAD_REQUEST, "invalid_json", "The body is not valid JSON in UTF-8."
            ) from None

    def address(self, path: str) -> str:
        """The path of a resource, as clients see it."""
        return self.services.base_path + path

    def page_limit(self) -> int:
        """The query parameter `limit`, or its default. Raises ApiError 400."""
        given = self.get_query_argument("limit", str(_PAGE_DEFAULT))
        if not re.fullmatch(r"[0-9]{1,3}", given) or not 1 <= int(given) <= _PAGE_MAX:
            raise ApiError(
                HTTPStatus.BAD_REQUEST,
                "invalid_limit",
                f"limit must be a whole number from 1 to {_PAGE_MAX}.",
            )
        return int(given)

    def bad_cursor(self, name: str) -> ApiError:
        """The error for a query parameter that is not a cursor of the list."""
        return ApiError(
            HTTPStatus.BAD_REQUEST,
            "invalid_cursor",
            f"{name} must be the `next` of a page of this list.",
        )

    def write_json(self, value: object, status: HTTPStatus = HTTPStatus.OK) -> None:
        """Write `value` as the whole response.

        Raises Overloaded and TooMuchUnread for a long response if too many of them are unread.
        """
        data = _encoder.encode(value)
        if len(data) > FREE_BYTES:
            self._unsent_bytes = self.services.relay.unsent_budget.take(self.user, len(data))
        self.set_status(status)
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.write(data)

    async def write_shared(self, data: bytes) -> None:
        """Write bytes that are in memory anyway as the whole response, in pieces."""
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
        if response.code == _COMPRESSED:
            self.set_header("Accept-Encoding", "identity")
        self.write_json(Refusal(self.problem(response)), response.status)
        self.finish()

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
            forget_frames(value)

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
        if self.services.relay.is_retiring:  # the next request should go to another process
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

    def _checked(self, principal: Principal) -> Principal:
        if self.access is Access.ADMINS and not principal.admin:
            raise _admin_only()
        return principal

    def _acting(self, principal: Principal) -> Principal:
        """The principal to act as: an admin may name another user in `Headrace-User`."""
        if "Headrace-User" not in self.request.headers:
            return principal
        if not principal.admin:
            raise _admin_only()
        with suppress(UnicodeError, RepeatedHeader):
            text = single_header(self.request, "Headrace-User") or ""
            named = text.encode("latin-1").decode()  # the bytes of headers are UTF-8 in this API
            if is_user_name(named):
                log.info(
                    LogEvent(
                        "admin asks for another user",
                        request=self.request_id,
                        key=principal.api_key_id,
                    )
                )
                return structs.replace(principal, user=named)
        raise ApiError(
            HTTPStatus.BAD_REQUEST,
            "invalid_user",
            "Headrace-User must be sent once, with a user's name of 1 to 256 characters, without "
            "control characters.",
        )

    @property
    def connection_stream(self) -> ClientConnection:
        """The stream of the client's connection."""
        return cast(ClientConnection, cast(HTTP1Connection, self.request.connection).stream)


class NotFoundHandler(BaseHandler):
    """Answers requests for paths that no route matches."""

    access = Access.EVERYBODY

    async def prepare(self) -> None:
        """Refuse the request with 404 in the API's format."""
        await super().prepare()
        raise HTTPError(HTTPStatus.NOT_FOUND)


_BUG = ErrorResponse(
    HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", "The server failed. That is a bug."
)
_COMPRESSED = "unsupported_encoding"
_PAGE_DEFAULT = 50
_PAGE_MAX = (
    200  # characters in a page: long answers take megabytes, so there are more pages of them
)


def _is_json(content_type: str) -> bool:
    kind, _, _ = content_type.partition(";")
    return kind.strip().lower() == "application/json"


def _admin_only() -> ApiError:
    return ApiError(
        HTTPStatus.FORBIDDEN, "admin_only", "This request needs an admin's API key or token."
    )
