"""Readers for benchmarks: as little code as possible between the socket and the clock."""

import asyncio
import json
import time


class Reader(asyncio.Protocol):
    """Asks one question, keeps what comes, and checks it only once it is over."""

    def __init__(self, port: int, model: str, tag: str) -> None:
        body = json.dumps({"content": f"bench {tag}", "model": f"bench/{model}"}).encode()
        self.request = (
            b"POST /api/v1/chat HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: text/event-stream\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
            % (port, len(body), body)
        )
        self.tag = tag
        self.received: list[bytes] = []
        self.started = asyncio.Event()
        self.over = asyncio.Event()
        self.first_token_seconds: float | None = None
        self.left_at: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.asked_at = time.monotonic()
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.received.append(data)
        if not self.received[0].startswith(b"HTTP/1.1 200"):
            self.transport.abort()  # refused: it will be missing among the right answers
        if not self.started.is_set() and b"event: start" in data:
            self.started.set()
        if self.first_token_seconds is None and b"event: delta" in data:
            self.first_token_seconds = time.monotonic() - self.asked_at
        if data.endswith(b"0\r\n\r\n"):
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.started.set()
        self.over.set()

    def leave(self) -> None:
        """Hang up."""
        self.left_at = time.monotonic()
        self.transport.abort()

    def answer(self) -> tuple[str, str]:
        """The text that came, and the status it ended with."""
        text, status = [], ""
        for event in _dechunked(b"".join(self.received)).split(b"\n\n"):
            data = next((line[6:] for line in event.split(b"\n") if line[:6] == b"data: "), None)
            if data is None:
                continue
            fields = json.loads(data)
            text.append(fields.get("text", ""))
            status = fields.get("status", status)
        return "".join(text), status


def _dechunked(response: bytes) -> bytes:
    _, _, rest = response.partition(b"\r\n\r\n")
    pieces = []
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        if not size or int(size, 16) == 0:
            break
        pieces.append(rest[: int(size, 16)])
        rest = rest[int(size, 16) + 2 :]
    return b"".join(pieces)


async def open_reader(port: int, model: str, tag: str) -> Reader:
    """Ask, on a connection of its own."""
    loop = asyncio.get_running_loop()
    _, reader = await loop.create_connection(lambda: Reader(port, model, tag), "127.0.0.1", port)
    return reader
