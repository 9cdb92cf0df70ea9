"""The call to a provider that an answer comes from: connected at once, sent when it may, stopped.

Connecting takes a round trip or three, and storing the question takes one, so both happen at a
time. The question's bytes leave when it is stored, so nobody is billed for one that was never kept.
"""

import asyncio
from collections.abc import Callable

from model.messages import Status
from model.prompt import Prompt
from relay.delta_intake import DeltaIntake
from relay.errors import forget_frames
from relay.models import Source
from relay.timeline import Timeline


class UpstreamCall:
    """The task that asks a source. It begins to connect when this is made."""

    def __init__(
        self, source: Source, prompt: Prompt, intake: DeltaIntake, timeline: Timeline, *, name: str
    ) -> None:
        self.cancelled_as: Status | None = None  # how the answer ends, if it was cancelled
        self._timeline = timeline
        self._may_send = asyncio.get_running_loop().create_future()
        self._task: asyncio.Task[None] = asyncio.create_task(
            source.answer(prompt, may_send=self._may_send, on_sent=timeline.note_sent, sink=intake),
            name=name,
        )

    @property
    def is_over(self) -> bool:
        """Whether it returned, failed or was cancelled."""
        return self._task.done()

    @property
    def was_cut(self) -> bool:
        """Whether it ended by being cancelled; it may be over otherwise by the time it is told."""
        return self._task.cancelled()

    @property
    def error(self) -> BaseException | None:
        """What it failed by, now that it is over."""
        return None if self._task.cancelled() else self._task.exception()

    def send(self) -> None:
        """Let the question's bytes leave."""
        self._may_send.set_result(None)

    def when_over(self, react: Callable[[], None]) -> None:
        """Have `react` called once it is over, however it ends."""
        self._task.add_done_callback(lambda _: react())

    def cancel(self, status: Status) -> None:
        """Abort it at once; the answer ends as `status`. The first one counts."""
        if self.is_over or self.cancelled_as is not None:
            return
        self.cancelled_as = status
        self._timeline.note_cancelled()
        self._task.cancel()

    def drop(self) -> None:
        """Abort a call whose question was refused: how it ends is of no interest to anybody."""
        self._task.cancel()
        self._task.add_done_callback(_look_at_outcome)

    def forget_error(self) -> None:
        """Forget where it failed.

        The frames of its error hold the answer: so all of that memory goes at once, and waits for
        no collector.
        """
        forget_frames(self.error)


def _look_at_outcome(task: asyncio.Task[None]) -> None:
    """Else asyncio logs an error that nobody looked at."""
    if not task.cancelled():
        task.exception()
