"""Ends answers: the ending is stored first, then sent to readers, then recorded.

However the provider's call ends, one `Ending` is made of it (`endings.py`). It is written in one
update that matches only while the answer is live and belongs to this process.
"""

import asyncio
import logging
from collections.abc import Callable

from model.messages import Ending
from relay.admission import Admission
from relay.answer_record import AnswerRecord, record_of
from relay.checkpoints import Checkpoints
from relay.ended_answers import EndedAnswers
from relay.ending_writer import EndingWriter
from relay.endings import deleted, ending_of, interrupted
from relay.errors import LeaseLost
from relay.generation import Generation
from relay.live_answers import LiveAnswers
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
        on_finished: Callable[[AnswerRecord], None],
    ) -> None:
        self._storage = storage
        self._admission = admission
        self._live = live
        self._checkpoints = checkpoints
        self._ending_writer = ending_writer
        self._ended_answers = ended_answers
        self._on_finished = on_finished
        self._tasks: set[asyncio.Task[None]] = set()  # the loop itself holds tasks only weakly

    def finish_after(self, generation: Generation) -> None:
        """End the answer when its provider call is over."""

        def begin() -> None:
            generation.timeline.note_closed()
            task = asyncio.create_task(self._finish(generation), name=f"end {generation.answer.id}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        generation.upstream.when_over(begin)

    async def _finish(self, generation: Generation) -> None:
        answer = generation.answer
        generation.reader_timeout.stop()
        ending = ending_of(generation)
        told: Ending | None = ending
        if generation.is_stored:
            told = await self._ending_writer.write(answer.id, ending)
        self._checkpoints.discard(answer)
        if told is not None:
            self._admission.charge(generation.user, ending.usage)
            answer.end(told)
        else:
            await self._end_as_stored(generation, ending)
        self._live.remove(generation)
        if told is ending and generation.is_stored and answer.readers:
            # Scheduled after the readers that the end has woken: those that waited for nothing else
            # have disconnected by then.
            asyncio.get_running_loop().call_soon(self._ended_answers.adopt, generation.user, answer)
        assert answer.ending is not None
        self._on_finished(record_of(generation, answer.ending))
        generation.upstream.forget_error()

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
                answer.settle(stored)
                return
        answer.end(interrupted(ending, LeaseLost()))
