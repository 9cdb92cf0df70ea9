"""What every handler shares: who asks, what they may send, and how errors and JSON are written."""

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

# A caller's own request id is taken over if it is short and plain, so that it can be put in a log.
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

# W3C's Trace Context, version 00; what is written otherwise begins a trace of its own.
_TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")

# msgspec says where a body is wrong and what was expected, and here also what was found.
_QUOTED = re.compile(r"(Invalid (?:enum )?value) '.*'", re.DOTALL)


class Services(NamedTuple):
    """What handlers work with; made once, in `app/composition.py`."""

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
    base_path: str  # before every path of ours, where clients see one
    metrics: Metrics
    metrics_here: bool  # this port is one process's alone, and metrics have no other


class BaseHandler(RequestHandler):
    """Refuses what is not let in, reads bodies by their type, and writes JSON and errors."""

    services: Services
    access: ClassVar[Access] = Access.USERS
    principal: Principal | None = None
    _counted_in: UserConcurrencyLimit | None = None  # where it is counted
    _unsent_bytes = 0  # what the response has of `limits.max_unsent_bytes`

    def initialize(self, services: Services) -> None:
        """Tornado's constructor for handlers: the route table's values."""
        self.services = services

    @cached_property
    def request_id(self) -> str:
        """By which a client's report and our log find each other."""
        asked = self.request.headers.get("X-Request-Id", "")
        return asked if _REQUEST_ID.fullmatch(asked) else secrets.token_hex(8)

    @property
    def caller(self) -> Caller:
        """This request, as the line about its answer names it."""
        parent = self.request.headers.get("traceparent", "")
        return Caller(self.request_id, parent if _TRACEPARENT.fullmatch(parent) else "")

    def set_default_headers(self) -> None:
        """Tornado's hook, called for every response, and once more before an error is written."""
        self.clear_header("Server")
        self.set_header("X-Request-Id", self.request_id)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Cache-Control", "no-store")

    async def prepare(self) -> None:
        """Refuse what is not let in, before anything is read of it."""
        self.services.open_requests.add(self)
        self.connection_stream.request_id = self.request_id
        self._set_current_headers()
        self.services.authenticator.check_request(self.request)
        # A browser asks by OPTIONS whether it may send a key, and sends none with that.
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
            self.request.body = b""  # it means nothing, and a stream would hold it

    def _check_form(self) -> None:
        """Whether the body is what its headers have to say that it is."""
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
        """Tornado's hook: the response is sent, or there is nobody to send it to."""
        self.services.open_requests.remove(self)

    def compute_etag(self) -> None:
        """Tornado's hook. Nothing here may be stored by caches: an ETag would only cost a hash."""

    def head(self, *names: str) -> Awaitable[None] | None:
        """What GET would answer, less its body, which Tornado leaves out and counts."""
        return self.get(*names)

    def options(self, *_: str) -> None:
        """Answer a browser's question whether another site's page may ask; the headers say it."""
        self.set_header("Allow", self._methods())
        self.set_status(HTTPStatus.NO_CONTENT)

    async def authenticate(self) -> Principal:
        """Who asks."""
        return await self.services.authenticator.authenticate(self.request)

    @property
    def user(self) -> str:
        """For whom is asked. Every read and write of the store carries it."""
        assert self.principal is not None, "a route for everybody has no user"
        return self.principal.user

    @property
    def allowed(self) -> AllowedModels:
        """The models that who asks may have; an admin's own also where they ask for another."""
        return None if self.principal is None else self.principal.models

    @property
    def api_key_id(self) -> str | None:
        """The API key that let the request in, if one did."""
        return None if self.principal is None else self.principal.api_key_id

    def close_for_its_key(self) -> None:
        """The key is no longer good: whoever still waits, waits in vain."""
        log.info(
            LogEvent("request ended, its key is gone", request=self.request_id, key=self.api_key_id)
        )
        self.connection_stream.close()

    def body(self, kind: type[Body]) -> Body:
        """The request's JSON body as `kind`. Raises ApiError 400, whose words quote no value."""
        data, self.request.body = self.request.body, b""  # read once; a stream would hold it
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
        """Where clients find `path` of ours."""
        return self.services.base_path + path

    def page_limit(self) -> int:
        """`?limit=`: how many to list."""
        given = self.get_query_argument("limit", str(_PAGE_DEFAULT))
        if not re.fullmatch(r"[0-9]{1,3}", given) or not 1 <= int(given) <= _PAGE_MAX:
            raise ApiError(
                HTTPStatus.BAD_REQUEST,
                "invalid_limit",
                f"limit must be a whole number from 1 to {_PAGE_MAX}.",
            )
        return int(given)

    def bad_cursor(self, name: str) -> ApiError:
        """The error for a `?name=` that no list gave out."""
        return ApiError(
            HTTPStatus.BAD_REQUEST,
            "invalid_cursor",
            f"{name} must be the `next` of a page of this list.",
        )

    def write_json(self, value: object, status: HTTPStatus = HTTPStatus.OK) -> None:
        """Write `value`, a struct of ours, as the whole response.

        Raises Overloaded and TooMuchUnread if it is a long one, and there are too many.
        """
        data = _encoder.encode(value)
        if len(data) > FREE_BYTES:
            self._unsent_bytes = self.services.relay.unsent_budget.take(self.user, len(data))
        self.set_status(status)
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.write(data)

    async def write_shared(self, data: bytes) -> None:
        """Write what is in memory anyway, as the whole response, and hold little of it for it."""
        self.set_header("Content-Length", str(len(data)))
        with suppress(StreamClosedError):
            for start in range(0, len(data), FREE_BYTES):
                self.write(data[start : start + FREE_BYTES])
                await self.flush()

    def finish(self, chunk: str | bytes | dict[str, Any] | None = None) -> "Future[None]":
        """Tornado's way to end a response, which may have to wait for its reader."""
        written = super().finish(chunk)
        stream = self.connection_stream
        if stream.closed() or not stream.writing():
            self._stop_counting()
        else:  # it waits for its reader, or for them to leave
            stream.write(b"").add_done_callback(lambda _: self._stop_counting())
        return written

    def count_in(self, limit: UserConcurrencyLimit) -> None:
        """Count among the user's of a kind from now on, in place of another kind."""
        limit.take(self.user)
        if self._counted_in is not None:
            self._counted_in.give(self.user)
        self._counted_in = limit

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Tornado's hook for every exception and every status that it sends itself."""
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
        """`error` as it stands in a response."""
        busy = msgspec.UNSET if error.answer_id is None else error.answer_id
        reason = msgspec.UNSET if error.reason is None else error.reason
        return Problem(error.code, error.message, self.request_id, busy, reason=reason)

    def log_exception(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """A refusal is a line at most; a traceback says that it is a bug."""
        response = to_error_response(value)
        if response is None:
            log.error(LogEvent("request failed", request=self.request_id), exc_info=value)
        else:
            self.services.refusal_log.log(response, value, request_id=self.request_id)
            forget_frames(value)

    def _stop_counting(self) -> None:
        """The response has left for its reader, or its reader has left."""
        if self._counted_in is not None:
            self._counted_in.give(self.user)
            self._counted_in = None
        if self._unsent_bytes:
            self.services.relay.unsent_budget.give(self.user, self._unsent_bytes)
            self._unsent_bytes = 0

    def _set_current_headers(self) -> None:
        """Those that depend on the request and on the moment."""
        if self.services.relay.closing:  # the next request had better go to another process
            self.set_header("Connection", "close")
        for name, value in self.services.cors.headers(self.request):
            self.set_header(name, value)

    def _methods(self) -> str:
        """What this path can be asked by."""
        return ", ".join(filter(self.takes, self.SUPPORTED_METHODS))

    @classmethod
    def takes(cls, method: str) -> bool:
        """Whether these paths can be asked by it: by HEAD where there is something to get."""
        name = "get" if method == "HEAD" else method.lower()
        return getattr(cls, name) is not getattr(RequestHandler, name)

    def _checked(self, principal: Principal) -> Principal:
        if self.access is Access.ADMINS and not principal.admin:
            raise _admin_only()
        return principal

    def _acting(self, principal: Principal) -> Principal:
        """An admin may name whom they ask for, as a backend with users of its own does."""
        if "Headrace-User" not in self.request.headers:
            return principal
        if not principal.admin:
            raise _admin_only()
        with suppress(UnicodeError, RepeatedHeader):
            text = single_header(self.request, "Headrace-User") or ""
            named = text.encode("latin-1").decode()  # header bytes are UTF-8 in our API
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
        """The reader's socket."""
        return cast(ClientConnection, cast(HTTP1Connection, self.request.connection).stream)


class NotFoundHandler(BaseHandler):
    """Whatever no route names."""

    access = Access.EVERYBODY

    async def prepare(self) -> None:
        """Refuse it in the words of the API."""
        await super().prepare()
        raise HTTPError(HTTPStatus.NOT_FOUND)


_BUG = ErrorResponse(
    HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", "The server failed. That is a bug."
)
_COMPRESSED = "unsupported_encoding"
_PAGE_DEFAULT = 50
_PAGE_MAX = 200  # a page of long answers is megabytes; more of them are more pages


def _is_json(content_type: str) -> bool:
    kind, _, _ = content_type.partition(";")
    return kind.strip().lower() == "application/json"


def _admin_only() -> ApiError:
    return ApiError(
        HTTPStatus.FORBIDDEN, "admin_only", "This request needs an admin's API key or token."
    )
