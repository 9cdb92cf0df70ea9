"""All webhooks of the settings: which are told of an ending, and what sends to them."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

from http_client.client import HttpClient
from model.messages import Ending, now
from storage.contract import OutboxStore
from storage.errors import StorageError
from storage.values import WebhookDelivery
from telemetry.log_event import LogEvent
from webhooks.events import event_of
from webhooks.sender import AT_A_TIME, LIFETIME, DeliveryResult, WebhookSender
from webhooks.webhook import Webhook

log = logging.getLogger("headrace.webhooks")

# Seconds between two looks for deliveries to webhooks that are not in the settings any more.
_LEFTOVERS_SECONDS = 3600.0


class Webhooks:
    """The webhooks, and a sender for each. It is the relay's outbox, see `relay/outbox.py`."""

    def __init__(
        self,
        webhooks: Sequence[Webhook],
        storage: OutboxStore,
        on_result: Callable[[str, DeliveryResult], None],
    ) -> None:
        self._storage = storage
        self._webhooks = [(webhook.key, webhook.events) for webhook in webhooks]
        # A client of its own, so that no webhook takes a place of a call to a provider.
        self._client = HttpClient(max_connections=AT_A_TIME * max(1, len(webhooks)))
        self._senders = [
            WebhookSender(webhook, storage, self._client, on_result) for webhook in webhooks
        ]

    @property
    def waiting(self) -> Mapping[str, int]:
        """The number of deliveries that wait in the store, by webhook."""
        return {sender.webhook.name: sender.waiting for sender in self._senders}

    async def open(self) -> None:
        """Raise StorageError, with a message for the operator, if the store has no place for
        deliveries.
        """
        for key, _ in self._webhooks:
            await self._storage.waiting_deliveries(key)

    def background_tasks(self) -> Iterator[Callable[[], Awaitable[None]]]:
        """The background work that has to run while webhooks are open."""
        for sender in self._senders:
            yield sender.run
        yield self._drop_leftovers

    def deliveries(self, answer_id: str, ending: Ending) -> tuple[WebhookDelivery, ...]:
        """As `Outbox.deliveries`."""
        event = event_of(ending)
        return tuple(
            WebhookDelivery(webhook=key, answer_id=answer_id, event=event, ended_at=ending.ended_at)
            for key, events in self._webhooks
            if event in events
        )

    def wake(self) -> None:
        """As `Outbox.wake`."""
        for sender in self._senders:
            sender.wake()

    async def close(self) -> None:
        """Send what was stored last, for seconds at most; the rest stays in the store."""
        await asyncio.gather(*(sender.close() for sender in self._senders))
        self._client.close()

    async def _drop_leftovers(self) -> None:
        """Delete deliveries to webhooks that the settings had a day ago, until cancelled."""
        known = [key for key, _ in self._webhooks]
        while True:
            try:
                dropped = await self._storage.drop_deliveries(known, now() - LIFETIME)
            except StorageError:  # senders log the outage
                dropped = 0
            if dropped:
                log.warning(
                    LogEvent("events for webhooks that are not configured dropped", events=dropped)
                )
            await asyncio.sleep(_LEFTOVERS_SECONDS * random.uniform(0.5, 1.5))
