"""Retries of SDKs: a request that an SDK sends again by itself gets the answer that there is.

OpenAI's SDKs send a request again when no response came, or a proxy's 504, and count the tries.
Retry n follows try n-1 of the same request of the same user: it gets that try's answer if it is
live, complete or was stopped. An answer that failed, or was cancelled because its client had
disconnected, is not worth another look: the SDK asks in order to get another one. Two equal
requests that are both a first try are two questions, and a second retry with one number is of
another question than the first.

At this process the tries are known (`recent_asks.py`). At another one a stored question is found by
an idempotency key that stands for the newest question with the same request.
"""

import asyncio
from datetime import timedelta

from model.messages import Status, now
from relay.answer import Answer
from relay.ask_request import AskRequest, AskResult
from relay.asking import Asker
from relay.ending_writer import EndingWriter
from relay.reading import Answers
from relay.recent_asks import RETRY_SECONDS, RecentAsk, RecentAsks
from storage.contract import AskStore
from storage.errors import KeyTaken, NotFound

# Rounds in which another process may take the key for an equal question of the same moment. After
# that a question is asked without a key: a retry at another process would not find it.
_MOST_ROUNDS = 3

_KEPT = (Status.LIVE, Status.COMPLETE, Status.STOPPED)


class SdkRetries:
    """Answers questions of SDKs that count their tries."""

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

    async def ask(self, request: AskRequest) -> AskResult:
        """The answer of the try before, or one that is started now. Raises as `Asker.ask` does."""
        if request.sdk_retry and (earlier := await self._earlier(request)) is not None:
            return AskResult(earlier, is_new=False)
        return AskResult(await self._new(request), is_new=True)

    async def _earlier(self, request: AskRequest) -> Answer | None:
        """The answer of the try that this one follows; None if there is none worth having."""
        tries = request.sdk_retry or 0
        while (ask := self._before(request, tries)) is not None:
            self._recent.tried(ask, tries)  # at once, so that no other retry takes it
            if ask.asking is not None:
                await asyncio.shield(ask.asking)
            answer = await self._answer_of(ask)
            if answer is not None and _is_kept(answer):
                return answer
            self._recent.forget(ask)
        return await self._stored(request) if request.store else None

    def _before(self, request: AskRequest, tries: int) -> RecentAsk | None:
        """The most likely of the earlier tries: one whose client has left, the newest of them."""
        before = [
            ask for ask in self._recent.named(request.idempotency_key_id) if ask.tries < tries
        ]
        return max(before, key=lambda ask: (ask.is_unread, ask.tries, ask.tried_at), default=None)

    async def _answer_of(self, ask: RecentAsk) -> Answer | None:
        if ask.answer is not None or ask.answer_id is None:
            return ask.answer
        return await self._found(ask.user, ask.answer_id)

    async def _stored(self, request: AskRequest) -> Answer | None:
        """The answer to the newest question with the same request, if another process took it."""
        key = await self._storage.idempotency_key(request.user, request.idempotency_key_id)
        if key is None or key.created_at < now() - timedelta(seconds=RETRY_SECONDS):
            return None
        if self._recent.with_answer(key.answer_id) is not None:
            return None  # another retry has it
        await self._ending_writer.wait_until_known(key.answer_id)
        answer = await self._found(request.user, key.answer_id)
        return answer if answer is not None and _is_kept(answer) else None

    async def _found(self, user: str, answer_id: str) -> Answer | None:
        try:
            return await self._answers.find(user, answer_id)
        except NotFound:  # deleted in the meantime
            return None

    async def _new(self, request: AskRequest) -> Answer:
        others = self._recent.named(request.idempotency_key_id)
        has_key = request.store and all(other.asking is None for other in others)
        ask = self._recent.begin(request)
        try:
            answer = await (self._with_key(request) if has_key else self._without_key(request))
        except BaseException:
            self._recent.forget(ask)
            raise
        self._recent.asked(ask, answer)
        return answer

    async def _with_key(self, request: AskRequest) -> Answer:
        """Ask, and let the key stand for this question, in place of an earlier one."""
        for _ in range(_MOST_ROUNDS):
            key = await self._storage.idempotency_key(request.user, request.idempotency_key_id)
            try:
                return await self._asker.ask(
                    request, key_from=None if key is None else key.answer_id
                )
            except KeyTaken:
                continue
        return await self._without_key(request)

    async def _without_key(self, request: AskRequest) -> Answer:
        return await self._asker.ask(request, with_key=False)


def _is_kept(answer: Answer) -> bool:
    return answer.ending is None or answer.ending.status in _KEPT
