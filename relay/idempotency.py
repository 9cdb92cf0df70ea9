"""Idempotent asks: a question that is sent again with the same key is answered once.

A client that lost its connection cannot know whether its question arrived. With an idempotency key
it may send it again: the key is stored in one transaction with question and answer, so every
process that finds the key also finds the answer, live or ended. If question and answer are not
stored, key and answer are in this process' memory, for some minutes (`recent_asks.py`).
"""

import asyncio

from model.messages import Status
from relay.answer import Answer
from relay.ask_request import AskRequest, AskResult
from relay.asking import Asker
from relay.ending_writer import EndingWriter
from relay.errors import KeyReused, StorageUnavailable
from relay.reading import Answers
from relay.recent_asks import RecentAsks
from storage.contract import AskStore
from storage.errors import KeyTaken, StorageError

# Rounds to try. A round is lost only to another process, which has stored its own, so one or two
# are usual. A store that neither takes the key nor has it contradicts itself.
_MOST_ROUNDS = 10


class IdempotentAsks:
    """Answers each idempotency key once."""

    def __init__(
        self,
        storage: AskStore,
        asker: Asker,
        answers: Answers,
        ending_writer: EndingWriter,
        recent: RecentAsks,
    ) -> None:
        self._storage = storage
        self._asker = asker
        self._answers = answers
        self._ending_writer = ending_writer
        self._recent = recent
        # Attempts in progress, by key: concurrent ones share one.
        self._trying: dict[str, asyncio.Task[AskResult]] = {}

    async def ask(self, request: AskRequest) -> AskResult:
        """The answer that the key stands for; if there is none, one that is started now.

        Raises KeyReused if the key was used for another question, and what `Asker.ask` and
        `Answers.find` raise.
        """
        # Of different questions with one key only one can be the first.
        name = request.idempotency_key_id + request.fingerprint
        trying = self._trying.get(name)
        if trying is None:
            attempt = self._try(request) if request.store else self._try_unstored(request)
            trying = asyncio.create_task(attempt, name=f"try {request.idempotency_key_id}")
            self._trying[name] = trying
            trying.add_done_callback(lambda _: self._trying.pop(name))
        return await asyncio.shield(trying)

    async def _try(self, request: AskRequest) -> AskResult:
        for _ in range(_MOST_ROUNDS):
            earlier = await self._earlier(request)
            if earlier is not None and not _was_never_asked(earlier):
                return AskResult(earlier, is_new=False)
            try:
                return AskResult(await self._asker.ask(request, earlier), is_new=True)
            except KeyTaken:
                continue
        raise StorageError("the store has a key and shows it to nobody")

    async def _try_unstored(self, request: AskRequest) -> AskResult:
        for ask in self._recent.named(request.idempotency_key_id):
            if ask.fingerprint != request.fingerprint:
                raise KeyReused
            if ask.answer is not None:  # else it is being refused
                self._recent.tried(ask, ask.tries)
                return AskResult(ask.answer, is_new=False)
        ask = self._recent.begin(request)
        try:
            answer = await self._asker.ask(request)
        except BaseException:
            self._recent.forget(ask)
            raise
        self._recent.asked(ask, answer)
        return AskResult(answer, is_new=True)

    async def _earlier(self, request: AskRequest) -> Answer | None:
        """The answer that the key stands for; None if it stands for none."""
        stored = await self._storage.idempotency_key(request.user, request.idempotency_key_id)
        if stored is None:
            return None
        if stored.fingerprint != request.fingerprint:
            raise KeyReused
        await self._ending_writer.wait_until_known(stored.answer_id)
        return await self._answers.find(request.user, stored.answer_id)


def _was_never_asked(answer: Answer) -> bool:
    """Whether the question was refused because it could not be stored, and was stored after all."""
    ending = answer.ending
    return (
        ending is not None
        and ending.status is Status.FAILED
        and ending.error is not None
        and ending.error.code == StorageUnavailable.code
    )
