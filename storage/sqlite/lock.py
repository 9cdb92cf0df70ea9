"""One server for an SQLite file, by whichever name it comes, and whether the file is still there.

Two locks say that a server has the file. The one on the file itself holds for all its names: links
of both kinds, other mounts, paths through other folders. The one on FILE.lock beside it keeps out
servers of earlier versions, which know no other, and has the server's process id to tell whoever is
refused. Both are the kernel's and gone with the process, however that ends.

When a process closes *any* descriptor of a file, it loses all the fcntl locks it has there, those
of SQLite too. Another program that opens and closes the database then takes itself for the last
one and deletes the log, with what was acknowledged. So the descriptor that is locked is opened
before SQLite opens the file and closed after SQLite has, and in between nobody here opens the file:
what it is, `stat` tells. flock and fcntl are apart on Linux alone; elsewhere, good for development,
FILE.lock has to do.
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

# Seconds to retry a lock: `doctor` takes one to see whether another process has it, and releases it
# at once.
_LOCK_TIMEOUT_SECONDS = 0.2
_PAUSE = 0.02


class FileLock:
    """The right to the file at `path`: a server's, or that of a command beside it.

    Whoever has SQLite open the file says so here first, and afterwards that it was closed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None  # descriptors
        self._beside: int | None = None
        self._identity: Identity | None = None
        resolved = path.resolve()
        self._log_path = resolved.with_name(f"{resolved.name}-wal")  # as SQLite names it, …
        self._index_path = resolved.with_name(f"{resolved.name}-shm")  # … and what finds its pages
        self._log: tuple[Identity | None, Identity | None] | None = None

    def take(self, remedy: str) -> None:
        """Have the file, made if there is none, for this process alone.

        Raises StorageError, with `remedy`, if another process has it, and OSError.
        """
        beside = lock_path(self.path)
        if beside.is_symlink():  # root, who restores by hand, would empty the file it leads to
            raise StorageError(f"{beside} is a link, and nothing that we made: remove it")
        self._beside = os.open(beside, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
        if not _locked(self._beside, fcntl.LOCK_EX):
            raise self._in_use(process_id_in(self._beside) or "unknown", remedy)
        # What people wrote is the owner's to read; SQLite's other files take after this one.
        self._file = os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600)
        self._use(identity(os.fstat(self._file)))
        if IS_LINUX and not _locked(self._file, fcntl.LOCK_EX):
            raise self._in_use(lock_owner_in_proc(os.fstat(self._file)) or "unknown", remedy)
        os.ftruncate(self._beside, 0)
        os.pwrite(self._beside, str(os.getpid()).encode(), 0)
        self._check_file()

    def share(self) -> None:
        """Have the file beside a server that may run. Raises StorageError, OSError."""
        found = self.path.stat()
        self.check_name()
        if serves_another(self.path):  # whose log is beside this one, and would be put into it
            raise StorageError(
                f"{self.path} has the place of a file that a server still has: stop that server",
                reason=Reason.REPLACED,
            )
        self._use(identity(found))

    def check_name(self) -> None:
        """Raise StorageError if a server has the file by a name with which SQLite has another log.

        Such is another hard link, or another mount of the file alone. To write by it would ruin the
        file. The server's log is where the server's name for the file is.
        """
        if self._log_path.exists() or is_locked(lock_path(self.path)):
            return
        if lock_owner(self.path):
            raise StorageError(
                f"{self.path} is another name of a file that a server has: "
                "use the one in its storage.url",
                reason=Reason.LOCKED,
            )

    def check(self) -> None:
        """Raise StorageError if the file, its log or the index of that no longer have their names.

        For whoever has the file open, and has written to it: they are there then.
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
        """Whether the file, and its log once that was written to, have their names. Any thread."""
        try:
            self._check_file()
        except StorageError:
            return False
        return self._log is None or self._found_log() == self._log

    def log_size(self) -> int:
        """The bytes of the log."""
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
                f"another file has the place of {self.path}: restart to serve that one",
                reason=Reason.REPLACED,
            )

    def release(self) -> None:
        """Let go of it, once SQLite has closed it. FILE.lock stays, for the next one to lock."""
        if self._file is not None:
            fcntl.flock(self._file, fcntl.LOCK_UN)
        if self._identity is not None:
            end_use(self._identity, self._file)
        if self._beside is not None:
            os.close(self._beside)
        self._file = self._beside = self._identity = self._log = None

    def _use(self, identity: Identity) -> None:
        begin_use(identity)
        self._identity = identity

    def _in_use(self, holder: str, remedy: str) -> StorageError:
        return StorageError(
            f"{self.path} is in use by another Headrace (process {holder}): {remedy}",
            reason=Reason.LOCKED,
        )


def _locked(descriptor: int, how: int) -> bool:
    """Lock it, unless somebody keeps it locked."""
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
