"""The call to a provider: it connects at once, sends when it may, and can be cancelled.

Connecting takes one to three round trips and storing the question takes one, so both happen at the
same time. The request is sent when the question is stored, so that the operator is never billed for
one that was not stored.
"""

import asyncio
from collections.abc import Callable

from model.messages import Status
from model.prompt import Prompt
from relay.delta_intake import DeltaIntake
from relay.errors import clear_traceback
from relay.models import Source
from relay.timeline import Timeline


class UpstreamCall:
    """The task that calls a source. It begins to connect when this is made."""

    __slots__ = ("_may_send", "_task", "_timeline", "cancelled_as")

    def __init__(
        self, source: Source, prompt: Prompt, intake: DeltaIntake, timeline: Timeline, *, name: str
    ) -> None:
        self.cancelled_as: Status | None = None  # the answer's status, if the call was cancelled
        self._timeline = timeline
        self._may_send = asyncio.get_running_loop().create_future()
        self._task: asyncio.Task[None] = asyncio.create_task(
            source.answer(prompt, may_send=self._may_send, on_sent=timeline.note_sent, sink=intake),
            name=name,
        )

    @property
    def is_over(self) -> bool:
        """Whether the call returned, failed or was cancelled."""
        return self._task.done()

    @property
    def was_cancelled(self) -> bool:
        """Whether it ended by being cancelled; it may have ended otherwise in the meantime."""
        return self._task.cancelled()

    @property
    def error(self) -> BaseException | None:
        """The error that the ended call failed with, if it did."""
        return None if self._task.cancelled() else self._task.exception()

    def send(self) -> None:
        """Let the request be sent."""
        self._may_send.set_result(None)

    def when_over(self, react: Callable[[], None]) -> None:
        """Call `react` once the call is over, however it ends."""
        self._task.add_done_callback(lambda _: react())

    def cancel(self, status: Status) -> None:
        """Cancel the call at once; the answer ends as `status`. The first call counts."""
        if self.is_over or self.cancelled_as is not None:
            return
        self.cancelled_as = status
        self._task.cancel()
        self._timeline.note_cancelled()  # last: whatever it raises, the call is cancelled

    def drop(self) -> None:
        """Cancel a call whose question was refused; its outcome does not matter."""
        self._task.cancel()
        self._task.add_done_callback(_retrieve_outcome)

    def clear_traceback(self) -> None:
        """Drop the traceback of the error.

        Its frames refer to the answer: without it the memory is freed at once and not by the
        garbage collector.
        """
        clear_traceback(self.error)


def _retrieve_outcome(task: asyncio.Task[None]) -> None:
    """Retrieve the outcome, since asyncio logs errors that are never retrieved."""
    if not task.cancelled():
        task.exception()
