"""What others are to be told of an answer's ending, which is stored with it.

The relay only asks what is to be stored; who is told, and how, is in `webhooks/`.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

from model.messages import Ending
from storage.contract import LiveAnswerStore
from storage.values import WebhookDelivery

EndAnswer = Callable[[str, str, Ending], Awaitable[bool]]


class Outbox(Protocol):
    """Says which deliveries are to be stored with an ending."""

    def deliveries(self, answer_id: str, ending: Ending) -> tuple[WebhookDelivery, ...]:
        """Return the deliveries of an ending, to be stored in the same step."""

    def wake(self) -> None:
        """Some were stored: they may be made now."""


def end_answer_with(storage: LiveAnswerStore, outbox: Outbox | None) -> EndAnswer:
    """Return a function that ends an answer as the store's `end_answer` does, and stores with the
    ending what `outbox` has for it. Without one it is the store's own: nothing is added to what a
    question costs.
    """
    if outbox is None:
        return storage.end_answer

    async def end_answer(answer_id: str, owner: str, ending: Ending) -> bool:
        deliveries = outbox.deliveries(answer_id, ending)
        stored = await storage.end_answer(answer_id, owner, ending, deliveries)
        if deliveries:
            outbox.wake()
        return stored

    return end_answer
