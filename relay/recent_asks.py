"""The questions of the last minutes whose clients may send them again, and their answers.

Only this process remembers them. Of an answer that is not stored it has the only copy, for a client
that tries again; a stored one is found in the store, by its id. What is remembered is bounded in
time, in number and in bytes, of each user and in all: a retry that comes too late is a new
question.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence

from model.blocks import bytes_in
from relay.answer import Answer
from relay.ask_request import AskRequest

# Seconds after the newest try: an SDK waits ten minutes by default, and tries three times.
RETRY_SECONDS = 30 * 60.0

# Entries of a user and of all. Each takes half a kilobyte.
_PER_USER = 256
_IN_ALL = 10_000

# Bytes of ended answers that are not stored, of a user and of all: thousands of usual length, and
# four and sixteen of the longest.
_USER_BYTES = 16 * 1024 * 1024
_ALL_BYTES = 64 * 1024 * 1024

# Bytes that an answer's record takes in addition to its blocks.
_RECORD_BYTES = 1_000


class RecentAsk:
    """A question that this process was asked, and its answer once it has one.

    tries: the number of the newest try, as the client's SDK counts them from 0.
    answer: of a stored question only while it is live.
    """

    __slots__ = (
        "answer",
        "answer_id",
        "asking",
        "fingerprint",
        "is_stored",
        "name",
        "size",
        "tried_at",
        "tries",
        "user",
    )

    def __init__(self, request: AskRequest) -> None:
        loop = asyncio.get_running_loop()
        self.name = request.idempotency_key_id
        self.fingerprint = request.fingerprint
        self.user = request.user
        self.is_stored = request.store
        self.tries = request.sdk_retry or 0
        self.tried_at = loop.time()
        self.answer: Answer | None = None
        self.answer_id: str | None = None
        self.size = 0
        self.asking: asyncio.Future[None] | None = loop.create_future()  # until asked or refused

    @property
    def is_unread(self) -> bool:
        """Whether its answer is live and nobody reads it here."""
        return self.answer is not None and self.answer.ending is None and not self.answer.readers


class RecentAsks:
    """The recent questions of all users, oldest first."""

    def __init__(self) -> None:
        self._all: dict[RecentAsk, None] = {}
        self._by_name: dict[str, list[RecentAsk]] = {}
        self._by_answer: dict[str, RecentAsk] = {}
        self._of_users: defaultdict[str, dict[RecentAsk, None]] = defaultdict(dict)
        self._bytes_of_users: defaultdict[str, int] = defaultdict(int)
        self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def named(self, name: str) -> Sequence[RecentAsk]:
        """What was asked under a name: a hash of the user and the key, or of the request."""
        return self._by_name.get(name, ())

    def with_answer(self, answer_id: str) -> RecentAsk | None:
        """The question that has this answer."""
        return self._by_answer.get(answer_id)

    def begin(self, request: AskRequest) -> RecentAsk:
        """Remember a question that is being asked; `asked` or `forget` follows."""
        ask = RecentAsk(request)
        self._all[ask] = None
        self._of_users[ask.user][ask] = None
        self._by_name.setdefault(ask.name, []).append(ask)
        self._make_room(ask.user)
        return ask

    def asked(self, ask: RecentAsk, answer: Answer) -> None:
        """The question has an answer now, which has not ended."""
        ask.answer, ask.answer_id = answer, answer.id
        if ask in self._all:
            self._by_answer[answer.id] = ask
        _settle(ask)

    def tried(self, ask: RecentAsk, tries: int) -> None:
        """The client has sent the question again."""
        ask.tries, ask.tried_at = tries, asyncio.get_running_loop().time()
        for asks in (self._all, self._of_users[ask.user]):
            if ask in asks:
                del asks[ask]
                asks[ask] = None  # the newest

    def ended(self, answer: Answer) -> None:
        """The answer has ended: one that is stored is found in the store from now on."""
        ask = self._by_answer.get(answer.id)
        if ask is None:
            return
        if ask.is_stored:
            ask.answer = None
            return
        ask.size = _RECORD_BYTES + sum(map(bytes_in, answer.blocks()))
        self._bytes += ask.size
        self._bytes_of_users[ask.user] += ask.size
        self._make_room(ask.user)

    def forget(self, ask: RecentAsk) -> None:
        """Remember a question no longer, because it was refused or its answer is of no use."""
        _settle(ask)
        if ask not in self._all:
            return
        del self._all[ask]
        own = self._of_users[ask.user]
        del own[ask]
        named = self._by_name[ask.name]
        named.remove(ask)
        if not named:
            del self._by_name[ask.name]
        if ask.answer_id is not None:
            self._by_answer.pop(ask.answer_id, None)
        self._bytes -= ask.size
        self._bytes_of_users[ask.user] -= ask.size
        if not own:
            del self._of_users[ask.user], self._bytes_of_users[ask.user]

    def close(self) -> None:
        """Forget everything."""
        for ask in list(self._all):
            self.forget(ask)
        if self._timer is not None:
            self._timer.cancel()

    def _make_room(self, user: str) -> None:
        """Forget what is too old or too much, the oldest first."""
        own = self._of_users.get(user, {})
        while len(own) > _PER_USER or self._bytes_of_users.get(user, 0) > _USER_BYTES:
            self.forget(next(iter(own)))
        while len(self._all) > _IN_ALL or self._bytes > _ALL_BYTES:
            self.forget(next(iter(self._all)))
        self._forget_old()

    def _forget_old(self) -> None:
        loop = asyncio.get_running_loop()
        oldest = next(iter(self._all), None)
        while oldest is not None and oldest.tried_at + RETRY_SECONDS <= loop.time():
            self.forget(oldest)
            oldest = next(iter(self._all), None)
        if oldest is not None and (self._timer is None or self._timer.when() <= loop.time()):
            self._timer = loop.call_at(oldest.tried_at + RETRY_SECONDS, self._forget_old)


def _settle(ask: RecentAsk) -> None:
    if ask.asking is not None:
        ask.asking.set_result(None)
        ask.asking = None
