"""What the users of a soak do, each with every text checked against what the upstream sent.

A user asks, and then reads, leaves, resumes, retries, stops, reads slowly, or meets a provider that
fails. `Wrong` is raised for a text, a status or a response that is not what it has to be.
"""

import asyncio
import json
import random
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from load import body_of
from upstream import tokens_of

_SLOW_BUFFER_BYTES = 16 * 1024
_SLOW_PAUSE_SECONDS = 0.01
# A stream that is later than this has stalled: the longest answer takes three seconds to send.
_MOST_SECONDS = 60.0


class Wrong(Exception):
    """What came is not what had to come."""


class Stream(asyncio.Protocol):
    """One request and what is received in answer to it."""

    def __init__(self, request: bytes, *, is_slow: bool = False) -> None:
        self._request = request
        self._is_slow = is_slow
        self._received: list[bytes] = []
        self._grew = asyncio.Event()
        self._deltas = 0
        self._is_over = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._received.append(data)
        self._deltas += data.count(b"event: delta")
        self._grew.set()
        if data.endswith(b"0\r\n\r\n"):
            self.transport.close()
        elif self._is_slow:
            self.transport.pause_reading()
            loop = asyncio.get_running_loop()
            loop.call_later(_SLOW_PAUSE_SECONDS, self.transport.resume_reading)

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_over = True
        self._grew.set()

    async def growths(self, count: int) -> None:
        """Wait until so many events with text have come, or the stream is over."""
        async with asyncio.timeout(_MOST_SECONDS):
            while self._deltas < count and not self._is_over:
                self._grew.clear()
                await self._grew.wait()

    async def over(self) -> None:
        """Wait until the stream is over."""
        async with asyncio.timeout(_MOST_SECONDS):
            while not self._is_over:
                self._grew.clear()
                await self._grew.wait()

    def leave(self) -> None:
        """Disconnect."""
        self.transport.abort()
        self._is_over = True

    def events(self) -> list[tuple[str, str, dict[str, Any]]]:
        """The id, name and data of each event that came whole."""
        response = b"".join(self._received)
        if not response.startswith(b"HTTP/1.1 200"):
            raise Wrong(f"response {response[:300]!r}")
        found = []
        for block in body_of(response).split(b"\n\n")[:-1]:
            lines = dict(line.split(": ", 1) for line in block.decode().split("\n"))
            if "data" in lines:
                found.append((lines.get("id", ""), lines["event"], json.loads(lines["data"])))
        return found


def text_of(events: list[tuple[str, str, dict[str, Any]]]) -> str:
    """The text of the events."""
    return "".join(data.get("text", "") for _, _, data in events)


class User:
    """Asks at `port`, by behaviours that it draws."""

    def __init__(self, port: int, chance: random.Random, name: str) -> None:
        self._port = port
        self._chance = chance
        self._name = name
        self._asked = 0
        self.refused = 0  # calls with 503: MongoDB deletes two conversations at a time
        self.behaviours: dict[str, Callable[[], Awaitable[None]]] = {
            "read": self.read,
            "leave": self.leave,
            "resume": self.resume,
            "retry": self.retry,
            "stop": self.stop,
            "read slowly": self.read_slowly,
            "cut upstream": self.cut_upstream,
            "refused upstream": self.refused_upstream,
            "two readers": self.two_readers,
        }

    async def read(self) -> None:
        """Read an answer and one to a further question, and delete the conversation."""
        tag = self._tag()
        stream = await self._ask("paced-30-10", tag)
        events = await self._whole(stream, tokens_of(tag, 30))
        conversation = str(events[0][2]["conversation_id"])
        tag = self._tag()
        stream = await self._ask("essay-60-5", tag, conversation_id=conversation)
        await self._whole(stream, tokens_of(tag, 60, "essay"))
        status, response = await self._call("DELETE", f"/api/v1/conversations/{conversation}")
        if status != 204:
            raise Wrong(f"deleted with {response!r}")

    async def leave(self) -> None:
        """Disconnect in the middle; what was read is the beginning of what is stored."""
        tag = self._tag()
        stream = await self._ask("paced-200-20", tag)
        await stream.growths(self._chance.randrange(1, 20))
        stream.leave()
        seen = stream.events()
        if not seen:
            return
        stored = await self._resume(seen[0][2]["answer_id"])
        await stored.over()
        text = text_of(stored.events())
        _starts("stored", text, text_of(seen))
        _starts("sent", "".join(tokens_of(tag, 200)), text)
        _ended(stored.events(), "abandoned", "complete")

    async def resume(self) -> None:
        """Disconnect and resume twice: nothing is missing and nothing comes twice."""
        tag = self._tag()
        stream = await self._ask("paced-80-10", tag, on_disconnect={"grace": 30})
        text, answer, last = "", "", ""
        for _ in range(2):
            await stream.growths(self._chance.randrange(1, 15))
            stream.leave()
            events = stream.events()
            text += text_of(events)
            ids = [event_id for event_id, _, _ in events if event_id]
            last = ids[-1] if ids else last
            answer = answer or events[0][2]["answer_id"]
            if last.endswith("-end"):
                break
            stream = await self._resume(answer, last)
        else:
            await stream.over()
            events = stream.events()
            text += text_of(events)
        _ended(events, "complete")
        _same("resumed", "".join(tokens_of(tag, 80)), text)

    async def retry(self) -> None:
        """Lose the response and ask again with the same key."""
        tag = self._tag()
        lost = await self._ask("paced-30-10", tag, key=tag)
        if self._chance.random() < 0.5:
            await lost.growths(1)
        lost.leave()
        await self._whole(await self._ask("paced-30-10", tag, key=tag), tokens_of(tag, 30))

    async def stop(self) -> None:
        """Stop an answer: the stream ends with what is stored."""
        tag = self._tag()
        stream = await self._ask("paced-300-20", tag)
        await stream.growths(self._chance.randrange(1, 20))
        answer = stream.events()[0][2]["answer_id"]
        status, response = await self._call("POST", f"/api/v1/answers/{answer}/stop")
        if status not in (200, 202):
            raise Wrong(f"stopped with {response!r}")
        await stream.over()
        _ended(stream.events(), "stopped", "complete")
        text = text_of(stream.events())
        _starts("stopped", "".join(tokens_of(tag, 300)), text)
        stored = await self._resume(answer)
        await stored.over()
        _same("stopped and stored", text, text_of(stored.events()))

    async def read_slowly(self) -> None:
        """Read 400 KB through a small window, with pauses."""
        tag = self._tag()
        stream = await self._ask("long-400-0", tag, is_slow=True)
        await self._whole(stream, tokens_of(tag, 400, "long"))

    async def cut_upstream(self) -> None:
        """The provider's connection breaks: the reader gets all that came before, and an error."""
        tag = self._tag()
        stream = await self._ask("cut-20-5", tag)
        await stream.over()
        _ended(stream.events(), "failed")
        _same("cut", "".join(tokens_of(tag, 20)), text_of(stream.events()))

    async def refused_upstream(self) -> None:
        """The provider answers with an error."""
        stream = await self._ask("refused", self._tag())
        await stream.over()
        _ended(stream.events(), "failed")

    async def two_readers(self) -> None:
        """A second reader joins; the first one leaves, and the answer goes on."""
        tag = self._tag()
        first = await self._ask("paced-60-10", tag)
        await first.growths(self._chance.randrange(1, 10))
        second = await self._resume(first.events()[0][2]["answer_id"])
        await second.growths(1)
        first.leave()
        await self._whole(second, tokens_of(tag, 60))

    async def _whole(
        self, stream: Stream, tokens: list[str]
    ) -> list[tuple[str, str, dict[str, Any]]]:
        await stream.over()
        events = stream.events()
        _ended(events, "complete")
        _same("read", "".join(tokens), text_of(events))
        return events

    def _tag(self) -> str:
        self._asked += 1
        return f"{self._name}.{self._asked}"

    async def _ask(
        self, model: str, tag: str, *, is_slow: bool = False, key: str = "", **fields: object
    ) -> Stream:
        body = {"content": f"soak {tag}", "model": f"bench/{model}", **fields}
        headers = f"Idempotency-Key: {key}\r\n" if key else ""
        request = self._request("POST", "/api/v1/chat", headers, json.dumps(body))
        return await self._open(request, is_slow=is_slow)

    async def _resume(self, answer: str, last: str = "") -> Stream:
        headers = f"Last-Event-ID: {last}\r\n" if last else ""
        return await self._open(self._request("GET", f"/api/v1/answers/{answer}/events", headers))

    async def _call(self, method: str, path: str) -> tuple[int, bytes]:
        """One request on a connection of its own; 503 says to come again a little later."""
        status, response = 503, b""
        async with asyncio.timeout(_MOST_SECONDS):
            while status == 503:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                writer.write(self._request(method, path, "Connection: close\r\n"))
                response = await reader.read()
                writer.close()
                status = int(response[9:12])
                if status == 503:
                    self.refused += 1
                    await asyncio.sleep(1)
        return status, response

    def _request(self, method: str, path: str, headers: str = "", body: str = "") -> bytes:
        content = body.encode()
        return (
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n{headers}"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        ).encode() + content

    async def _open(self, request: bytes, *, is_slow: bool = False) -> Stream:
        connection = socket.socket()
        connection.setblocking(False)
        if is_slow:  # has to be set before the connection is made, which agrees on the window
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SLOW_BUFFER_BYTES)
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(_MOST_SECONDS):
            await loop.sock_connect(connection, ("127.0.0.1", self._port))
            _, stream = await loop.create_connection(
                lambda: Stream(request, is_slow=is_slow), sock=connection
            )
        return stream


def _same(what: str, expected: str, text: str) -> None:
    if text != expected:
        raise Wrong(f"{what}: {len(text)} characters for {len(expected)}: {text[-60:]!r}")


def _starts(what: str, whole: str, text: str) -> None:
    if not whole.startswith(text):
        raise Wrong(f"{what}: {text[-60:]!r} is no beginning of it")


def _ended(events: list[tuple[str, str, dict[str, Any]]], *statuses: str) -> None:
    status = events[-1][2].get("status") if events else None
    if status not in statuses:
        raise Wrong(f"ended as {status}, not {statuses}: {events[-1:]}")
