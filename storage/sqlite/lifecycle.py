"""The store as a whole: opened, reported on, migrated and closed.

`file.py` does this with the file; this module starts and ends the threads.
"""

import asyncio
import functools
from collections.abc import Callable
from typing import TypeVar

from storage.contract import StoreLifecycle
from storage.errors import Reason, StorageError
from storage.sqlite.connection import SQLiteConnection
from storage.sqlite.integrity_monitor import IntegrityMonitor
from storage.sqlite.readers import Readers
from storage.sqlite.writer import Writer
from storage.values import StoreReport

T = TypeVar("T")

# Seconds for a ping. A load balancer or a person that asks for readiness does not wait much longer.
_PING_SECONDS = 1.0


class SQLiteLifecycle(SQLiteConnection, StoreLifecycle):
    """Opens, reports on, migrates, pings and closes the store."""

    async def open(self, *, without_lease: bool = False) -> None:
        try:
            opened = functools.partial(self._file.open, without_lease=without_lease)
            writing, reading = await self._in_thread(opened)
        except BaseException:  # a caller that was cancelled while it was opened does not close it
            await self.close()
            raise
        self._writer = Writer(
            writing,
            enter=self._enter,
            check=self._file.lock.check,
            tidy=functools.partial(self._file.tidy, writing),
            failed=self._failed,
        )
        self._readers = Readers(reading, enter=self._enter, failed=self._failed)
        if not without_lease:
            self._integrity_monitor = IntegrityMonitor(
                self.path, self._is_damaged, self._file.lock.is_in_place
            )

    async def report(self) -> StoreReport:
        try:
            return await self._in_thread(self._file.report)
        finally:
            await self.close()

    async def migrate(self, write_line: Callable[[str], None]) -> bool:
        try:
            return await self._in_thread(functools.partial(self._file.migrate, write_line))
        finally:
            await self.close()

    async def close(self) -> None:
        try:
            await self._in_thread(self._close)
        except RuntimeError:  # the thread has ended: it was closed before
            return
        self._thread.shutdown()

    async def ping(self) -> None:
        if self._damage is not None:
            raise self._failed(self._damage)
        await self._opened(self._writer).run("ping", self._try, queue_timeout=_PING_SECONDS)
        self._in_doubt = False

    async def _in_thread(self, work: Callable[[], T]) -> T:
        """Run `work` in the thread that opens and closes the file, and wait for it."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _try(self) -> None:
        """Write a page without changing anything, if there is doubt whether writing works.

        Only writing tells whether there is space on the disk. That costs an fsync, so it is done
        only after a failure, before the first write, or if the disk is nearly full.
        """
        if self._in_doubt or self._file.seems_full():
            (version,) = self._database.execute("PRAGMA user_version").fetchone()
            self._database.execute(f"PRAGMA user_version = {version}")

    def _is_damaged(self, fault: str) -> None:
        self._damage = StorageError(f"{self.path} is damaged: {fault}", reason=Reason.CORRUPT)

    def _close(self) -> None:
        looked = self._integrity_monitor is None or self._integrity_monitor.close()
        written = self._writer is None or self._writer.close()
        read = self._readers is None or self._readers.close()
        # What a hanging thread still uses is released when the process ends.
        if looked and written and read:
            self._file.close()
