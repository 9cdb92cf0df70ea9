"""A server, its upstream and its reader in one event loop, where one thing happens at a time.

The upstream sends a token when the reader has received the one before, so the server reads each by
itself, whatever the machine does meanwhile. A question is asked when the answer to the one before
has come to its end. What the server does at intervals it does once an hour. So a count of what it
does for tokens is the same each time, and for questions nearly, since threads take part in them.

As a program it does the same between marks, for `strace` to count: `driven.py token FOLDER`, or
`driven.py token FOLDER LINE`, with that line as a fault.
"""

import asyncio
import os
import re
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch
from urllib.parse import urlsplit

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[2])

from app.composition import running
from relay import pacing
from settings import Settings
from telemetry import lag
from tests.costs.faults import Work, line_added

Window = Callable[[], Awaitable[None]]

# What is counted is done so often, and counted so many times: the least of the counts is taken.
PER_WINDOW: dict[Work, int] = {
    "token": 64,
    "shared token": 64,
    "chat token": 64,
    "question": 16,
}
WINDOWS = 5

# Ahead of the first window: caches fill, and the answer gets so long that its texts are joined.
_WARM_UP: dict[Work, int] = {
    "token": 256,
    "shared token": 256,
    "chat token": 256,
    "question": 32,
}

# Further readers of a shared token: less than are written to in one call stack.
MORE_READERS = 8

BEGIN, END = b"driven: begin", b"driven: end"  # the marks

# An hour in place of seconds, as far as settings permit.
_RARELY = {"heartbeat_seconds": 3500, "checkpoint_seconds": 1000, "lease_seconds": 3500}

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def _chunk(data: bytes) -> bytes:
    event = b"data: %b\n\n" % data
    return b"%x\r\n%b\r\n" % (len(event), event)


_TOKEN = _chunk(b'{"choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}]}')
_END = (
    _chunk(b'{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}')
    + _chunk(b'{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}')
    + _chunk(b"[DONE]")
    + b"0\r\n\r\n"
)


class Speech(NamedTuple):
    """How a reader asks, and by what it knows a token's event and the end of one."""

    request: bytes
    growth: bytes
    growth_end: bytes


def _request(path: bytes, body: bytes) -> bytes:
    return (
        b"POST %b HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (path, len(body), body)
    )


_NATIVE = Speech(
    _request(b"/api/v1/chat", b'{"content":"hi","model":"driven/model"}'),
    growth=b"event: delta",
    growth_end=b' word"}\n\n\r\n',
)
_CHAT = Speech(
    _request(
        b"/v1/chat/completions",
        b'{"model":"driven/model","store":true,"stream":true,'
        b'"messages":[{"role":"user","content":"hi"}]}',
    ),
    growth=b'{"content":" word"}',
    growth_end=b'{"content":" word"},"finish_reason":null}]}\n\n\r\n',
)
_EVENTS = b"GET /api/v1/answers/%b/events HTTP/1.1\r\nHost: localhost\r\n\r\n"
_ANSWER_ID = re.compile(rb'"answer_id":"([^"]+)"')


class Driven:
    """The upstream's and the reader's side of the server: callbacks that send what comes next."""

    def __init__(self, listener: socket.socket, speech: Speech = _NATIVE) -> None:
        self._speech = speech
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._loop.add_reader(listener, self._accept)
        self._upstream: socket.socket | None = None
        self._reader: socket.socket | None = None
        self._more_readers: list[socket.socket] = []
        self._unread = 0  # further readers that have not received the last token yet
        self._answer = b""  # the id of the answer that was asked for last
        self._whole_answers = True  # or heads, after which the test sends tokens
        self._tokens = 0  # that the first reader is still to receive
        self._awaited_tokens = 0  # of these, when it has received the one that was sent
        self._questions = 0  # that are still to be asked
        self._step: asyncio.Future[None] = self._loop.create_future()

    async def connect(self, url: str) -> None:
        """Connect the reader."""
        self._port = urlsplit(url).port
        self._reader = self._connected(self._on_event)

    def _connected(self, on_event: Callable[..., None]) -> socket.socket:
        connected = socket.create_connection(("127.0.0.1", self._port))
        connected.setblocking(False)
        self._loop.add_reader(connected, on_event)
        return connected

    def close(self) -> None:
        """Close all sockets."""
        for each in (self._listener, self._upstream, self._reader, *self._more_readers):
            if each is not None:
                self._loop.remove_reader(each)
                each.close()

    async def begin_answer(self) -> None:
        """Ask a question whose answer goes on for as long as tokens are sent."""
        self._whole_answers = False
        await self.questions(1)

    async def end_answer(self) -> None:
        """End it."""
        self._whole_answers = True
        self._questions = 1
        self._step = self._loop.create_future()
        self._send(_END)
        await self._step

    async def more_readers(self) -> None:
        """Let further readers read the answer; what there is of it has come when this returns."""
        self._unread = MORE_READERS
        self._step = self._loop.create_future()
        for number in range(MORE_READERS):
            reader = self._connected(partial(self._on_shared_event, number))
            self._more_readers.append(reader)
            reader.send(_EVENTS % self._answer)
        await self._step

    async def tokens(self, count: int) -> None:
        """Send tokens, each when all readers have received the one before."""
        self._tokens = count
        self._step = self._loop.create_future()
        self._next_token()
        await self._step

    async def questions(self, count: int) -> None:
        """Ask questions, each when the answer to the one before has ended."""
        self._questions = count
        self._step = self._loop.create_future()
        self._ask()
        await self._step

    def _ask(self) -> None:
        assert self._reader is not None
        request = self._speech.request
        assert self._reader.send(request) == len(request)

    def _send(self, data: bytes) -> None:
        assert self._upstream is not None
        assert self._upstream.send(data) == len(data)

    def _accept(self) -> None:
        assert self._upstream is None  # the server keeps the connection
        self._upstream, _ = self._listener.accept()
        self._upstream.setblocking(False)
        self._upstream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._loop.add_reader(self._upstream, self._on_request)

    def _on_request(self) -> None:
        assert self._upstream is not None
        if not self._upstream.recv(65536).endswith(b"}"):
            return  # of head and body only the head has come
        self._send(_HEAD + _TOKEN + (_END if self._whole_answers else b""))

    def _on_event(self) -> None:
        assert self._reader is not None
        data = self._reader.recv(65536)
        if not data:  # the server has stopped
            self._loop.remove_reader(self._reader)
        elif self._tokens:
            self._tokens -= data.count(self._speech.growth)
            self._go_on()
        elif data.endswith(b"0\r\n\r\n" if self._whole_answers else self._speech.growth_end):
            self._questions -= 1
            if self._questions:
                self._ask()
            else:
                self._step.set_result(None)
        if answer := _ANSWER_ID.search(data):
            self._answer = answer[1]

    def _on_shared_event(self, number: int) -> None:
        reader = self._more_readers[number]
        data = reader.recv(65536)
        if not data:
            self._loop.remove_reader(reader)
        elif data.endswith(self._speech.growth_end):
            self._unread -= 1
            self._go_on()

    def _go_on(self) -> None:
        """Send the next token, if all readers have received this one."""
        if self._unread == 0 and self._awaited_tokens == self._tokens:
            if self._tokens:
                self._next_token()
            else:
                self._step.set_result(None)

    def _next_token(self) -> None:
        self._awaited_tokens = self._tokens - 1
        self._unread = len(self._more_readers)
        self._send(_TOKEN)


@asynccontextmanager
async def driven(folder: Path, speech: Speech = _NATIVE) -> AsyncIterator[Driven]:
    """A running server with its files in `folder`, and the sides that drive it."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    sides = Driven(listener, speech)
    provider = {
        "dialect": "openai",
        "base_url": f"http://127.0.0.1:{listener.getsockname()[1]}/v1",
        "models": ["model"],
    }
    values = {
        "port": 0,
        "storage": {"url": f"sqlite:///{folder}/driven.db"},
        "providers": {"driven": provider},
        "relay": {**_RARELY, "reader_dead_seconds": 3600},
        "limits": {"questions_per_minute": 0},
    }
    try:
        with (
            patch.object(lag, "_EVERY", 3600.0),
            patch.object(pacing, "_MEASURED_SECONDS", 3600.0),
        ):
            async with running(Settings(**values)) as server:
                await sides.connect(server.url)
                yield sides
    finally:
        sides.close()


@asynccontextmanager
async def warm(folder: Path, work: Work) -> AsyncIterator[Window]:
    """A server that has done the work for a while; what is yielded does one window of it."""
    async with driven(folder, _CHAT if work == "chat token" else _NATIVE) as sides:
        if work != "question":
            await sides.begin_answer()
        if work == "shared token":
            await sides.more_readers()
        do = sides.questions if work == "question" else sides.tokens
        await do(_WARM_UP[work])
        yield lambda: do(PER_WINDOW[work])
        if work != "question":
            await sides.end_answer()


async def main(work: Work, folder: Path, fault: str | None = None) -> None:
    """Do the windows of this work, each between two marks."""
    marks = os.open(os.devnull, os.O_WRONLY)
    async with warm(folder, work) as window:
        with line_added(work, fault) if fault is not None else nullcontext():
            for _ in range(WINDOWS):
                os.write(marks, BEGIN)
                await window()
                os.write(marks, END)


if __name__ == "__main__":
    what = next(work for work in PER_WINDOW if work == sys.argv[1])
    asyncio.run(main(what, Path(sys.argv[2]), *sys.argv[3:]))
