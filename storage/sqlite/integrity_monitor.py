"""Checks the SQLite file for damage, after the start and from then on.

SQLite finds damage only when a query reads the damaged page, which may be a year later. By then
every backup contains the damage.
"""

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from storage.errors import StorageError
from storage.sqlite.command_queues import HUNG_SECONDS
from storage.sqlite.errors import UnusableFile
from storage.sqlite.inspection import connect
from storage.sqlite.integrity_check import faults

log = logging.getLogger("headrace.storage")

# Seconds for one check, during which the WAL file cannot be restarted. 1.2 GB in the page cache
# took 1.1 s; from a disk it may take ten times that.
CHECK_TIMEOUT_SECONDS = 60.0

# Seconds from one check to the next, or this multiple of what the check took: it reads all of the
# file, and the disk and the core are needed for requests.
_PAUSE_SECONDS = 60.0
_PAUSES = 100


class IntegrityMonitor:
    """Checks the file at `path` in a thread of its own; `found` is called with the first damage.

    `is_served_file` returns whether that is still the file which the server has open. If another
    file has taken its place, it would be read together with this server's log, and seem damaged.
    """

    def __init__(
        self, path: Path, found: Callable[[str], None], is_served_file: Callable[[], bool]
    ) -> None:
        self._path = path
        self._found = found
        self._is_served_file = is_served_file
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sqlite look", daemon=True)
        self._thread.start()

    def close(self) -> bool:
        """Stop, and wait for the thread.

        Returns False if the thread hangs in the disk and goes on.
        """
        self._closing.set()
        self._thread.join(HUNG_SECONDS)
        return not self._thread.is_alive()

    def _run(self) -> None:
        pause = 0.0
        while not self._closing.wait(pause):
            began = time.monotonic()
            try:
                fault = self._check()
            except Exception as error:  # a bug, which must not end the monitoring unnoticed
                log.error("the database was not checked", exc_info=error)
                fault = None
            if fault is not None:
                log.warning("the database is damaged, see `server.py check`: %s", fault)
                self._found(fault)
                return
            pause = max(_PAUSE_SECONDS, _PAUSES * (time.monotonic() - began))

    def _check(self) -> str | None:
        """Return the first damage of the served file; None if there is none."""
        began = time.monotonic()
        was_served = self._is_served_file()
        found = faults_within(self._path, CHECK_TIMEOUT_SECONDS, self._closing.is_set)
        if time.monotonic() - began >= CHECK_TIMEOUT_SECONDS:
            log.info("the database was not checked to its end within %d s", CHECK_TIMEOUT_SECONDS)
        return found[0] if found and was_served and self._is_served_file() else None


def faults_within(
    file: Path, seconds: float, stop: Callable[[], bool] = lambda: False
) -> list[str] | None:
    """Check a file quickly; returns its damage, or None if that took more than `seconds`.

    The file is not written to. None is also returned for errors other than damage.
    """
    until = time.monotonic() + seconds

    def is_over() -> bool:
        return stop() or time.monotonic() > until

    try:
        with closing(connect(file, "mode=ro", is_over)) as found:
            return faults(found, thoroughly=False, stop=is_over)
    except (sqlite3.Error, UnusableFile, StorageError):
        return None
