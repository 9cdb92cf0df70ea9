"""A request whose sender is watched: what nobody waits for any more need not be done."""

import asyncio
from collections.abc import Coroutine
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

from handlers.base import BaseHandler

T = TypeVar("T")


class WatchedHandler(BaseHandler):
    """Notices that its sender has left."""

    left = False
    _waits_for: asyncio.Task[Any] | None = None

    def on_connection_close(self) -> None:
        """Tornado's hook."""
        self.leave()

    def watched(self) -> AbstractContextManager[None]:
        """While this block runs, `leave` is called should the sender hang up."""
        stream = self.connection_stream
        if stream.closed():
            self.leave()
            return nullcontext()
        return self.services.disconnects.watching(stream.socket.fileno(), self.leave)

    def leave(self) -> None:
        """The sender is gone."""
        self.left = True
        if self._waits_for is not None:
            self._waits_for.cancel()

    async def unless_they_leave(self, doing: Coroutine[Any, Any, T]) -> T | None:
        """What comes of `doing`, within `watched`. None if the sender left: it is cancelled then.

        A task of its own: Tornado's must not be cancelled.
        """
        self._waits_for = task = asyncio.create_task(doing)
        if self.left:
            task.cancel()
        try:
            return await task
        except asyncio.CancelledError:
            if not self.left:
                raise
            self.hang_up_if_left()
            return None
        finally:
            self._waits_for = None

    def hang_up_if_left(self) -> None:
        """Half a connection is no connection: a peer that closed only its side learns it so."""
        if self.left:
            self.connection_stream.close()
