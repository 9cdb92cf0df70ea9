"""Makes the deliveries to one webhook that wait in the store, whichever process has stored them.

Each is claimed first, for longer than a post takes, so that of several processes one makes it. A
delivery that fails is tried again, after longer and longer pauses, for a day. If a process dies
after the receiver has accepted an event and before that is stored, the event is sent twice.

Each webhook has a sender and connections of its own, so that one that responds slowly delays no
other.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from enum import StrEnum

from http_client.client import HttpClient
from model.messages import now
from storage.contract import OutboxStore
from storage.errors import StorageError
from storage.values import WebhookDelivery
from telemetry.log_event import LogEvent
from telemetry.outage_log import OutageLog
from telemetry.rate_limited_log import RateLimitedLog
from webhooks.events import body_of, event_id
from webhooks.posting import PostResult, post
from webhooks.webhook import Webhook

log = logging.getLogger("headrace.webhooks")

# Posts at a time to one webhook, by each process: a receiver that takes 0.1 s for an event gets 80
# a second, more than a process has answers.
AT_A_TIME = 8

# Seconds for which a delivery is this process': for longer than a post, and storing what became of
# it, may take.
CLAIM_SECONDS = 30.0

# Seconds from one look for due deliveries to the next; those that are stored here are sent at once.
POLL_SECONDS = 5.0

# Seconds to the second try, and the longest pause, which is reached with the tenth. So a receiver
# that was away for a night has everything half an hour after it came back, and one that never comes
# back is tried some seventy times for each event.
FIRST_PAUSE = 5.0
LONGEST_PAUSE = 1800.0

# For how long a delivery is tried. Whoever missed a whole day asks for its answers by itself.
LIFETIME = timedelta(days=1)

# Seconds at a shutdown for events of the answers that it has ended, and for posts under way. The
# rest is sent by another process, or after the next start.
_CLOSE_SECONDS = 3.0


class DeliveryResult(StrEnum):
    """What became of a try, as metrics count it."""

    SENT = "sent"
    FAILED = "failed"  # it will be tried again
    DROPPED = "dropped"  # it will not


def pause_after(tries: int) -> float:
    """Return the seconds to wait after so many tries; a random part of them, so that deliveries
    that failed together are not tried together.
    """
    doublings = min(tries - 1, 20)  # by then it is the longest pause
    longest: float = min(FIRST_PAUSE * 2**doublings, LONGEST_PAUSE)
    return longest * random.uniform(0.5, 1.0)


class WebhookSender:
    """Makes the deliveries to one webhook. `on_result` is called with what became of each try."""

    def __init__(
        self,
        webhook: Webhook,
        storage: OutboxStore,
        client: HttpClient,
        on_result: Callable[[str, DeliveryResult], None],
    ) -> None:
        self.webhook = webhook
        self.waiting = 0  # deliveries in the store, when they were last counted
        self._storage = storage
        self._client = client
        self._on_result = on_result
        self._due = asyncio.Event()
        self._count_at = 0.0  # by the loop's clock
        self._posting: dict[asyncio.Task[None], WebhookDelivery] = {}
        self._store_outage = OutageLog(
            log,
            "deliveries to webhooks are not read from the store",
            "deliveries to webhooks are read again",
        )
        self._outage = OutageLog(
            log,
            f"webhook does not accept events, they are tried again for a day: {webhook.name}",
            f"webhook accepts events again: {webhook.name}",
        )
        self._dropped = RateLimitedLog(log, example="answer")

    def wake(self) -> None:
        """Look for due deliveries now: some were stored."""
        self._due.set()

    async def run(self) -> None:
        """Make deliveries until cancelled."""
        while True:
            self._due.clear()
            try:
                await self._begin_due()
                await self._count()
            except StorageError as error:
                self._store_outage.failed(error.reason, error)
            else:
                self._store_outage.succeeded()
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS * random.uniform(0.5, 1.5)):
                    await self._due.wait()

    async def close(self) -> None:
        """Send what was stored last, and end posts that take long: others will make them."""
        with suppress(StorageError):
            await self._begin_due()
        if self._posting:
            await asyncio.wait(self._posting, timeout=_CLOSE_SECONDS)
        left = dict(self._posting)
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left)
        with suppress(StorageError):  # else they are due when their claims are over
            for delivery in left.values():
                await self._storage.retry_delivery(delivery, seconds=0)
        self._dropped.close()

    async def _begin_due(self) -> None:
        """Begin to post what is due, as much as may be posted at a time. Raises StorageError."""
        while (free := AT_A_TIME - len(self._posting)) > 0:
            claimed = await self._storage.claim_deliveries(
                self.webhook.key, limit=free, seconds=CLAIM_SECONDS
            )
            for delivery in claimed:
                task = asyncio.create_task(self._deliver(delivery))
                self._posting[task] = delivery
                task.add_done_callback(self._ended)
            if len(claimed) < free:
                return

    def _ended(self, task: asyncio.Task[None]) -> None:
        if len(self._posting) >= AT_A_TIME:  # more may be due
            self._due.set()
        del self._posting[task]

    async def _count(self) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() >= self._count_at:
            self.waiting = await self._storage.waiting_deliveries(self.webhook.key)
            self._count_at = loop.time() + POLL_SECONDS

    async def _deliver(self, delivery: WebhookDelivery) -> None:
        try:
            await self._settle(delivery, await self._post(delivery))
        except StorageError as error:  # it is due again when its claim is over
            self._store_outage.failed(error.reason, error)

    async def _post(self, delivery: WebhookDelivery) -> PostResult:
        try:
            named = event_id(delivery.answer_id)
            return await post(self._client, self.webhook, named, body_of(delivery))
        except Exception as error:  # a bug, about this one: it is tried again like any other
            log.error(
                LogEvent("delivery to a webhook failed", answer=delivery.answer_id), exc_info=error
            )
            return PostResult(None, "internal_error")

    async def _settle(self, delivery: WebhookDelivery, result: PostResult) -> None:
        """Store what became of a try. Raises StorageError."""
        if result.is_accepted:
            self._outage.succeeded()
            self._on_result(self.webhook.name, DeliveryResult.SENT)
            await self._storage.finish_delivery(delivery)
            return
        self._outage.failed(result.reason)
        if result.is_unwanted or now() - delivery.ended_at >= LIFETIME:
            self._on_result(self.webhook.name, DeliveryResult.DROPPED)
            await self._storage.finish_delivery(delivery)
            event = LogEvent(
                "event for a webhook dropped",
                webhook=self.webhook.name,
                reason=result.reason,
                answer=delivery.answer_id,
            )
            self._dropped.log(event, logging.WARNING)
            return
        self._on_result(self.webhook.name, DeliveryResult.FAILED)
        pause = max(pause_after(delivery.tries), min(result.retry_after, LONGEST_PAUSE))
        await self._storage.retry_delivery(delivery, seconds=pause)
