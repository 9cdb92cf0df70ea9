"""The base of handlers that notice when their client disconnects."""

import asyncio
from collections.abc import Coroutine
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

from handlers.base import BaseHandler

T = TypeVar("T")


class DisconnectAwareHandler(BaseHandler):
    """A handler that can stop work when its client disconnects."""

    disconnected = False
    _task: asyncio.Task[Any] | None = None

    def on_connection_close(self) -> None:
        """Tornado's hook."""
        self.on_disconnect()

    def watching_for_disconnect(self) -> AbstractContextManager[None]:
        """While this block runs, `on_disconnect` is called if the client disconnects."""
        stream = self.connection_stream
        if stream.closed():
            self.on_disconnect()
            return nullcontext()
        return self.services.disconnects.watching(stream.socket.fileno(), self.on_disconnect)

    def on_disconnect(self) -> None:
        """The client has disconnected."""
        self.disconnected = True
        if self._task is not None:
            self._task.cancel()

    async def unless_disconnected(self, doing: Coroutine[Any, Any, T]) -> T | None:
        """Return the result of `doing`, or None if the client disconnects first, which cancels it.

        For use within `watching_for_disconnect`. `doing` gets a task of its own, since Tornado's
        must not be cancelled.
        """
        self._task = task = asyncio.create_task(doing)
        if self.disconnected:
            task.cancel()
        try:
            return await task
        except asyncio.CancelledError:
            if not self.disconnected:
                raise
            self.close_if_disconnected()
            return None
        finally:
            self._task = None

    def close_if_disconnected(self) -> None:
        """Close our side as well, for a client that closed only its sending side."""
        if self.disconnected:
            self.connection_stream.close()
