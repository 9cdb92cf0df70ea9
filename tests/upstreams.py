"""Scripted upstreams: what a provider sends, and when, said by the test, on a real loopback socket.

A script only grows, as an answer does: each request plays it from its beginning and then goes on
as the test adds to it. So `upstream.tokens("Hel", "lo")` may be said before the request came or
while it is open. `upstream.next_request()` begins a new script for the request after; requests
beyond the last script play the last one again.

    upstream.tokens("Hel", "lo")      # framed for the API that the request's path belongs to
    upstream.finish()                 # finish mark, usage, the end of the body
    upstream.sample("quirk-cr.sse")   # a recorded body, byte for byte
    upstream.fail(429, {"error": …})  # an error in place of a stream
    upstream.silent()                 # headers, then nothing
    upstream.no_headers()             # the request is taken, and nothing comes back at all
    upstream.cut()                    # the connection breaks off here

What arrived is in `upstream.requests`; `await upstream.request(1)` waits for the second one.
`upstream.closed` is set when a client hangs up on an unfinished answer, silent or not, at once.

The server is asyncio's and its HTTP parser llhttp's: it shares no code with what it tests. The
official SDKs read it as they read the real thing (`tests/providers/test_sdks.py`).
"""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httptools
import pytest
from tornado.httputil import HTTPHeaders
from tornado.ioloop import IOLoop

from tests import framing
from tests.openai_responses_stream import ResponsesStream
from tests.upstream_apis import BASE_PATHS, dialect_at, refusal

SAMPLES = Path(__file__).parent / "providers" / "samples"

TOKEN = "24.scripted-token"


class Script:
    """What a request is answered with, from its beginning to wherever the test has got."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._players: list[Request] = []

    def play_to(self, request: "Request") -> None:
        """All there is, and what will be added."""
        self._players.append(request)
        for step in self.steps:
            request.play(step)

    def add(self, step: "Step") -> None:
        self.steps.append(step)
        for request in self._players:
            request.play(step)


class Request:
    """A request as it arrived, and what became of it."""

    def __init__(self, connection: "_Connection") -> None:
        self.connection = connection
        self.method = ""
        self.target = ""
        self.headers = HTTPHeaders()
        self.body = b""
        self.answered = False  # the response was sent to its end
        self.closed = asyncio.Event()  # the client hung up before that
        self.closed_at: float | None = None  # time.monotonic()
        self._head_sent = False
        self._pieces = 0
        self._responses: ResponsesStream | None = None

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.target).query).items()}

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)

    @property
    def dialect(self) -> str:
        """Which API was asked, by its path."""
        return dialect_at(self.path)

    @property
    def open(self) -> bool:
        """Whether its client still waits for more."""
        return not self.answered and not self.closed.is_set()

    @property
    def responses(self) -> ResponsesStream:
        """The events of a response of `openai-responses`."""
        if self._responses is None:
            number = self.connection.number_of(self)
            self._responses = ResponsesStream(self.json["model"], number)
        return self._responses

    def play(self, step: "Step") -> None:
        """The next step of its script, unless all is over."""
        if self.open:
            step(self)

    def send_head(self, status: int = 200, **headers: str) -> None:
        if self._head_sent:
            return
        self._head_sent = True
        has_lines = self.path.endswith("/api/chat")
        usual = "application/x-ndjson" if has_lines else "text/event-stream; charset=utf-8"
        fields = {"Content_Type": usual, **headers}
        lines = [f"HTTP/1.1 {status} Scripted", "Transfer-Encoding: chunked"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
        self.connection.write("\r\n".join([*lines, "", ""]).encode("latin-1"))

    def send(self, data: bytes) -> None:
        """More of the body, as one chunk."""
        self.send_head()
        if data:
            self.connection.write(b"%x\r\n%s\r\n" % (len(data), data))

    def end(self) -> None:
        """The proper end of the body; the connection stays for the next request."""
        self.send_head()
        self.connection.write(b"0\r\n\r\n")
        self.answered = True

    def cut(self) -> None:
        self.answered = True  # by hanging up ourselves
        self.connection.transport.close()

    def hung_up(self) -> None:
        if self.open:
            self.closed_at = time.monotonic()
            self.closed.set()

    def next_piece(self) -> int:
        """The number of the event that is about to be sent: 0, 1, 2…"""
        self._pieces += 1
        return self._pieces - 1


Step = Callable[[Request], None]


class ScriptedUpstream:
    """A server of all dialects on a loopback port, doing what the test says."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.token_requests: list[Request] = []
        self.connections = 0  # open just now
        self.closed = asyncio.Event()  # some client hung up on its answer
        self.url = ""
        self._scripts = [Script()]
        self._scripted = 0  # requests that were given one
        self.token_seconds = 2592000.0  # for how long a token is said to be good
        self._token_number = 0
        self._arrived = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._transports: set[asyncio.Transport] = set()

    # What the test says

    def tokens(self, *texts: str) -> None:
        """Pieces of the answer, each an event and a write of its own."""
        for text in texts:
            self.add(partial(_send_piece, text=text))

    def reasoning(self, *texts: str) -> None:
        """Pieces of reasoning; Qianfan v1 has none."""
        for text in texts:
            self.add(partial(_send_piece, text="", reasoning=text))

    def tool_call(self, index: int, call_id: str, name: str, arguments: str) -> None:
        """A whole tool call, that of `index` in its answer; Qianfan v1 has no indexes and ids."""

        def act(request: Request) -> None:
            number = request.next_piece()
            dialect = request.dialect
            request.send(framing.whole_tool_call(dialect, number, index, call_id, name, arguments))

        self.add(act)

    def finish(self, reason: str = "stop", usage: tuple[int, int] | None = framing.USAGE) -> None:
        """The finish mark as the dialect has it, usage unless it is None, the end of the body."""

        def act(request: Request) -> None:
            options = request.json.get("stream_options") or {}
            wanted = request.dialect != "openai" or options.get("include_usage")
            told = usage if wanted else None
            if request.dialect == "openai-responses":
                request.send(request.responses.finish(reason, told))
            else:
                request.send(framing.finish(request.dialect, request.next_piece(), reason, told))
            request.end()

        self.add(act)

    def sample(self, name: str, *, status: int = 200, piece_bytes: int = 1 << 20) -> None:
        """A recorded body, in pieces of this size, and its end."""
        body = (SAMPLES / name).read_bytes()
        types = {".json": "application/json", ".ndjson": "application/x-ndjson"}
        content_type = types.get(Path(name).suffix, "text/event-stream")

        def act(request: Request) -> None:
            request.send_head(status, Content_Type=content_type)
            for start in range(0, len(body), piece_bytes):
                request.send(body[start : start + piece_bytes])
            request.end()

        self.add(act)

    def response(self, *writes: Callable[[ResponsesStream], bytes]) -> None:
        """Events of `openai-responses`, each written by a function of the response."""
        for write in writes:
            self.add(partial(_send_response, write=write))

    def raw(self, data: bytes) -> None:
        """Any bytes of a body; `raw(b": keep-alive\\n\\n")` is a comment."""
        self.add(lambda request: request.send(data))

    def fail(self, status: int, body: object = b"", **headers: str) -> None:
        """A whole response that is no stream. Headers by name, `Retry_After="1"`."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        fields = {"Content_Type": "application/json", **headers}

        def act(request: Request) -> None:
            request.send_head(status, **fields)
            request.send(data)
            request.end()

        self.add(act)

    def silent(self) -> None:
        """The headers of a stream, and nothing more."""
        self.add(Request.send_head)

    def no_headers(self) -> None:
        """Nothing at all. It is what an empty script does, too; this only says that it is meant."""

    def end(self) -> None:
        """The body ends here, properly, whether or not the answer was finished."""
        self.add(Request.end)

    def cut(self) -> None:
        """The connection breaks off here, in the middle of the body."""
        self.add(Request.cut)

    def next_request(self) -> None:
        """What is said from now on is for the request after those scripted so far."""
        self._scripts.append(Script())

    # What the test sees

    def base_url(self, dialect: str = "openai") -> str:
        """The `base_url` that makes `dialect` come here."""
        return self.url + BASE_PATHS[dialect]

    @property
    def open(self) -> int:
        """How many requests wait for more."""
        return sum(request.open for request in self.requests)

    async def request(self, number: int = 0) -> Request:
        """The request of that number, when it has arrived."""
        while len(self.requests) <= number:
            self._arrived.clear()
            await self._arrived.wait()
        return self.requests[number]

    def expire_token(self) -> None:
        """The token of `qianfan-v1` is no longer good, as after 30 days: it gets error 111."""
        self._token_number += 1

    @property
    def token(self) -> str:
        """The access token that is good now, of `qianfan-v1`."""
        return f"{TOKEN}.{self._token_number}"

    # The server

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    @asynccontextmanager
    async def behind_tls(self, context: ssl.SSLContext) -> AsyncIterator[int]:
        """One more port, which speaks TLS, while the block runs."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", 0, ssl=context)
        async with server:
            yield server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for transport in tuple(self._transports):
            transport.abort()
        await self._server.wait_closed()
        await asyncio.sleep(0)  # the connections are told of their ends in the next round

    def take(self, request: Request) -> None:
        """Answer a request that arrived whole."""
        if request.path.endswith("/oauth/2.0/token"):
            self.token_requests.append(request)
            _answer(request, {"access_token": self.token, "expires_in": self.token_seconds})
            return
        self.requests.append(request)
        self._arrived.set()
        if request.dialect == "qianfan-v1" and request.query.get("access_token") != self.token:
            _answer(request, {"error_code": 111, "error_msg": "Access token expired"})
            return
        if (refused := refusal(request.target, request.headers, request.body)) is not None:
            _answer(request, refused[1], refused[0])
            return
        script = self._scripts[min(self._scripted, len(self._scripts) - 1)]
        self._scripted += 1
        script.play_to(request)

    def add(self, step: Step) -> None:
        self._scripts[-1].add(step)


class _Connection(asyncio.Protocol):
    """One client's connection: requests one after the other, each on its own."""

    transport: asyncio.Transport

    def __init__(self, upstream: ScriptedUpstream) -> None:
        self._upstream = upstream
        self._parser = httptools.HttpRequestParser(self)
        self._requests: list[Request] = []  # the last one may still be arriving

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._upstream.connections += 1
        self._upstream._transports.add(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._upstream.connections -= 1
        self._upstream._transports.discard(self.transport)
        for request in self._requests:
            request.hung_up()
            if request.closed.is_set():
                self._upstream.closed.set()

    def number_of(self, request: Request) -> int:
        """How many requests came before this one."""
        return self._upstream.requests.index(request)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def write(self, data: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(data)

    # What httptools calls

    def on_message_begin(self) -> None:
        self._requests = [request for request in self._requests if request.open]
        self._requests.append(Request(self))

    def on_url(self, target: bytes) -> None:
        self._requests[-1].target += target.decode()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._requests[-1].headers.add(name.decode("latin-1"), value.decode("latin-1"))

    def on_body(self, data: bytes) -> None:
        self._requests[-1].body += data

    def on_message_complete(self) -> None:
        self._requests[-1].method = self._parser.get_method().decode()
        self._upstream.take(self._requests[-1])


def _answer(request: Request, body: object, status: int = 200) -> None:
    request.send_head(status, Content_Type="application/json")
    request.send(json.dumps(body).encode())
    request.end()


def _send_response(request: Request, write: Callable[[ResponsesStream], bytes]) -> None:
    request.send(write(request.responses))


def _send_piece(request: Request, text: str, reasoning: str = "") -> None:
    if request.dialect == "openai-responses":
        stream = request.responses
        request.send(stream.reasoning_text(reasoning) if reasoning else stream.text(text))
        return
    request.send(framing.piece(request.dialect, request.next_piece(), text, reasoning))


def start(io_loop: IOLoop) -> ScriptedUpstream:
    """One more upstream, on the test's loop; whoever starts it stops it."""
    upstream = ScriptedUpstream()
    io_loop.run_sync(upstream.start)
    return upstream


@pytest.fixture
def upstream(io_loop: IOLoop) -> Iterator[ScriptedUpstream]:
    """A scripted upstream on the test's loop, with an empty script."""
    scripted = start(io_loop)
    yield scripted
    io_loop.run_sync(scripted.stop)
