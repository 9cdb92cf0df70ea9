"""Finds the process that has an SQLite file locked.

Nothing here opens a file that SQLite has open in this process; `lock.py` says why.
"""

import fcntl
import os
import platform
from contextlib import suppress
from pathlib import Path

from storage.sqlite.open_files import identity, identity_of, is_open_here

IS_LINUX = platform.system() == "Linux"


def lock_owner(path: Path) -> str | None:
    """Return the process whose server uses the file, by its id if that is known."""
    found = path.stat()
    if is_locked(lock_path(path)):
        return _process_id_at(lock_path(path)) or "unknown"
    if not IS_LINUX:
        return None
    if is_open_here(identity(found)):
        return lock_owner_in_proc(found)
    return (lock_owner_in_proc(found) or "unknown") if is_locked(path) else None


def serves_another(path: Path) -> bool:
    """Whether the server that has FILE.lock uses another file than the one at `path`.

    That is so after the file was replaced. False where it is not known: if the server is in a
    container of its own, the id in FILE.lock may be that of another process here.
    """
    lock = lock_path(path)
    if not is_locked(lock) or is_open_here(identity(path.stat())):
        return False
    folder = Path("/proc") / _process_id_at(lock) / "fd"
    opened = set()
    try:
        for each in folder.iterdir():
            with suppress(FileNotFoundError):  # it was closed in the meantime
                opened.add(identity(each.stat()))
    except OSError:  # the process is another user's or in another container, or there is no /proc
        return False
    return identity_of(lock) in opened and identity(path.stat()) not in opened


def lock_path(path: Path) -> Path:
    """Return the path of FILE.lock beside a file, whichever symbolic links lead there."""
    path = path.resolve()
    return path.with_name(f"{path.name}.lock")


def is_locked(path: Path) -> bool:
    """Whether another process has the file locked. SQLite must not have it open in this process."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def process_id_in(descriptor: int) -> str:
    """Return the process id in FILE.lock."""
    return os.pread(descriptor, 20, 0).decode(errors="replace")


def _process_id_at(path: Path) -> str:
    try:
        return path.read_bytes()[:20].decode(errors="replace")
    except OSError:
        return ""


def lock_owner_in_proc(found: os.stat_result) -> str | None:
    """Return the process that has the file locked, by the kernel's list of its own namespace."""
    device = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    try:
        listed = Path("/proc/locks").read_text()
    except OSError:
        return None
    for line in listed.splitlines():
        # 1: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF
        fields = line.split()
        if len(fields) > 5 and fields[1] == "FLOCK" and fields[5] == device:
            return fields[4]
    return None
