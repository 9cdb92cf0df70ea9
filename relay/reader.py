"""A reader is a cursor on an answer: streaming, resuming and replaying differ in where it begins.

It waits for growth in a task of its own, or has it pushed in the call stack that brought it.
"""

import asyncio
from collections.abc import Callable

from model.growth import Piece
from model.messages import Ending
from relay.answer import MAX_EVENT_CHARS, Answer, length


class Reader:
    """A cursor on an answer, which reads at its own pace.

    push: called when a reader that waits in `growth` is woken. It may `take` growth, and returns
        True if the reader is to go on waiting. If it raises, `growth` raises that.
    """

    def __init__(self, answer: Answer, position: int = 0) -> None:
        self.answer = answer
        self.position = position
        self.disconnected = False
        self.push: Callable[[], bool] | None = None
        self._beat_due = False
        self._waiter: asyncio.Future[Exception | None] | None = None

    @property
    def is_ahead(self) -> bool:
        """Whether the reader has received more than the answer has, and will have as far as is
        known.
        """
        answer = self.answer
        return self.position > answer.position and (
            answer.ending is not None or not answer.is_remote
        )

    @property
    def is_level(self) -> bool:
        """Whether the reader has read all that there is of an answer that goes on."""
        answer = self.answer
        return self.position >= answer.position and answer.ending is None

    def take(self) -> list[Piece]:
        """Return the growth beyond the position, and move on past it; empty if there is none."""
        pieces = self.answer.beyond(self.position, MAX_EVENT_CHARS)
        if pieces:
            self.position += length(pieces)
            self._beat_due = False  # these keep the connection alive as well
        return pieces

    async def growth(self) -> list[Piece] | None:
        """What `take` returns, once there is something.

        An empty list says that a heartbeat is due and nothing grew. None says that nothing more
        will come.
        """
        while not self.disconnected:
            if pieces := self.take():
                return pieces
            if self.answer.ending is not None:
                return None
            if self._beat_due:
                self._beat_due = False
                return []
            self._waiter = asyncio.get_running_loop().create_future()
            if (error := await self._waiter) is not None:
                raise error
        return None

    async def ended(self) -> Ending | None:
        """Wait for the end without reading; None if the reader disconnected before."""
        while not self.disconnected:
            if self.answer.ending is not None:
                return self.answer.ending
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return None

    def wake(self) -> None:
        """Make a waiting `growth` check for growth. It raises nothing: see `FanOut`."""
        waiter = self._waiter
        if waiter is None or waiter.done():
            return
        try:
            if self.disconnected or self.push is None or not self.push():
                waiter.set_result(None)
        except Exception as error:  # noqa: BLE001 - its own task gets it, and nobody else
            waiter.set_result(error)

    def heartbeat(self) -> None:
        """Have `growth` return an empty list unless there is growth."""
        self._beat_due = True
        self.wake()

    def disconnect(self) -> None:
        """Read no more: `growth` returns None, now or when it is called next."""
        self.disconnected = True
        self.wake()
