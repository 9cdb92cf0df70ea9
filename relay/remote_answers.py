"""Live answers of other processes that are read here: kept growing out of the store.

One poll for all of them together brings what their owners have checkpointed since. The owners learn
of it from this process's own document in the store (`relay/leases.py`), checkpoint these answers
more often, and do not take them for left while somebody reads them here.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping

from model.messages import Ending, Message, Status, now
from relay.answer import Answer
from relay.endings import interrupted
from relay.errors import InternalError, TooManyStops
from storage.contract import Storage
from storage.errors import StorageError
from storage.values import PeerRequests
from telemetry.log_event import LogEvent
from telemetry.outage_log import OutageLog

log = logging.getLogger("headrace.remote_answers")

# Seconds. An owner checkpoints an answer that others follow about so often, in place of the usual
# second: people see text come in pieces, but not late.
FOLLOWED_SECONDS = 0.2

# Answers of others that may be wanted stopped at a time: of one user, and of all. They are held
# here with their text, and named in this process's document, until their owner has heard of it: a
# second or so, a lease if it is dead. Nobody has more than a handful of answers that they see.
_STOPS_PER_USER = 32
_STOPS = 1_000
_STOPS_RETRY_AFTER = 2

# Seconds. Between finding an answer and reading it there are some turns of the loop.
_FIRST_READER_SECONDS = 1.0

# Each poll brings at most one chunk of an answer, so it has to be quicker than those are written.
_POLL_SECONDS = FOLLOWED_SECONDS * 3 / 4


class _RemoteAnswer:
    """An answer, its user and its owner, and why it is followed here."""

    def __init__(self, message: Message, answer: Answer) -> None:
        self.answer = answer
        self.user = message.user
        self.owner = message.owner or ""
        self.stop = False
        self._until = 0.0  # by the loop's clock

    def keep_for(self, seconds: float) -> None:
        """Follow it for so long at least, whoever reads it."""
        until = asyncio.get_running_loop().time() + seconds
        self._until = max(self._until, until)

    @property
    def is_wanted(self) -> bool:
        """Whether somebody reads it, or may yet come, or it is to be stopped."""
        return self.answer.readers > 0 or asyncio.get_running_loop().time() < self._until


class RemoteAnswers:
    """The live answers of other processes that this one reads, or wants stopped."""

    def __init__(self, storage: Storage, *, lease_seconds: float) -> None:
        self._storage = storage
        self._lease_seconds = lease_seconds
        self._remote: dict[str, _RemoteAnswer] = {}
        self._stopping: dict[str, str] = {}  # the users of those that are to be stopped
        self._any = asyncio.Event()
        self._outage = OutageLog(
            log,
            "answers of other processes cannot be read",
            "answers of other processes can be read again",
        )
        self._closing = False
        self.changed = asyncio.Event()  # `peer_requests` has news; whoever tells it clears this

    @property
    def peer_requests(self) -> Mapping[str, PeerRequests]:
        """What is asked of other processes, by process."""
        follows: dict[str, set[str]] = defaultdict(set)
        stops: dict[str, set[str]] = defaultdict(set)
        for answer_id, remote in self._remote.items():
            follows[remote.owner].add(answer_id)
            if remote.stop:
                stops[remote.owner].add(answer_id)
        return {
            owner: PeerRequests(frozenset(ids), frozenset(stops[owner]))
            for owner, ids in follows.items()
        }

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._remote)

    def answer(self, user: str, answer_id: str) -> Answer | None:
        """The answer, if it is followed and theirs."""
        remote = self._remote.get(answer_id)
        return remote.answer if remote is not None and remote.user == user else None

    def follow(self, message: Message) -> Answer:
        """The answer that `message` is so far, which grows from now on, until its last reader goes.

        The first one comes at once.
        """
        return self._entered(message).answer

    def expect_reader(self, answer: Answer, seconds: float) -> None:
        """A reader of `answer` is said to come within so many seconds."""
        if (remote := self._of(answer)) is not None:
            remote.keep_for(seconds)

    def stop(self, message: Message) -> Answer:
        """Follow the answer and want it stopped, for a lease at least, or until it has ended.

        Raises TooManyStops.
        """
        if message.id not in self._stopping:
            theirs = sum(each == message.user for each in self._stopping.values())
            for count, limit in ((theirs, _STOPS_PER_USER), (len(self._stopping), _STOPS)):
                if count >= limit:
                    raise TooManyStops(_STOPS_RETRY_AFTER, limit)
        remote = self._entered(message)
        # By then its owner has heard of it, or is dead and the answer is the sweep's.
        remote.keep_for(self._lease_seconds)
        if not remote.stop:  # said once, however often it is asked for
            remote.stop = True
            self._stopping[message.id] = message.user
            self.changed.set()
        return remote.answer

    def reader_connected(self, answer: Answer) -> bool:
        """A reader of `answer` came. False: it was let go of, and will not grow."""
        if answer.ending is not None:
            return True
        return self._of(answer) is not None and not self._closing

    def reader_disconnected(self, answer: Answer) -> None:
        """A reader of `answer` went."""
        if (remote := self._of(answer)) is not None:
            self._drop_unread(remote)

    def close(self) -> None:
        """Send the readers away. What is wanted stays said: they may come to another process."""
        self._closing = True
        for remote in self._remote.values():
            remote.answer.dismiss()

    async def run(self) -> None:
        """Poll until cancelled, while there is anything to follow."""
        while True:
            await self._any.wait()
            await self._poll()
            await asyncio.sleep(_POLL_SECONDS)

    async def _poll(self) -> None:
        for remote in list(self._remote.values()):
            self._drop_unread(remote)
        known = list(self._remote.values())
        try:
            await self._grow(known)
        except StorageError as error:
            self._outage.failed(error.reason, error)
            return
        except Exception as error:  # a bug, about one of them: it must not cost all the others
            log.error("answers of other processes cannot be read", exc_info=error)
            await self._grow_singly(known)
            return
        self._outage.succeeded()

    async def _grow(self, known: Iterable[_RemoteAnswer]) -> None:
        """Have these grow, and end, as far as the store knows. Raises StorageError."""
        growth = await self._storage.growth(
            {each.answer.id: each.answer.position for each in known}
        )
        for chunk in growth.chunks:
            remote = self._remote.get(chunk.answer_id)
            if remote is not None and remote.answer.position == chunk.position:
                remote.answer.extend(chunk.pieces)
        for message in growth.ended:
            if message.ended_at is None:  # of a status that a later version knows
                continue
            if (remote := self._drop(message.id)) is not None:
                remote.answer.settle(message)
        for answer_id in growth.gone:
            if (remote := self._drop(answer_id)) is not None:
                remote.answer.end(_ending(remote.answer, Status.STOPPED))  # to be deleted

    async def _grow_singly(self, known: Iterable[_RemoteAnswer]) -> None:
        """The same, one by one. An answer that cannot be read is over for its readers."""
        for remote in known:
            try:
                await self._grow([remote])
            except StorageError:
                return
            except Exception as error:
                answer = remote.answer
                log.error(LogEvent("following given up", answer=answer.id), exc_info=error)
                self._drop(answer.id)
                answer.end(interrupted(_ending(answer, Status.INTERRUPTED), InternalError()))

    def _entered(self, message: Message) -> _RemoteAnswer:
        remote = self._remote.get(message.id)
        if remote is None:
            answer = Answer.restored(message)
            answer.lags = True
            remote = self._remote[message.id] = _RemoteAnswer(message, answer)
            remote.keep_for(_FIRST_READER_SECONDS)
            self._any.set()
            self.changed.set()
        return remote

    def _of(self, answer: Answer) -> _RemoteAnswer | None:
        """What follows this very record: one that was let go of may have a successor."""
        remote = self._remote.get(answer.id)
        return remote if remote is not None and remote.answer is answer else None

    def _drop_unread(self, remote: _RemoteAnswer) -> None:
        """Let go of it if nobody reads it and nothing is waited for."""
        if remote.is_wanted or self._closing:
            return
        self._drop(remote.answer.id)

    def _drop(self, answer_id: str) -> _RemoteAnswer | None:
        remote = self._remote.pop(answer_id, None)
        self._stopping.pop(answer_id, None)
        if not self._remote:
            self._any.clear()
        self.changed.set()
        return remote


def _ending(answer: Answer, status: Status) -> Ending:
    """The ending of an answer of which the store says nothing."""
    return Ending(status=status, blocks=answer.blocks(), ended_at=now())
