"""The store as a whole: opened, reported on, migrated and closed.

The file itself is opened, looked at and migrated by `file.py`; here its threads are started and
ended.
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

# Seconds for a ping. Whoever asks whether we are ready has not much longer: a balancer, a person.
_PING_SECONDS = 1.0


class SQLiteLifecycle(SQLiteConnection, StoreLifecycle):
    """What happens to the store before and after all its other operations."""

    async def open(self, *, beside: bool = False) -> None:
        try:
            opened = functools.partial(self._file.open, beside=beside)
            writing, reading = await self._in_thread(opened)
        except BaseException:  # whoever left while it was opened closes nothing
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
        if not beside:
            self._integrity_monitor = IntegrityMonitor(
                self.path, self._is_damaged, self._file.lock.is_in_place
            )

    async def report(self) -> StoreReport:
        try:
            return await self._in_thread(self._file.report)
        finally:
            await self.close()

    async def migrate(self, say: Callable[[str], None]) -> bool:
        try:
            return await self._in_thread(functools.partial(self._file.migrate, say))
        finally:
            await self.close()

    async def close(self) -> None:
        try:
            await self._in_thread(self._close)
        except RuntimeError:  # the thread has ended: closed before
            return
        self._thread.shutdown()

    async def ping(self) -> None:
        if self._damage is not None:
            raise self._failed(self._damage)
        await self._opened(self._writer).run("ping", self._try, queue_timeout=_PING_SECONDS)
        self._in_doubt = False

    async def _in_thread(self, work: Callable[[], T]) -> T:
        """Have `work` done in the storage's thread, and wait for it."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _try(self) -> None:
        """Write a page and change nothing, where there is doubt.

        Whether there is room on the disk only writing tells: that costs an fsync, and so is done
        where something has just failed, nothing was tried yet, or little room is left.
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
        # What a thread that hangs still uses is left to the process's end.
        if looked and written and read:
            self._file.close()
