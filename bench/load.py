"""Asks a gateway many questions over keep-alive connections, and checks each text that comes back.

A stream keeps what it reads with the time of each read; it is parsed when the measurement is over,
so that the client costs as little as possible while it lasts.
"""

import asyncio
import math
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from targets import Dialect, Gateway

_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_LAST_CHUNK = b"\r\n0\r\n\r\n"


@dataclass
class Stream:
    """A question that was asked, and what was received in answer to it."""

    tag: str
    asked_at: float
    reads: list[tuple[float, bytes]] = field(default_factory=list)
    error: str = ""  # why it ended before its time, in a word
    cut: bool = False  # ended by us, since the measurement was over

    @property
    def received(self) -> bytes:
        """All bytes of the response, its head included."""
        return b"".join(data for _, data in self.reads)

    def token_times(self, dialect: Dialect) -> list[float]:
        """When each event with text came. Events of one read have the same time."""
        times = []
        for at, data in self.reads:
            times += [at] * (data.count(dialect.mark) - data.count(dialect.empty_mark))
        return times

    def text(self, dialect: Dialect) -> str:
        """The text of the answer, as far as it came."""
        return "".join(dialect.text_of(event) for event in events_in(self.received))


def events_in(response: bytes) -> Iterator[bytes]:
    """The data of each event of a response that came whole."""
    for event in body_of(response).replace(b"\r\n", b"\n").split(b"\n\n")[:-1]:
        for line in event.split(b"\n"):
            if line.startswith(b"data:"):
                yield line[5:].strip()


def body_of(response: bytes) -> bytes:
    """The body of a response, as far as it came."""
    head, _, body = response.partition(b"\r\n\r\n")
    return _dechunked(body) if b"chunked" in head.lower() else body


def _dechunked(body: bytes) -> bytes:
    pieces, at = [], 0
    while (end := body.find(b"\r\n", at)) > 0:
        size = int(body[at:end].split(b";")[0], 16)
        pieces.append(body[end + 2 : end + 2 + size])
        at = end + 4 + size
    return b"".join(pieces)


class Connection(asyncio.Protocol):
    """A keep-alive connection that has one stream at a time."""

    def __init__(self, on_end: Callable[["Connection"], None]) -> None:
        self._on_end = on_end
        self.stream: Stream | None = None
        self.first_token: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def send(self, stream: Stream, request: bytes) -> None:
        """Ask the stream's question; `on_end` is called when the response is over."""
        self.stream = stream
        self._head = b""
        self._chunked = False
        self._left = -1  # bytes of a body with a length; -1 before the head has come
        stream.asked_at = time.monotonic()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        if self.stream is None:
            return
        self.stream.reads.append((time.monotonic(), data))
        if self._left < 0 and not self._chunked:
            self._read_head(data)
        elif self._left > 0:
            self._left -= len(data)
        if self._left == 0 or (self._chunked and self._has_ended(data)):
            self._end("")

    def _read_head(self, data: bytes) -> None:
        self._head += data
        head, end, body = self._head.partition(b"\r\n\r\n")
        if not end:
            return
        assert self.stream is not None
        if not head.startswith(b"HTTP/1.1 200"):
            self.stream.error = head[9:12].decode("latin-1")
        self._chunked = b"\r\ntransfer-encoding: chunked" in head.lower()
        if length := _CONTENT_LENGTH.search(head):
            self._left = int(length[1]) - len(body)

    def _has_ended(self, data: bytes) -> bool:
        if len(data) < len(_LAST_CHUNK):  # the end itself may be split over reads
            assert self.stream is not None
            data = b"".join(data for _, data in self.stream.reads[-len(_LAST_CHUNK) :])
        return data.endswith(_LAST_CHUNK)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end("closed")

    def _end(self, error: str) -> None:
        if self.stream is not None:
            self.stream.error = self.stream.error or error
            self.stream = None
            self._on_end(self)


class Client:
    """Asks one gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.dialect = gateway.target.dialect
        self._asked = 0
        self.streams: list[Stream] = []

    def new_stream(self, model: str) -> tuple[Stream, bytes]:
        """A question to `model` with a tag of its own, and its request."""
        self._asked += 1
        stream = Stream(f"q{self._asked}", 0.0)
        self.streams.append(stream)
        return stream, self.dialect.request(
            self._gateway.port, model, stream.tag, self._gateway.api_key
        )

    async def connect(self, on_end: Callable[[Connection], None]) -> Connection:
        """A new connection to the gateway."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(20):
            _, connection = await loop.create_connection(
                lambda: Connection(on_end), "127.0.0.1", self._gateway.port
            )
        return connection

    async def ask(
        self, model: str, count: int, *, at_a_time: int, ramp: float = 0.0, most_seconds: float
    ) -> float:
        """Ask `count` questions over `at_a_time` connections, opened evenly within `ramp` seconds.

        Streams that still run after `most_seconds` are cut. Returns the seconds it took.
        """
        began = time.monotonic()
        left = count
        try:
            async with asyncio.timeout(most_seconds), asyncio.TaskGroup() as group:

                async def ask_in_turn(number: int) -> None:
                    nonlocal left
                    await asyncio.sleep(ramp * number / at_a_time)
                    ended = asyncio.Event()
                    connection = None
                    try:
                        while left > 0:
                            left -= 1
                            if connection is None or connection.transport.is_closing():
                                connection = await self.connect(lambda _: ended.set())
                            ended.clear()
                            connection.send(*self.new_stream(model))
                            await ended.wait()
                    finally:
                        if connection is not None:
                            if connection.stream is not None:
                                connection.stream.cut = True
                            connection.transport.abort()

                for number in range(at_a_time):
                    group.create_task(ask_in_turn(number))
        except TimeoutError:
            pass
        return time.monotonic() - began


def percentile(values: list[float], percent: float) -> float:
    """The value below which `percent` % of them lie; not a number if there are none."""
    if not values:
        return math.nan
    return sorted(values)[min(len(values) - 1, int(len(values) * percent / 100))]


@dataclass
class Outcome:
    """What came of the streams of a measurement."""

    right: int = 0  # complete, with the right text
    cut: int = 0  # right as far as they came
    wrong: int = 0  # a text that is not the beginning of the right one
    errors: dict[str, int] = field(default_factory=dict)
    tokens: int = 0  # with the right text, those of cut streams included
    first_token_ms: list[float] = field(default_factory=list)
    gaps_ms: list[float] = field(default_factory=list)


def outcome_of(
    streams: list[Stream], dialect: Dialect, expected: Callable[[str], list[str]]
) -> Outcome:
    """Check each text against the tokens that `expected` names for its tag."""
    outcome = Outcome()
    for stream in streams:
        if stream.error:
            outcome.errors[stream.error] = outcome.errors.get(stream.error, 0) + 1
            continue
        try:
            received = stream.text(dialect)
        except (ValueError, KeyError):
            outcome.wrong += 1
            continue
        tokens = expected(stream.tag)
        whole = "".join(tokens)
        if received == whole:
            outcome.right += 1
        elif not whole.startswith(received):
            outcome.wrong += 1
            continue
        elif stream.cut:
            outcome.cut += 1
        else:
            outcome.errors["ended early"] = outcome.errors.get("ended early", 0) + 1
            continue
        outcome.tokens += _token_count(received, tokens)
        times = stream.token_times(dialect)
        if times:
            outcome.first_token_ms.append(1000 * (times[0] - stream.asked_at))
        outcome.gaps_ms += [1000 * (b - a) for a, b in pairwise(times)]
    return outcome


def _token_count(received: str, tokens: list[str]) -> int:
    length, count = 0, 0
    for token in tokens:
        length += len(token)
        if length > len(received):
            break
        count += 1
    return count
