"""Which SQLite files this process has open, by what they are and not by what they are called.

A descriptor of a file is closed only behind the last store of this process that has it; `lock.py`
says why.
"""

import os
import threading
from collections import Counter
from pathlib import Path

# Which file it is, whatever it is called: its device and its number there.
Identity = tuple[int, int]

# What this process has open, by how many stores, and what is to be closed behind the last of them.
_users: Counter[Identity] = Counter()
_unclosed: dict[Identity, list[int]] = {}
_mutex = threading.Lock()


def begin_use(identity: Identity) -> None:
    """SQLite is about to open the file in this process."""
    with _mutex:
        _users[identity] += 1


def end_use(identity: Identity, descriptor: int | None) -> None:
    """SQLite has closed it. `descriptor` is closed once no other store of this process has it."""
    with _mutex:
        if descriptor is not None:
            _unclosed.setdefault(identity, []).append(descriptor)
        _users[identity] -= 1
        if not _users[identity]:
            del _users[identity]
            for each in _unclosed.pop(identity, ()):
                os.close(each)


def is_open_here(identity: Identity) -> bool:
    """Whether this process has the file open."""
    with _mutex:
        return identity in _users


def identity(found: os.stat_result) -> Identity:
    """Which file it is that `stat` found."""
    return found.st_dev, found.st_ino


def identity_of(path: Path) -> Identity | None:
    """Which file has that name; None if none has."""
    try:
        return identity(os.stat(path))
    except OSError:
        return None
