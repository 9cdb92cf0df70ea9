"""This process's lease on its answers, and the end of answers whose process is dead."""

import asyncio
import logging
import random

from relay.relay import Relay
from storage.base import Storage, StorageError

log = logging.getLogger("headrace.leases")

# A lease is renewed this often while it lasts, so that one or two failures do not cost it.
_RENEWALS_PER_LEASE = 6


async def keep_lease(storage: Storage, *, lease_seconds: float) -> None:
    """Renew this process's lease until cancelled."""
    while True:
        try:
            await storage.renew_lease()
        except StorageError as error:
            log.warning("lease not renewed: %s", error)
        await asyncio.sleep(lease_seconds / _RENEWALS_PER_LEASE)


async def sweep_orphans(relay: Relay, *, lease_seconds: float) -> None:
    """End what dead processes left live, about once a lease, until cancelled.

    At random moments, so that many processes do not all look at once.
    """
    while True:
        await asyncio.sleep(lease_seconds * random.uniform(0.5, 1.5))
        try:
            await relay.end_orphans()
        except StorageError as error:
            log.warning("orphans not ended: %s", error)
