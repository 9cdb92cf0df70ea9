"""A request whose sender is watched: what nobody waits for any more need not be done."""

import asyncio
from collections.abc import Coroutine
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

from handlers.base import BaseHandler

T = TypeVar("T")


class DisconnectAwareHandler(BaseHandler):
    """Notices that its sender has left."""

    disconnected = False
    _task: asyncio.Task[Any] | None = None

    def on_connection_close(self) -> None:
        """Tornado's hook."""
        self.on_disconnect()

    def watching_for_disconnect(self) -> AbstractContextManager[None]:
        """While this block runs, `on_disconnect` is called should the sender hang up."""
        stream = self.connection_stream
        if stream.closed():
            self.on_disconnect()
            return nullcontext()
        return self.services.disconnects.watching(stream.socket.fileno(), self.on_disconnect)

    def on_disconnect(self) -> None:
        """The sender is gone."""
        self.disconnected = True
        if self._task is not None:
            self._task.cancel()

    async def unless_disconnected(self, doing: Coroutine[Any, Any, T]) -> T | None:
        """What comes of `doing`; None if the sender left meanwhile: it is cancelled then.

        Within `watching_for_disconnect`. A task of its own: Tornado's must not be cancelled.
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
        """Half a connection is no connection: a peer that closed only its side learns it so."""
        if self.disconnected:
            self.connection_stream.close()
