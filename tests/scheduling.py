"""Which tests run beside each other, where there are several workers (`make test` has two).

Most do: each has servers, ports, files and databases of its own. One that measures the machine, or
fills it, is marked `alone`: it begins when the tests of the other workers have ended, and theirs go
on after it.

Two locks of the operating system see to that; both end with their process. A test takes the entry
lock while it waits for the run lock, which it holds shared while it runs. One that is alone takes
the run lock for itself: it keeps the entry lock until all others have ended, so that none overtakes
it.
"""

import fcntl
import os
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

# Files to lock that every worker of this checkout has: nothing is written to either.
_ENTRY_LOCK = Path(__file__)
_RUN_LOCK = Path(__file__).parent


@contextmanager
def locked(path: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold the lock of a file or folder; waits for other processes that hold it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Let a test, with all its fixtures, wait for its turn."""
    alone = item.get_closest_marker("alone") is not None
    with ExitStack() as held:
        with locked(_ENTRY_LOCK):
            held.enter_context(locked(_RUN_LOCK, shared=not alone))
        return (yield)
