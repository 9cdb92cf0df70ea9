"""Live answers of other processes that are read here: kept growing out of the store.

One poll for all of them together brings what their owners have checkpointed since. The owners learn
of it from this process's own document in the store (`relay/leases.py`), checkpoint these answers
more often, and do not take them for left while somebody reads them here.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Mapping

from relay.answer import Answer
from storage.base import Chunk, Ending, Message, Status, Storage, StorageError, Wants, now

log = logging.getLogger("headrace.following")

# Seconds. An owner checkpoints an answer that others follow about so often, in place of the usual
# second: people see text come in pieces, but not late.
FOLLOWED_SECONDS = 0.2

# Each poll brings at most one chunk of an answer, so it has to be quicker than those are written.
_POLL_SECONDS = FOLLOWED_SECONDS * 3 / 4


class _Followed:
    """An answer, whose it is, and what for it is followed."""

    def __init__(self, message: Message, answer: Answer, until: float) -> None:
        self.answer = answer
        self.user = message.user
        self.owner = message.owner or ""
        self.until = until  # by the loop's clock: without readers it is followed for so long
        self.stop = False


class Following:
    """The live answers of other processes that this one reads, or wants stopped."""

    def __init__(self, storage: Storage, *, attach_seconds: float, lease_seconds: float) -> None:
        self._storage = storage
        self._attach_seconds = attach_seconds
        self._lease_seconds = lease_seconds
        self._followed: dict[str, _Followed] = {}
        self._any = asyncio.Event()
        self._failing = False
        self._closing = False
        self.changed = asyncio.Event()  # what `wants` says is news; whoever tells it clears this

    @property
    def wants(self) -> Mapping[str, Wants]:
        """What is wanted of other processes, by process."""
        follows: dict[str, set[str]] = defaultdict(set)
        stops: dict[str, set[str]] = defaultdict(set)
        for answer_id, followed in self._followed.items():
            follows[followed.owner].add(answer_id)
            if followed.stop:
                stops[followed.owner].add(answer_id)
        return {
            owner: Wants(frozenset(ids), frozenset(stops[owner])) for owner, ids in follows.items()
        }

    def answer(self, user: str, answer_id: str) -> Answer | None:
        """The answer, if it is followed and theirs."""
        followed = self._followed.get(answer_id)
        return followed.answer if followed is not None and followed.user == user else None

    def follow(self, message: Message) -> Answer:
        """The answer that `message` is so far, which grows from now on, until its last reader goes.

        A first reader has `attach_seconds` to come.
        """
        return self._entered(message).answer

    def stop(self, message: Message) -> Answer:
        """Follow the answer and want it stopped, until it has ended or for as long as a lease."""
        followed = self._entered(message)
        followed.stop = True
        # By then its owner has heard of it, or is dead and the answer is the sweep's.
        followed.until = asyncio.get_running_loop().time() + self._lease_seconds
        self.changed.set()
        return followed.answer

    def joined(self, answer: Answer) -> bool:
        """A reader of `answer` came. False: it was let go of, and will not grow."""
        if answer.ending is not None:
            return True
        return answer.id in self._followed and not self._closing

    def parted(self, answer: Answer) -> None:
        """A reader of `answer` went."""
        followed = self._followed.get(answer.id)
        if followed is None or answer.readers or followed.stop or self._closing:
            return
        self._drop(answer.id)

    def close(self) -> None:
        """Send the readers away. What is wanted stays said: they may come to another process."""
        self._closing = True
        for followed in self._followed.values():
            followed.answer.dismiss()

    async def run(self) -> None:
        """Poll until cancelled, while there is anything to follow."""
        while True:
            await self._any.wait()
            await self._poll()
            await asyncio.sleep(_POLL_SECONDS)

    async def _poll(self) -> None:
        self._drop_unread()
        try:
            growth = await self._storage.growth(
                {id_: followed.answer.position for id_, followed in self._followed.items()}
            )
        except StorageError as error:
            if not self._failing:  # once an outage
                log.warning("answers of other processes cannot be read: %s", error)
            self._failing = True
            return
        if self._failing:
            log.info("answers of other processes can be read again")
        self._failing = False
        for chunk in growth.chunks:
            self._grow(chunk)
        for message in growth.ended:
            if (followed := self._drop(message.id)) is not None:
                followed.answer.settle(message)
        for answer_id in growth.gone:
            if (followed := self._drop(answer_id)) is not None:
                followed.answer.end(_deleted(followed.answer))

    def _entered(self, message: Message) -> _Followed:
        followed = self._followed.get(message.id)
        if followed is None:
            answer = Answer.restored(message)
            answer.lags = True
            until = asyncio.get_running_loop().time() + self._attach_seconds
            followed = self._followed[message.id] = _Followed(message, answer, until)
            self._any.set()
            self.changed.set()
        return followed

    def _grow(self, chunk: Chunk) -> None:
        followed = self._followed.get(chunk.answer_id)
        if followed is not None and followed.answer.position == chunk.position:
            followed.answer.extend(chunk.pieces)

    def _drop_unread(self) -> None:
        """Let go of what nobody came to read, and of stops that nobody heeded."""
        time = asyncio.get_running_loop().time()
        for followed in list(self._followed.values()):
            if followed.until < time:
                followed.stop = False
                self.parted(followed.answer)

    def _drop(self, answer_id: str) -> _Followed | None:
        followed = self._followed.pop(answer_id, None)
        if not self._followed:
            self._any.clear()
        self.changed.set()
        return followed


def _deleted(answer: Answer) -> Ending:
    """The ending of an answer whose conversation was deleted, for which it was stopped."""
    return Ending(status=Status.STOPPED, blocks=answer.blocks(), ended_at=now())
