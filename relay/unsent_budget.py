"""What responses hold that nobody has taken yet: what all of them together may, and one user's.

Whoever asks for something long and reads none of it has it held in memory, as often as they ask,
for as long as their connection is borne. So what is long is counted from when it is in memory until
it has left: a page of messages, an ended answer that is read, an event that comes in one piece.
What is short is free: whoever holds much keeps nobody's usual response back.

How long something is, is known when it has been loaded. So only a few are loaded at a time: the
store's threads are quicker than the loop, and a thousand of a megabyte each came to one gigabyte.
"""

import asyncio
import collections
import weakref
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

from relay.errors import Overloaded, TooMuchUnread

# Of each response. A kernel's send buffer takes about as much, so most of them are gone at once.
FREE_BYTES = 64 * 1024

# One user may have this part of it all, so that it takes several to keep others out.
_USERS_PART = 8

# Loaded at a time, and not counted yet: of the longest it is some 150 MB. A user has a quarter of
# it, which is some hundred a second; whoever asks for a thousand at once queues behind themselves.
_LOADS = 16
_USERS_LOADS = 4

# Seconds. As long as the store may take for any one of them.
_LOADING_SECONDS = 5.0

# What people are told to wait: responses are read, or their readers cut.
_RETRY_AFTER = 2


class UnsentBudget:
    """Bytes held for readers. One thing alone is always let through, however long it is."""

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
        """Within this block something may be loaded for `user` that is long, perhaps: `take` it.

        Raises Overloaded if it is too long until others are done.
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
        """Count so many bytes, held for `user`; returns what is to be given back.

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
        """The same of what is held already, and cannot be refused any more."""
        counted = max(0, count - FREE_BYTES)
        if counted:
            self.held += counted
            self._of_user[user] += counted
        return counted

    def give(self, user: str, counted: int) -> None:
        """So many bytes are held no more."""
        self.held -= counted
        self._of_user[user] -= counted
        if not self._of_user[user]:
            del self._of_user[user]

    @contextmanager
    def holding(self, user: str, count: int) -> Iterator[None]:
        """So many bytes are held while this block runs. Raises as `take` does."""
        counted = self.take(user, count)
        try:
            yield
        finally:
            self.give(user, counted)
