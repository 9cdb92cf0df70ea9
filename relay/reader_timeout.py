"""Decides how long an answer goes on without readers: not at all, for some seconds, or to its end.

Readers may be at this process or at another one, which stores that about once a second. So when a
timeout expires here, the peer requests are read again, for all such answers together, before any of
them is abandoned.
"""

import asyncio
import logging
from typing import Protocol

from model.messages import Status
from relay.answer import Answer
from relay.upstream_call import UpstreamCall
from storage.errors import StorageError

log = logging.getLogger("headrace.relay")


class Peers(Protocol):
    """Knows which answers of this process are read at other processes."""

    async def poll(self) -> None:
        """Report to each answer whether it is followed now. Raises StorageError."""


class ReaderTimeout:
    """Cancels one answer as ABANDONED when it has had no reader for `grace_seconds`.

    0 means as soon as its last reader disconnects, None means never. The time begins when a reader
    disconnects or is expected: an answer that had no reader and expects none goes on.
    """

    __slots__ = (
        "_answer",
        "_expected_until",
        "_grace_seconds",
        "_timer",
        "_unread",
        "_upstream",
        "is_followed",
    )

    def __init__(
        self,
        answer: Answer,
        upstream: UpstreamCall,
        grace_seconds: float | None,
        unread: "UnreadAnswers",
    ) -> None:
        self.is_followed = False  # it has readers at another process
        self._answer = answer
        self._upstream = upstream
        self._grace_seconds = grace_seconds
        self._unread = unread
        self._timer: asyncio.TimerHandle | None = None
        self._expected_until = 0.0  # by the loop's clock: until then a reader may connect

    @property
    def is_running(self) -> bool:
        """Whether a reader is waited for."""
        return self._timer is not None

    @property
    def is_read(self) -> bool:
        """Whether the answer has readers, here or at another process."""
        return self.is_followed or self._answer.readers > 0

    def expect_reader(self, seconds: float) -> None:
        """Wait so long for a first reader, unless the answer goes on without any."""
        self._expected_until = asyncio.get_running_loop().time() + seconds
        self.reader_disconnected()

    def reader_connected(self) -> None:
        """A reader connected: the answer goes on as long as it reads."""
        self._expected_until = 0.0
        self.stop()

    def reader_disconnected(self) -> None:
        """A reader disconnected: if it was the last one, the time begins."""
        if self._grace_seconds is None or self.is_read or self._upstream.is_over:
            return
        loop = asyncio.get_running_loop()
        seconds = max(self._grace_seconds, self._expected_until - loop.time())
        if seconds == 0:
            self._upstream.cancel(Status.ABANDONED)
            return
        self.stop()
        self._timer = loop.call_later(seconds, self._unread.add, self)

    def follow(self, is_followed: bool) -> None:
        """Whether it is read at another process has changed."""
        if is_followed == self.is_followed:
            return
        self.is_followed = is_followed
        if is_followed:
            self.reader_connected()
        else:
            self.reader_disconnected()

    def abandon_if_over(self) -> None:
        """Cancel the answer if the current wait is over: a reader may have come and gone since."""
        if self.is_read or self._timer is None:
            return
        if self._timer.when() <= asyncio.get_running_loop().time():
            self._upstream.cancel(Status.ABANDONED)

    def stop(self) -> None:
        """Stop waiting."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class UnreadAnswers:
    """The answers of this process whose reader timeout has expired."""

    def __init__(self, peers: Peers) -> None:
        self._peers = peers
        self._timeouts: list[ReaderTimeout] = []
        self._abandoning: asyncio.Task[None] | None = None
        self._is_paused = False

    @property
    def is_polling(self) -> bool:
        """Whether the peer requests are being read for some of them."""
        return self._abandoning is not None and not self._abandoning.done()

    def add(self, timeout: ReaderTimeout) -> None:
        """Abandon the answer, unless it turns out to be read at another process."""
        if self._is_paused:
            return
        self._timeouts.append(timeout)
        if not self.is_polling:
            self._abandoning = asyncio.create_task(self._abandon())

    def pause(self) -> None:
        """Abandon none from now on: while this process drains, readers cannot come back to it."""
        self._is_paused = True

    async def close(self) -> None:
        """Stop reading the peer requests."""
        if self._abandoning is not None:
            self._abandoning.cancel()
            await asyncio.wait({self._abandoning})

    async def _abandon(self) -> None:
        while timeouts := self._timeouts:
            self._timeouts = []
            try:
                await self._peers.poll()
            except StorageError:
                pass  # the last known peer requests have to do
            except (
                Exception
            ) as error:  # a bug, which must not let these answers go on without readers
                log.error("peer requests not read", exc_info=error)
            for timeout in timeouts:
                try:
                    timeout.abandon_if_over()
                except Exception as error:  # a bug, which must not let the others go on either
                    log.error("answer not abandoned properly", exc_info=error)
