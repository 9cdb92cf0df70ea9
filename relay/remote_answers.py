"""Live answers of other processes that are read here: they grow out of the store.

One poll for all of them brings what their owners have checkpointed since. The owners learn of it
from this process' document in the store (`relay/lease.py`), checkpoint these answers more often,
and do not abandon them while they are read here.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping

from model.messages import Ending, Message, Status, now
from relay.answer import Answer
from relay.endings import interrupted
from relay.errors import InternalError, TooManyStops
from storage.contract import CoordinationStore
from storage.errors import StorageError
from storage.values import PeerRequests
from telemetry.log_event import LogEvent
from telemetry.outage_log import OutageLog

log = logging.getLogger("headrace.remote_answers")

# Seconds between checkpoints of an answer that others follow, in place of one second: its text
# arrives in larger pieces, but not late.
FOLLOWED_SECONDS = 0.2

# The number of answers that may be stopping at a time, of one user and in all. Each is held here
# with its text, and named in this process' document, until its owner has read that: in a second, or
# a lease if the owner is dead. No user sees more than a handful of answers.
_STOPS_PER_USER = 32
_STOPS = 1_000
_STOPS_RETRY_AFTER = 2

# Seconds for which an answer is followed without a reader: between finding an answer and reading it
# the loop turns a few times.
_FIRST_READER_SECONDS = 1.0

# Seconds between polls. Each brings at most one chunk of an answer, so it has to be shorter than
# the time between checkpoints.
_POLL_SECONDS = FOLLOWED_SECONDS * 3 / 4


class _RemoteAnswer:
    """An answer, its user and its owner, and why it is followed."""

    def __init__(self, message: Message, answer: Answer) -> None:
        self.answer = answer
        self.user = message.user
        self.owner = message.owner or ""
        self.stop = False
        self._stop_unread_until = 0.0
        self._until = 0.0  # by the loop's clock

    def keep_for(self, seconds: float) -> None:
        """Follow it for at least so many seconds, with or without readers."""
        until = asyncio.get_running_loop().time() + seconds
        self._until = max(self._until, until)

    def stop_unread_for(self, seconds: float) -> None:
        """Ask for so many seconds that it is stopped, unless it is read."""
        self._stop_unread_until = asyncio.get_running_loop().time() + seconds
        self.keep_for(seconds)

    @property
    def is_to_stop_unread(self) -> bool:
        """Whether it is to be stopped unless it is read, and is not read here."""
        now = asyncio.get_running_loop().time()
        return self.answer.readers == 0 and now < self._stop_unread_until

    @property
    def is_wanted(self) -> bool:
        """Whether it is read, may be read soon, or is being stopped."""
        return self.answer.readers > 0 or asyncio.get_running_loop().time() < self._until


class RemoteAnswers:
    """The live answers of other processes that are read or being stopped here."""

    def __init__(self, storage: CoordinationStore, *, lease_seconds: float) -> None:
        self._storage = storage
        self._lease_seconds = lease_seconds
        self._remote: dict[str, _RemoteAnswer] = {}
        self._stopping: dict[
            str, str
        ] = {}  # the users of answers that are being stopped, by answer
        self._any = asyncio.Event()
        self._outage = OutageLog(
            log,
            "answers of other processes cannot be read",
            "answers of other processes can be read again",
        )
        self._closing = False
        self.changed = asyncio.Event()  # set when `peer_requests` has changed; publishing clears it

    @property
    def peer_requests(self) -> Mapping[str, PeerRequests]:
        """What this process asks of others, by process."""
        follows: dict[str, set[str]] = defaultdict(set)
        stops: dict[str, set[str]] = defaultdict(set)
        stops_unread: dict[str, set[str]] = defaultdict(set)
        for answer_id, remote in self._remote.items():
            # To its owner one that is followed has a reader.
            asked = stops_unread if remote.is_to_stop_unread else follows
            asked[remote.owner].add(answer_id)
            if remote.stop:
                stops[remote.owner].add(answer_id)
        return {
            owner: PeerRequests(
                frozenset(follows[owner]), frozenset(stops[owner]), frozenset(stops_unread[owner])
            )
            for owner in [*follows, *(owner for owner in stops_unread if owner not in follows)]
        }

    @property
    def count(self) -> int:
        """The number of followed answers."""
        return len(self._remote)

    def answer(self, user: str, answer_id: str) -> Answer | None:
        """The answer, if it is followed and belongs to the user."""
        remote = self._remote.get(answer_id)
        return remote.answer if remote is not None and remote.user == user else None

    def follow(self, message: Message) -> Answer:
        """The answer, with what `message` has of it; it grows until its last reader disconnects.

        The first reader has to connect at once.
        """
        return self._entered(message).answer

    def expect_reader(self, answer: Answer, seconds: float) -> None:
        """Follow `answer` for so many seconds, in which a reader is expected."""
        if (remote := self._of(answer)) is not None:
            remote.keep_for(seconds)

    def stop(self, message: Message) -> Answer:
        """Follow the answer and ask its owner to stop it, for at least a lease or until it has
        ended.

        Raises TooManyStops.
        """
        if message.id not in self._stopping:
            theirs = sum(each == message.user for each in self._stopping.values())
            for count, limit in ((theirs, _STOPS_PER_USER), (len(self._stopping), _STOPS)):
                if count >= limit:
                    raise TooManyStops(_STOPS_RETRY_AFTER, limit)
        remote = self._entered(message)
        # By then its owner has read it, or is dead, and the sweep ends the answer.
        remote.keep_for(self._lease_seconds)
        if not remote.stop:  # asked once, however often clients ask
            remote.stop = True
            self._stopping[message.id] = message.user
            self.changed.set()
        return remote.answer

    def stop_unread(self, message: Message, seconds: float) -> Answer:
        """Ask the owner of the answer to stop it unless somebody reads it, for so many seconds."""
        remote = self._entered(message)
        remote.stop_unread_for(seconds)
        self.changed.set()
        return remote.answer

    def reader_connected(self, answer: Answer) -> bool:
        """A reader of `answer` connected. False: it is no longer followed, and will not grow."""
        if answer.ending is not None:
            return True
        return self._of(answer) is not None and not self._closing

    def reader_disconnected(self, answer: Answer) -> None:
        """A reader of `answer` disconnected."""
        if (remote := self._of(answer)) is not None:
            self._drop_unread(remote)

    def close(self) -> None:
        """Disconnect the readers. The peer requests stay in the store: readers may go to another
        process.
        """
        self._closing = True
        for remote in self._remote.values():
            remote.answer.disconnect_readers()

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
        except Exception as error:  # a bug with one of them must not affect the others
            log.error("answers of other processes cannot be read", exc_info=error)
            await self._grow_singly(known)
            return
        self._outage.succeeded()

    async def _grow(self, known: Iterable[_RemoteAnswer]) -> None:
        """Grow or end these answers by what the store has. Raises StorageError."""
        growth = await self._storage.answer_updates(
            {each.answer.id: each.answer.position for each in known}
        )
        for chunk in growth.chunks:
            remote = self._remote.get(chunk.answer_id)
            if remote is not None and remote.answer.position == chunk.position:
                remote.answer.extend(chunk.pieces)
                remote.answer.deliver()
        for message in growth.ended:
            if message.ended_at is None:  # with a status of a later version
                continue
            if (remote := self._drop(message.id)) is not None:
                remote.answer.end_as_stored(message)
        for answer_id in growth.gone:
            if (remote := self._drop(answer_id)) is not None:
                remote.answer.end(_ending(remote.answer, Status.STOPPED))  # to be deleted

    async def _grow_singly(self, known: Iterable[_RemoteAnswer]) -> None:
        """The same, one by one. An answer that cannot be read ends for its readers."""
        for remote in known:
            try:
                await self._grow([remote])
            except StorageError:
                return
            except Exception as error:
                answer = remote.answer
                log.error(
                    LogEvent("answer of another process not followed any more", answer=answer.id),
                    exc_info=error,
                )
                self._drop(answer.id)
                answer.end(interrupted(_ending(answer, Status.INTERRUPTED), InternalError()))

    def _entered(self, message: Message) -> _RemoteAnswer:
        remote = self._remote.get(message.id)
        if remote is None:
            answer = Answer.restored(message)
            answer.is_remote = True
            remote = self._remote[message.id] = _RemoteAnswer(message, answer)
            remote.keep_for(_FIRST_READER_SECONDS)
            self._any.set()
            self.changed.set()
        return remote

    def _of(self, answer: Answer) -> _RemoteAnswer | None:
        """The entry of this very record; one that was dropped may have a successor."""
        remote = self._remote.get(answer.id)
        return remote if remote is not None and remote.answer is answer else None

    def _drop_unread(self, remote: _RemoteAnswer) -> None:
        """Stop following it if it is neither read nor expected to be."""
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
    """The ending of an answer that the store no longer has."""
    return Ending(status=status, blocks=answer.blocks(), ended_at=now())
