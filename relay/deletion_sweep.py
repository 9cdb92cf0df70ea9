"""Deletes the messages and files of deleted conversations in batches, by any process.

A deleted conversation is invisible from that moment on, however large it is. Its messages are
deleted afterwards: one transaction over a hundred thousand of them would block all other users. If
a process dies in between, another one, or the next start, deletes the rest.

It also deletes files whose question was never stored, because it was refused or its process died.
"""

import asyncio
import logging
import random
from contextlib import suppress
from datetime import timedelta
from typing import Protocol

from model.messages import now
from relay.errors import IdBeingDeleted
from storage.contract import DeletionStore, FileStore
from storage.errors import StorageError
from storage.values import UNASKED_FILE_SECONDS, Deletion
from telemetry.log_event import LogEvent
from telemetry.outage_log import OutageLog

log = logging.getLogger("headrace.deletion_sweep")

# How often in a lease the leftovers of dead processes are looked for, as orphans are.
_SWEEPS_PER_LEASE = 4

# Seconds for a conversation whose id is needed again: some 50,000 messages.
_FINISH_SECONDS = 2.0


class _SweptStore(DeletionStore, FileStore, Protocol):
    """What the sweep needs of a store."""


class DeletionSweep:
    """Deletes what is left of deleted conversations, one conversation at a time, and files without
    a question.
    """

    def __init__(self, storage: _SweptStore, *, lease_seconds: float) -> None:
        self._storage = storage
        self._lease_seconds = lease_seconds
        self._due = asyncio.Event()
        self._outage = OutageLog(
            log, "deleted conversations are not cleared", "deleted conversations are cleared again"
        )

    def begin(self) -> None:
        """A conversation was deleted here."""
        self._due.set()

    async def finish(self, user: str, conversation_id: str) -> None:
        """Purge a deleted conversation to its end, now, since a new one is to have its id.

        Raises IdBeingDeleted if that takes longer than a person waits for a question, and
        StorageError; the sweep goes on with it then.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _FINISH_SECONDS
        while await self._storage.purge(Deletion(conversation_id, user, again=True)):
            if loop.time() > deadline:
                raise IdBeingDeleted

    async def run(self) -> None:
        """Delete messages until cancelled: of earlier deletions first, then of those that come."""
        while True:
            self._due.clear()
            try:
                await self._clear_all()
                await self._purge_unasked_files()
            except StorageError as error:
                self._outage.failed(error.reason, error)
            else:
                self._outage.succeeded()
            pause = self._lease_seconds / _SWEEPS_PER_LEASE * random.uniform(0.5, 1.5)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._due.wait()

    async def _clear_all(self) -> None:
        """Delete in batches, with pauses as long as each batch took, so that others have half of
        the time.
        """
        while (deletion := await self._storage.next_deletion()) is not None:
            try:
                await self._purge(deletion)
            except StorageError:
                raise
            except Exception as error:  # a bug, about this one: the next sweep tries it again
                log.error(
                    LogEvent("deletion not cleared", conversation=deletion.conversation_id),
                    exc_info=error,
                )
                return

    async def _purge_unasked_files(self) -> None:
        before = now() - timedelta(seconds=UNASKED_FILE_SECONDS)
        is_more = True
        while is_more:
            is_more = await self._storage.purge_unasked_files(before)

    async def _purge(self, deletion: Deletion) -> None:
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            if not await self._storage.purge(deletion):
                return
            await asyncio.sleep(loop.time() - began)
