"""The SQLite files that this process has open, identified by inode rather than by name.

A descriptor of a file is closed only after the last store of this process that uses the file has
closed it; `lock.py` says why.
"""

import os
import threading
from collections import Counter
from pathlib import Path

# Device and inode number of a file, which do not depend on its name.
Identity = tuple[int, int]

# The files that this process has open: by how many stores, and the descriptors to close after the
# last of them.
_users: Counter[Identity] = Counter()
_unclosed: dict[Identity, list[int]] = {}
_mutex = threading.Lock()


def begin_use(identity: Identity) -> None:
    """Note that SQLite is about to open the file in this process."""
    with _mutex:
        _users[identity] += 1


def end_use(identity: Identity, descriptor: int | None) -> None:
    """Note that SQLite has closed the file; `descriptor` is closed once no store here uses it."""
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
    """Return the identity of the file that `stat` describes."""
    return found.st_dev, found.st_ino


def identity_of(path: Path) -> Identity | None:
    """Return the identity of the file with that name; None if there is none."""
    try:
        return identity(os.stat(path))
    except OSError:
        return None
