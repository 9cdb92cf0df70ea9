"""Looks through the SQLite file, behind a start and from then on: is it whole?

SQLite reads what it is asked for, and so meets damage when somebody asks for what is damaged, which
may be in a year. By then no backup is without it.
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
from storage.sqlite.inspection import connect, faults

log = logging.getLogger("headrace.storage")

# Seconds for one check. As long as it reads, the WAL file cannot be restarted. 1.2 GB took 1.1 s
# where they were in memory; a disk may need ten times that.
CHECK_TIMEOUT_SECONDS = 60.0

# Seconds from one look to the next, or so many times what the look took: it reads all of the file,
# and the disk and a core are there for others.
_PAUSE_SECONDS = 60.0
_PAUSES = 100


class IntegrityMonitor:
    """Looks through the file at `path`, in a thread of its own; `found` is told what is wrong.

    `is_served_file` says whether that is the file which is served: of another one in its place,
    read with
    what is in our log, it would tell damage that is none.
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
        """Look no more. Blocks. False: the thread hangs in the disk, and stays there."""
        self._closing.set()
        self._thread.join(HUNG_SECONDS)
        return not self._thread.is_alive()

    def _run(self) -> None:
        pause = 0.0
        while not self._closing.wait(pause):
            began = time.monotonic()
            try:
                fault = self._check()
            except Exception as error:  # a bug, which must not end the monitoring in silence
                log.error("the database was not checked", exc_info=error)
                fault = None
            if fault is not None:
                log.warning("the database is damaged, see `server.py check`: %s", fault)
                self._found(fault)
                return
            pause = max(_PAUSE_SECONDS, _PAUSES * (time.monotonic() - began))

    def _check(self) -> str | None:
        """Damage to the served file, if there is any."""
        began = time.monotonic()
        was_served = self._is_served_file()
        found = faults_within(self._path, CHECK_TIMEOUT_SECONDS, self._closing.is_set)
        if time.monotonic() - began >= CHECK_TIMEOUT_SECONDS:
            log.info("the database was not looked through: not done in %d s", CHECK_TIMEOUT_SECONDS)
        return found[0] if found and was_served and self._is_served_file() else None


def faults_within(
    file: Path, seconds: float, stop: Callable[[], bool] = lambda: False
) -> list[str] | None:
    """What a quick look finds wrong with a file; None if it could not be ended within `seconds`.

    The file is not written to. Other errors than damage are left to whoever meets them: none here.
    """
    until = time.monotonic() + seconds

    def is_over() -> bool:
        return stop() or time.monotonic() > until

    try:
        with closing(connect(file, "mode=ro", is_over)) as found:
            return faults(found, thoroughly=False, stop=is_over)
    except (sqlite3.Error, UnusableFile, StorageError):
        return None
