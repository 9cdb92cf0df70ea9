"""Sends an answer to a reader as it grows, until its end or until the reader disconnects."""

import asyncio
import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http import HTTPStatus
from typing import Any

from tornado.iostream import StreamClosedError

from handlers.chunked_handler import ChunkedHandler
from handlers.wires import native
from handlers.wires.wire import Wire
from relay.answer import Answer, length
from relay.errors import (
    AnswerElsewhere,
    InternalError,
    Overloaded,
    RelayError,
    TooMuchUnread,
)
from relay.reader import Reader
from relay.unsent_budget import FREE_BYTES

# Milliseconds over which reconnecting clients are spread: a thousand are 250 a second.
_SPREAD_MS = (1000, 5000)


class StreamingHandler(ChunkedHandler):
    """A handler that reads an answer; its disconnect may cancel the provider's call.

    Growth is written by `_push`, in the call stack that brought it, while the handler's task waits
    for growth and its socket takes what is written. Everything else is written by the task.
    """

    wire: Wire = native  # the client's protocol
    last_write_at = 0.0
    _reader: Reader | None = None

    def on_disconnect(self) -> None:
        """The client has disconnected: stop reading, also if the reader comes later."""
        super().on_disconnect()
        if self._reader is not None:
            self._reader.disconnect()

    @property
    def is_writing(self) -> bool:
        """Whether something that was written has not left this process yet."""
        return self.connection_stream.writing()

    def heartbeat(self) -> None:
        """Send a heartbeat."""
        if self._reader is not None:
            self._reader.heartbeat()

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        """Tornado's method. A response that has begun is broken off: with an end it would look
        whole.
        """
        if self._headers_written:
            self.connection_stream.close()
            if not self._finished:
                self.finish()
            return
        super().send_error(status_code, **kwargs)

    async def follow(self, answer: Answer, position: int = 0) -> None:
        """Send the answer from `position` on until its end, or until the client disconnects."""
        self.write_stream_headers()
        with (
            self.reading(answer, position) as reader,
            self.services.event_streams.opened(self),
            suppress(StreamClosedError),  # a disconnect while writing is as ordinary as any other
        ):
            try:
                await self._send(reader)
            except (Overloaded, TooMuchUnread) as error:
                # There is no room for an event that is longer than one write.
                self.log_exception(type(error), error, None)
                await self._cut_off(error)
            except StreamClosedError:
                raise
            except Exception as error:  # noqa: BLE001 - the response must not end as if it were whole
                self.log_exception(type(error), error, error.__traceback__)
                await self._cut_off(InternalError())
            if self.request.version == "HTTP/1.0":
                self.connection_stream.close()  # which marks the end for such a client
        self.close_if_disconnected()

    def send_reconnect(self) -> None:
        """Send a stream that has a `retry` field only: the client reconnects in a moment."""
        self.write_stream_headers()
        self.write(self.wire.reconnect(_a_moment()))

    def stop_reconnecting(self) -> None:
        """Send 204 to a client that has received the end, so that an EventSource does not
        reconnect.
        """
        self.set_status(HTTPStatus.NO_CONTENT)

    @contextmanager
    def reading(self, answer: Answer, position: int = 0) -> Iterator[Reader]:
        """Read the answer within this block, which a disconnect of the client brings to an end."""
        with self.services.relay.reader(answer, position) as reader:
            self._reader = reader
            if self.disconnected:
                reader.disconnect()
            try:
                yield reader
            finally:
                reader.push = None
                self._reader = None  # or the request would hold the answer for as long as it lives

    async def _send(self, reader: Reader) -> None:
        answer, wire = reader.answer, self.wire
        loop = asyncio.get_running_loop()
        self.write(self.wire.begin(answer))
        if reader.is_ahead:
            await self._reset(reader, loop)
        await self._flush(loop)
        reader.push = partial(self._push, loop)
        while (pieces := await reader.growth()) is not None:
            position = reader.position - length(pieces)
            data = wire.growth(answer, position, pieces) if pieces else wire.heartbeat()
            if len(data) > FREE_BYTES:
                await self._write_long(data, loop)
                continue
            self.write(data)
            del data, pieces  # so that it is in memory once while it waits to be read
            await self._flush(loop)
        if self.disconnected:
            return
        if reader.is_ahead:
            await self._reset(reader, loop)
        if answer.ending is None:
            await self._cut_off(AnswerElsewhere())
            return
        if self.services.relay.is_draining:
            self.write(wire.reconnect(_a_moment()))
        self.write(wire.end(answer, reader.position, self.request_id))
        await self._flush(loop)

    async def _cut_off(self, error: RelayError) -> None:
        self.write(self.wire.cut_off(_a_moment(), error, self.request_id))
        await self.flush()

    def _push(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Write growth for the waiting reader. False: its task has something to do."""
        reader, stream = self._reader, self.connection_stream
        if reader is None or stream.closed():
            return False
        if stream.writing():
            return True  # it is woken when all of that was sent, and the growth is longer then
        position = reader.position
        pieces = reader.take()
        if not pieces:
            return False
        data = self.wire.growth(reader.answer, position, pieces)
        if len(data) > FREE_BYTES:
            reader.position = position  # the task takes it again, and writes it in parts
            return False
        self.write(data)
        self.last_write_at = loop.time()
        written = self.flush()
        if not written.done():
            written.add_done_callback(lambda _: reader.wake())
            return True
        return reader.is_level

    async def _reset(self, reader: Reader, loop: asyncio.AbstractEventLoop) -> None:
        kept = reader.answer.snapshot()
        reader.position = kept.position
        for data in self.wire.reset(kept):
            if self.disconnected:
                return
            await self._write_long(data, loop)

    async def _write_long(self, data: bytes, loop: asyncio.AbstractEventLoop) -> None:
        """Write what may be longer than one write, such as an image that is one event."""
        with self.services.relay.unsent_budget.holding(self.user, len(data)):
            for start in range(0, len(data), FREE_BYTES):
                self.write(data[start : start + FREE_BYTES])
                await self._flush(loop)

    async def _flush(self, loop: asyncio.AbstractEventLoop) -> None:
        self.last_write_at = loop.time()
        await self.flush()  # if the reader is slow, the next growth is longer

    def write_stream_headers(self) -> None:
        """Set the headers of an event stream."""
        self.begin_chunks()
        self.set_status(HTTPStatus.OK)
        self.set_header("Content-Type", "text/event-stream; charset=utf-8")
        self.set_header("Cache-Control", "no-cache, no-transform")
        self.set_header("X-Accel-Buffering", "no")
        stays = self.request.version != "HTTP/1.0" and not self.services.relay.is_draining
        self.set_header("Connection", "keep-alive" if stays else "close")


def _a_moment() -> int:
    """After how many milliseconds to reconnect: random, so that clients do not all come at once."""
    return random.randint(*_SPREAD_MS)
