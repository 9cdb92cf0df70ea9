"""An HTTP client whose requests can be cancelled.

Neither of Tornado's two clients can abort a fetch: after its future is cancelled, the server goes
on generating an answer, and billing it, for nobody. This client is an AsyncHTTPClient too, with one
difference: **cancelling the task that `fetch` returned closes the connection at once**, whether the
fetch is queued, connecting, waiting for the response or in the middle of a body.

`http1.py` encodes and parses the protocol, `connecting.py` opens a stream, `connection.py` sends
requests on it, and `connection_pool.py` keeps it while it is idle. This module makes a fetch of
them, and turns errors of sockets, TLS and DNS into those of `errors.py`. A `streaming_callback` is
called in the same call stack in which the socket was read.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from io import BytesIO
from operator import attrgetter
from typing import Any, Self, cast

from tornado.httpclient import AsyncHTTPClient, HTTPRequest, HTTPResponse
from tornado.httputil import HTTPHeaders
from tornado.netutil import Resolver

from http_client.connecting import connect
from http_client.connection import Connection, StaleConnection
from http_client.connection_pool import ConnectionPool
from http_client.dns import CachingResolver
from http_client.endpoints import Endpoint, TunnelProxy, parse_url
from http_client.errors import (
    ConnectFailed,
    ConnectTimedOut,
    HttpClientError,
    InvalidResponse,
    RequestTimedOut,
)
from http_client.http1 import ResponseHead, request_head
from http_client.poller import SocketPoller
from http_client.reasons import reason_of

# Connections in use at a time. Each takes a file descriptor and some 7 KB of memory, 45 KB with
# TLS.
MAX_CONNECTIONS = 10_000

# Bytes of a body that is buffered because there is no `streaming_callback`. A token response or an
# error has a few KB, a key set or a list of models may have some hundred.
MAX_BUFFERED_BYTES = 1024 * 1024

# Options of Tornado's that this client does not support: a request with one of them is rejected
# rather than sent without it.
_REFUSED = (
    "auth_username",  # callers set the Authorization header
    "body_producer",
    "client_cert",
    "client_key",
    "decompress_response",  # a decompressed body would have no size limit
    "expect_100_continue",
    "follow_redirects",  # the redirect's target would receive the API key
    "network_interface",
    "prepare_curl_callback",
    "ssl_options",
)
_refused_values = attrgetter(*_REFUSED)


class ClientRequest(HTTPRequest):
    """An HTTPRequest with the callbacks that relaying a stream needs. It is for one fetch only.

    Its body, which holds a whole conversation, is dropped when the response begins, because an
    answer may last for minutes.

    may_send: awaited after the connection is made and before the first byte of the request is sent.
        If it fails or is cancelled, so does the fetch. Several requests may share it, since
        cancelling a fetch does not cancel it.
    on_send: called when the first byte of the request is about to be sent.
    on_head: called once, with status and headers, before the first piece of the body.
        `header_callback` of Tornado receives lines instead, which would have to be parsed again.
    """

    def __init__(
        self,
        url: str,
        *,
        may_send: Awaitable[None] | None = None,
        on_send: Callable[[], None] | None = None,
        on_head: Callable[[int, HTTPHeaders], None] | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(url, **settings)
        self.may_send = may_send
        self.on_send = on_send
        self.on_head = on_head
        self.was_answered = False


class HttpClient(AsyncHTTPClient):
    """An HTTP client for one process whose fetches end when they are cancelled.

    max_connections: how many connections may be in use at a time. Further fetches wait in order of
        arrival. The wait does not count towards the connect timeout, because it says nothing about
        the server; callers limit how many wait, and for how long.
    resolver, defaults: as Tornado's clients take them. By default a fetch has no total timeout,
        follows no redirect and is not compressed, whatever Tornado's defaults are.
    """

    def __new__(
        cls,
        *,
        max_connections: int = MAX_CONNECTIONS,
        resolver: Resolver | None = None,
        defaults: dict[str, Any] | None = None,
    ) -> Self:
        """Return a new instance.

        Tornado's own method returns one shared instance per event loop.
        """
        client = super().__new__(
            cls,
            force_instance=True,
            max_connections=max_connections,
            resolver=resolver,
            defaults=defaults,
        )
        return cast(Self, client)

    def initialize(
        self,
        defaults: dict[str, Any] | None = None,
        max_connections: int = MAX_CONNECTIONS,
        resolver: Resolver | None = None,
    ) -> None:
        """Set the client up; Tornado's configurable classes use this in place of `__init__`."""
        ours = {
            "request_timeout": 0,
            "follow_redirects": False,
            "decompress_response": False,
            "user_agent": "Headrace",
        }
        super().initialize(defaults=ours | (defaults or {}))
        self._refuses_by_default = any(self.defaults.get(name) for name in _REFUSED)
        self._slots = asyncio.Semaphore(max_connections)
        self._in_use = 0
        self._pool = ConnectionPool()
        self._poller: SocketPoller | None = None  # made in the event loop, for the first connection
        self._resolver = resolver or CachingResolver()
        self._own_resolver = resolver is None
        self._fetches: set[asyncio.Task[HTTPResponse]] = set()

    @property
    def connections_in_use(self) -> int:
        """How many connections carry a fetch or are being made for one."""
        return self._in_use

    @property
    def connections_idle(self) -> int:
        """How many connections are kept open for later fetches."""
        return len(self._pool)

    def fetch(
        self, request: str | HTTPRequest, raise_error: bool = True, **kwargs: Any
    ) -> asyncio.Task[HTTPResponse]:
        """Send `request`; the task's result is the response.

        Cancelling the task closes the connection.

        Every status is a response; no redirect is followed. With `raise_error`, as in Tornado, a
        status other than 2xx raises HTTPError. The response holds the body unless the request has a
        `streaming_callback`. The task raises

        - ConnectFailed, ConnectTimedOut: no connection was made, so nothing was sent to the server;
        - ConnectionLost: the request was sent, and the response did not come to its end;
        - InvalidResponse: the response is not valid HTTP, or exceeds a limit;
        - RequestTimedOut: `request_timeout`, which counts from this call to the end, expired;
        - ValueError: the request cannot be sent as it is;
        - whatever a callback or `may_send` raised. The connection is closed then.

        Tornado's own `fetch` is not called, because it does not pass its future to `fetch_impl`,
        and so its cancellation could not be noticed.
        """
        if self._pool.closed:
            raise RuntimeError("fetch() called on closed HttpClient")
        if not isinstance(request, HTTPRequest):
            request = ClientRequest(request, **kwargs)
        elif kwargs:
            raise ValueError("kwargs can't be used if request is an HTTPRequest object")
        if isinstance(request, ClientRequest) and request.was_answered:
            raise ValueError("a ClientRequest is for one fetch: its body is gone")
        fetch = asyncio.create_task(self._fetch(request, raise_error))
        self._fetches.add(fetch)
        fetch.add_done_callback(self._fetches.discard)
        return fetch

    def close(self) -> None:
        """Cancel the fetches in progress and close every connection."""
        super().close()
        self._pool.close()
        for fetch in self._fetches:
            fetch.cancel()
        if self._poller is not None:
            self._poller.close()
        if self._own_resolver:
            self._resolver.close()

    async def _fetch(self, request: HTTPRequest, raise_error: bool) -> HTTPResponse:
        try:
            async with asyncio.timeout(self._setting(request, "request_timeout") or None) as limit:
                response = await self._response(request)
        except TimeoutError as error:
            if not limit.expired():  # raised by a callback
                raise
            raise RequestTimedOut(reason="timed_out") from error
        if raise_error and response.error is not None:
            raise response.error
        return response

    async def _response(self, request: HTTPRequest) -> HTTPResponse:
        endpoint, head = self._prepared(request)
        async with self._slots:
            began = asyncio.get_running_loop().time()
            self._in_use += 1
            try:
                builder = _ResponseBuilder(request)
                await self._exchange(request, endpoint, head, builder)
            finally:
                self._in_use -= 1
        return builder.response(asyncio.get_running_loop().time() - began)

    async def _exchange(
        self, request: HTTPRequest, endpoint: Endpoint, head: bytes, builder: "_ResponseBuilder"
    ) -> None:
        """Send one request and read its response, on an idle connection or on a new one."""
        limit = self._setting(request, "connect_timeout") or None
        connection = self._pool.take(endpoint) or await self._connect(endpoint, limit)
        try:
            if isinstance(request, ClientRequest):
                if request.may_send is not None:
                    await _success_of(request.may_send)
                if request.on_send is not None:
                    request.on_send()
            on_body = request.streaming_callback or builder.keep
            try:
                await connection.exchange(head + (request.body or b""), builder.on_head, on_body)
            except StaleConnection:
                connection.close()
                connection = await self._connect(endpoint, limit)
                await connection.exchange(head + (request.body or b""), builder.on_head, on_body)
        except StaleConnection as error:
            raise ConnectFailed(reason="closed_before_it_was_asked") from error
        finally:
            self._pool.put(connection)

    async def _connect(self, endpoint: Endpoint, limit: float | None) -> Connection:
        """Open a connection within `limit` seconds, which include DNS, the proxy and TLS."""
        stages = ["dns"]
        try:
            async with asyncio.timeout(limit) as timeout:
                if self._poller is None:
                    self._poller = SocketPoller()
                poller = self._poller
                stream = await connect(endpoint, self._resolver, poller, stages.append)
                return Connection(stream, endpoint, poller)
        except TimeoutError as error:  # also raised by the kernel for an address that never answers
            if timeout.expired():
                raise ConnectTimedOut(
                    reason=_with_proxy(endpoint, f"{stages[-1]}_is_silent")
                ) from error
            raise ConnectFailed(reason=_with_proxy(endpoint, "timed_out")) from error
        except (OSError, UnicodeError, HttpClientError) as error:
            raise ConnectFailed(reason=_with_proxy(endpoint, reason_of(error))) from error

    def _prepared(self, request: HTTPRequest) -> tuple[Endpoint, bytes]:
        """Return the endpoint to connect to and the encoded head of the request.

        Raises ValueError.
        """
        # Most requests have none of them, which is seen in one call.
        if self._refuses_by_default or any(_refused_values(request)):
            for name in _REFUSED:
                if self._setting(request, name):
                    raise ValueError(f"HttpClient does not do {name}")
        endpoint, target = parse_url(request.url)
        proxy = None
        if host := self._setting(request, "proxy_host"):
            port = self._setting(request, "proxy_port")
            if not port:
                raise ValueError("proxy_host goes with proxy_port")
            proxy = TunnelProxy.of(
                host,
                port,
                self._setting(request, "proxy_username"),
                self._setting(request, "proxy_password"),
            )
        endpoint = endpoint._replace(
            validate_cert=self._setting(request, "validate_cert"),
            ca_certs=self._setting(request, "ca_certs"),
            proxy=proxy,
        )
        given = request.headers
        fields = list(given.get_all() if isinstance(given, HTTPHeaders) else given.items())
        if not any(name.lower() == "user-agent" for name, _ in fields):
            fields.append(("User-Agent", self._setting(request, "user_agent")))
        head = request_head(request.method, target, endpoint.host_header, fields, request.body)
        return endpoint, head

    def _setting(self, request: HTTPRequest, name: str) -> Any:
        """Return the request's value of one of Tornado's options, or the client's default for
        it.
        """
        value = getattr(request, name)
        return self.defaults.get(name) if value is None else value


class _ResponseBuilder:
    """Calls the request's callbacks as the response arrives, and builds an HTTPResponse from it."""

    def __init__(self, request: HTTPRequest) -> None:
        self._request = request
        self._head: ResponseHead | None = None
        self._buffer = BytesIO()

    def on_head(self, head: ResponseHead) -> None:
        self._head = head
        request = self._request
        if isinstance(request, ClientRequest):
            request.was_answered = True
            request.body = b""  # not needed again: a stale connection is noticed before a response
            if request.on_head is not None:
                request.on_head(head.status, head.headers)
        if request.header_callback is not None:
            request.header_callback(f"HTTP/{head.version} {head.status} {head.reason}\r\n")
            for name, value in head.headers.get_all():
                request.header_callback(f"{name}: {value}\r\n")
            request.header_callback("\r\n")

    def keep(self, chunk: bytes) -> None:
        """Buffer a piece of the body of a request that has no `streaming_callback`."""
        if self._buffer.tell() + len(chunk) > MAX_BUFFERED_BYTES:
            raise InvalidResponse(reason="body_too_long")
        self._buffer.write(chunk)

    def response(self, seconds: float) -> HTTPResponse:
        head = self._head
        assert head is not None  # an exchange without a head has raised
        return HTTPResponse(
            self._request,
            head.status,
            reason=head.reason,
            headers=head.headers,
            buffer=self._buffer,
            request_time=seconds,
            start_time=time.time() - seconds,
        )


def _with_proxy(endpoint: Endpoint, reason: str) -> str:
    """Return `reason`, marked if a proxy is on the way, since that may be the cause."""
    return reason if endpoint.proxy is None else f"by_proxy_{reason.removeprefix('proxy_')}"


async def _success_of(may_send: Awaitable[None]) -> None:
    """Wait for `may_send` and raise what it raises. Cancelling this call does not cancel it."""
    future = asyncio.ensure_future(may_send)
    try:
        await asyncio.wait([future])
    finally:
        if future is not may_send:  # a coroutine, which nobody else awaits
            future.cancel()
    future.result()
