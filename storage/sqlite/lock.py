"""Lets one server at a time use an SQLite file, and checks that the file is still in its place.

Two locks say that a server uses the file. The lock on the file itself holds for all of its names:
symbolic and hard links, other mounts, other paths. The lock on FILE.lock beside it keeps out
servers of earlier versions, which know no other, and contains the server's process id for error
messages. The kernel releases both when the process ends, in whatever way.

When a process closes *any* descriptor of a file, it loses all of its fcntl locks on it, SQLite's
included. Another program that opens and closes the database then believes that it is the last one
and deletes the log, with what was acknowledged. So the descriptor that is locked is opened before
SQLite opens the file and closed after SQLite has closed it, and in between nothing in this process
opens the file; `stat` tells which file it is. Only on Linux are flock and fcntl independent;
elsewhere, where servers are only developed, FILE.lock has to suffice.
"""

import fcntl
import os
import time
from pathlib import Path

from storage.errors import Reason, StorageError
from storage.sqlite.lock_owner import (
    IS_LINUX,
    is_locked,
    lock_owner,
    lock_owner_in_proc,
    lock_path,
    process_id_in,
    serves_another,
)
from storage.sqlite.open_files import Identity, begin_use, end_use, identity, identity_of

# Seconds to retry a lock: `doctor` takes it for a moment to see whether another process has it.
_LOCK_TIMEOUT_SECONDS = 0.2
_PAUSE = 0.02


class FileLock:
    """The lock on the file at `path`: exclusive for a server, shared for a command beside it.

    It is to be taken before SQLite opens the file, and released after SQLite has closed it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None  # the open descriptors
        self._lock_file: int | None = None
        self._identity: Identity | None = None
        resolved = path.resolve()
        self._log_path = resolved.with_name(f"{resolved.name}-wal")  # as SQLite resolves it
        self._index_path = resolved.with_name(f"{resolved.name}-shm")  # the index of the log
        self._log: tuple[Identity | None, Identity | None] | None = None

    def take(self, hint: str) -> None:
        """Lock the file for this process alone, creating it if there is none.

        Raises StorageError, with `hint`, if another process has it, and OSError.
        """
        beside = lock_path(self.path)
        if beside.is_symlink():  # opened by root, it would empty the file that a link leads to
            raise StorageError(f"{beside} is a link, which the server never creates: remove it")
        self._lock_file = os.open(beside, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
        if not _locked(self._lock_file, fcntl.LOCK_EX):
            raise self._in_use(process_id_in(self._lock_file) or "unknown", hint)
        # Only the owner may read what people wrote; SQLite gives its other files the same mode.
        self._file = os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600)
        self._use(identity(os.fstat(self._file)))
        if IS_LINUX and not _locked(self._file, fcntl.LOCK_EX):
            raise self._in_use(lock_owner_in_proc(os.fstat(self._file)) or "unknown", hint)
        os.ftruncate(self._lock_file, 0)
        os.pwrite(self._lock_file, str(os.getpid()).encode(), 0)
        self._check_file()

    def share(self) -> None:
        """Share the file with a server that may use it. Raises StorageError and OSError."""
        found = self.path.stat()
        self.check_name()
        if serves_another(self.path):  # its log is beside this file, and would be applied to it
            raise StorageError(
                f"{self.path} has replaced a file that a server still uses: stop that server",
                reason=Reason.REPLACED,
            )
        self._use(identity(found))

    def check_name(self) -> None:
        """Raise StorageError if a server uses the file by a name with which SQLite has another log.

        Such a name is another hard link, or another mount of the file alone. Writing to the file by
        it would destroy the file. The server's log is beside the server's name for the file.
        """
        if self._log_path.exists() or is_locked(lock_path(self.path)):
            return
        if lock_owner(self.path):
            raise StorageError(
                f"{self.path} is another name of a file that a server uses: "
                "use the name in its storage.url",
                reason=Reason.LOCKED,
            )

    def check(self) -> None:
        """Raise StorageError if the file, its log or the log's index no longer have their names.

        Call it once the file is open and was written to, since all of them exist then.
        """
        self._check_file()
        log = self._found_log()
        if self._log is None:
            self._log = log
        if None in log or log != self._log:
            raise StorageError(
                f"{self._log_path} or -shm was removed or replaced: restart to keep what is in it",
                reason=Reason.REPLACED,
            )

    def is_in_place(self) -> bool:
        """Whether the file, and its log once that was written to, have their names.

        Callable in any thread.
        """
        try:
            self._check_file()
        except StorageError:
            return False
        return self._log is None or self._found_log() == self._log

    def log_size(self) -> int:
        """Return the size of the log in bytes."""
        try:
            return os.stat(self._log_path).st_size
        except OSError:
            return 0

    def _found_log(self) -> tuple[Identity | None, Identity | None]:
        return identity_of(self._log_path), identity_of(self._index_path)

    def _check_file(self) -> None:
        try:
            found = os.stat(self.path)
        except OSError as error:
            raise StorageError(
                f"{self.path} was removed, or cannot be reached: {error.strerror}",
                reason=Reason.REPLACED,
            ) from error
        if identity(found) != self._identity:
            raise StorageError(
                f"another file has replaced {self.path}: restart to use that one",
                reason=Reason.REPLACED,
            )

    def release(self) -> None:
        """Release the file, after SQLite has closed it.

        FILE.lock stays, for the next process to lock.
        """
        if self._file is not None:
            fcntl.flock(self._file, fcntl.LOCK_UN)
        if self._identity is not None:
            end_use(self._identity, self._file)
        if self._lock_file is not None:
            os.close(self._lock_file)
        self._file = self._lock_file = self._identity = self._log = None

    def _use(self, identity: Identity) -> None:
        begin_use(identity)
        self._identity = identity

    def _in_use(self, holder: str, hint: str) -> StorageError:
        return StorageError(
            f"{self.path} is in use by another Headrace (process {holder}): {hint}",
            reason=Reason.LOCKED,
        )


def _locked(descriptor: int, how: int) -> bool:
    """Lock a descriptor; returns False if another process has kept it locked."""
    until = time.monotonic() + _LOCK_TIMEOUT_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                return False
        else:
            return True
        time.sleep(_PAUSE)
