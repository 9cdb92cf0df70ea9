"""Bounds the bytes of long responses that clients have not read yet, of all users and of each.

If a client requests something long and does not read it, the response stays in memory, as often as
it is requested, until the connection is cut. So long responses are counted while they are in
memory: a page of messages, an ended answer that is read, an event that comes in one piece. Short
responses do not count, so that a user with many long ones does not block ordinary responses.

The size is known only after loading, so only a few are loaded at a time: the store's threads are
faster than the event loop, and a thousand responses of a megabyte once took a gigabyte.
"""

import asyncio
import collections
import weakref
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

from relay.errors import Overloaded, TooMuchUnread

# Bytes of each response that are not counted: the kernel's send buffer takes about as much, so most
# responses leave at once.
FREE_BYTES = 64 * 1024

# Each user may have an eighth of the budget, so that no single user can use it up.
_USERS_PART = 8

# The number of loads at a time, which are not counted yet: some 150 MB of the longest ones. A user
# has a quarter of them, which is some hundred a second; more of them queue.
_LOADS = 16
_USERS_LOADS = 4

# Seconds to wait for a load to begin: the store's timeout for one.
_LOADING_SECONDS = 5.0

# Seconds for `retry_after`: by then responses are read, or their readers cut off.
_RETRY_AFTER = 2


class UnsentBudget:
    """The bytes that wait for readers. One response alone is always admitted, however long."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.held = 0
        self._of_user: collections.Counter[str] = collections.Counter()
        self._loads = asyncio.Semaphore(_LOADS)
        self._loads_of: weakref.WeakValueDictionary[str, asyncio.Semaphore] = (
            weakref.WeakValueDictionary()
        )

    @asynccontextmanager
    async def loading(self, user: str) -> AsyncIterator[None]:
        """Within this block something may be loaded for `user` that may be long: then `take` it.

        Raises Overloaded if others take too long.
        """
        theirs = self._loads_of.setdefault(user, asyncio.Semaphore(_USERS_LOADS))
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(_LOADING_SECONDS):
                    await stack.enter_async_context(theirs)
                    await stack.enter_async_context(self._loads)
            except TimeoutError:
                raise Overloaded(_RETRY_AFTER) from None
            yield

    def take(self, user: str, count: int) -> int:
        """Count `count` bytes that wait for `user`; returns what `give` takes.

        Raises Overloaded and TooMuchUnread; nothing is counted then.
        """
        counted = max(0, count - FREE_BYTES)
        if not counted:
            return 0
        theirs = self._of_user[user]
        users_part = self.max_bytes // _USERS_PART
        if theirs and theirs + counted > users_part:
            raise TooMuchUnread(_RETRY_AFTER, users_part)
        if self.held and self.held + counted > self.max_bytes:
            raise Overloaded(_RETRY_AFTER)
        return self.count(user, count)

    def count(self, user: str, count: int) -> int:
        """Count bytes that are in memory already, and can no longer be refused."""
        counted = max(0, count - FREE_BYTES)
        if counted:
            self.held += counted
            self._of_user[user] += counted
        return counted

    def give(self, user: str, counted: int) -> None:
        """Note that these bytes are no longer in memory."""
        self.held -= counted
        self._of_user[user] -= counted
        if not self._of_user[user]:
            del self._of_user[user]

    @contextmanager
    def holding(self, user: str, count: int) -> Iterator[None]:
        """These bytes are in memory while this block runs. Raises as `take` does."""
        counted = self.take(user, count)
        try:
            yield
        finally:
            self.give(user, counted)
