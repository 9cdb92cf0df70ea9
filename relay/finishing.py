"""Ends answers: the ending is stored first, then sent to readers, then recorded.

However the provider's call ends, one `Ending` is made of it (`endings.py`). It is written in one
update that matches only while the answer is live and belongs to this process. Readers wait for it,
and closing waits for all of them, so no bug on the way may keep an answer from ending.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from model.blocks import Block
from model.messages import Ending, Status, now
from relay.admission import Admission
from relay.answer import Answer
from relay.answer_record import AnswerRecord, record_of
from relay.checkpoints import Checkpoints
from relay.ended_answers import EndedAnswers
from relay.ending_writer import EndingWriter
from relay.endings import deleted, ending_of, failure_of, interrupted
from relay.errors import InternalError, LeaseLost
from relay.generation import Generation
from relay.live_answers import LiveAnswers
from relay.recent_asks import RecentAsks
from storage.contract import MessageStore
from storage.errors import NotFound, StorageError
from telemetry.log_event import LogEvent

log = logging.getLogger("headrace.relay")


class Finisher:
    """Ends this process' answers when their provider calls are over."""

    def __init__(
        self,
        storage: MessageStore,
        *,
        admission: Admission,
        live: LiveAnswers,
        checkpoints: Checkpoints,
        ending_writer: EndingWriter,
        ended_answers: EndedAnswers,
        recent_asks: RecentAsks,
        on_finished: Callable[[AnswerRecord], None],
    ) -> None:
        self._storage = storage
        self._admission = admission
        self._live = live
        self._checkpoints = checkpoints
        self._ending_writer = ending_writer
        self._ended_answers = ended_answers
        self._recent_asks = recent_asks
        self._on_finished = on_finished
        self._tasks: set[asyncio.Task[None]] = set()  # the loop itself holds tasks only weakly

    def finish_after(self, generation: Generation) -> None:
        """End the answer when its provider call is over."""

        def begin() -> None:
            task = asyncio.create_task(self._finish(generation), name=f"end {generation.answer.id}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            generation.timeline.note_closed()  # last: whatever it raises, the answer ends

        generation.upstream.when_over(begin)

    async def _finish(self, generation: Generation) -> None:
        """End the answer.

        A bug on the way is logged; readers still get an end, and the slot is freed.
        """
        answer = generation.answer
        is_as_stored = False
        try:
            generation.reader_timeout.stop()
            is_as_stored = await self._store_and_publish(generation, self._ending_of(generation))
        except Exception as error:
            log.error(LogEvent("answer not ended properly", answer=answer.id), exc_info=error)
            if generation.is_stored and answer.ending is None:  # it must not stay live in the store
                self._ending_writer.write_if_stored(answer.id, _after_a_bug(answer))
        finally:
            published = answer.ending or self._end_after_a_bug(answer)
            self._live.remove(generation)
            self._recent_asks.ended(answer)
        if is_as_stored and answer.readers:
            # Scheduled after the readers that the end has woken: those that waited for nothing else
            # have disconnected by then.
            asyncio.get_running_loop().call_soon(self._ended_answers.adopt, generation.user, answer)
        self._record(generation, published)
        generation.upstream.clear_traceback()

    def _ending_of(self, generation: Generation) -> Ending:
        try:
            return ending_of(generation)
        except Exception as error:
            log.error(LogEvent("ending not built", answer=generation.answer.id), exc_info=error)
            return _after_a_bug(generation.answer)

    async def _store_and_publish(self, generation: Generation, ending: Ending) -> bool:
        """Store the ending and send readers the result; returns whether they got `ending`.

        Its cost is counted here, unless another process ended the answer and has counted it.
        """
        answer = generation.answer
        published: Ending | None = ending
        if generation.is_stored:
            try:
                published = await self._ending_writer.write(answer.id, ending)
            finally:
                self._checkpoints.discard(answer)
        if published is None:
            await self._end_as_stored(generation, ending)
            return False
        answer.end(published)
        self._admission.charge(generation.user, ending.usage)
        return generation.is_stored and published is ending

    def _end_after_a_bug(self, answer: Answer) -> Ending:
        ending = _after_a_bug(answer)
        try:
            answer.end(ending)
        except Exception as error:
            log.error(LogEvent("readers not informed of the end", answer=answer.id), exc_info=error)
        return ending

    def _record(self, generation: Generation, ending: Ending) -> None:
        try:
            self._on_finished(record_of(generation, ending))
        except Exception as error:
            log.error(LogEvent("answer not recorded", answer=generation.answer.id), exc_info=error)

    async def _end_as_stored(self, generation: Generation, ending: Ending) -> None:
        """Send readers what is stored of an answer that another process ended, or deleted."""
        answer = generation.answer
        try:
            stored = await self._storage.message(generation.user, answer.id)
        except NotFound:  # deleted: no other process has counted its tokens
            self._admission.charge(generation.user, ending.usage)
            answer.end(deleted(ending))
            return
        except StorageError:
            pass
        except Exception as error:  # a bug, which must not leave readers waiting for ever
            log.error(LogEvent("ending not read", answer=answer.id), exc_info=error)
        else:
            if stored.ended_at is not None:
                answer.end_as_stored(stored)
                return
        answer.end(interrupted(ending, LeaseLost()))


def _after_a_bug(answer: Answer) -> Ending:
    """The ending of an answer whose own cannot be built; of a bug in its blocks it has none."""
    blocks: tuple[Block, ...] = ()
    with suppress(Exception):  # which is logged already: nothing could be built of them
        blocks = answer.blocks()
    return Ending(
        status=Status.FAILED, blocks=blocks, error=failure_of(InternalError()), ended_at=now()
    )
