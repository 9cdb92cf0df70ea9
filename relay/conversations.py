"""Creates, changes and deletes conversations, within the limits and with regard to live answers."""

import asyncio
from contextlib import suppress
from datetime import datetime

from model.messages import Conversation, Status
from relay.admission import Admission
from relay.deletion_sweep import DeletionSweep
from relay.live_answers import LiveAnswers
from relay.orphans import Orphans
from relay.reading import Answers
from relay.stopping import STOP_TIMEOUT, Stopper
from storage.contract import Storage
from storage.errors import NotFound
from storage.sizes import conversation_bytes, fields_bytes
from storage.values import Changes


class Conversations:
    """The conversations of all users, to be changed."""

    def __init__(
        self,
        storage: Storage,
        *,
        admission: Admission,
        live: LiveAnswers,
        answers: Answers,
        stopper: Stopper,
        orphans: Orphans,
        deletion_sweep: DeletionSweep,
    ) -> None:
        self._storage = storage
        self._admission = admission
        self._live = live
        self._answers = answers
        self._stopper = stopper
        self._orphans = orphans
        self._deletion_sweep = deletion_sweep

    async def create(self, conversation: Conversation) -> None:
        """Store a new conversation. Raises TooManyChanges, StorageQuotaExceeded and
        StorageError.
        """
        size = conversation_bytes(conversation)
        async with self._admission.changing(conversation.user, size):
            await self._storage.create_conversation(conversation)

    async def change(
        self, user: str, conversation_id: str, changes: Changes, updated_at: datetime
    ) -> Conversation:
        """Apply `changes`. Raises NotFound, and as `create` does."""
        async with self._admission.changing(user, fields_bytes(changes)):
            return await self._storage.change_conversation(
                user, conversation_id, changes, updated_at
            )

    async def delete(self, user: str, conversation_id: str) -> None:
        """Delete a conversation; its live answer is stopped first. Raises NotFound."""
        answer_id = await self._storage.live_answer(user, conversation_id)
        if answer_id is not None:
            if answer_id not in self._live:
                await self._orphans.end_all()  # that of a dead process need not be waited for
            with suppress(TimeoutError, NotFound):
                async with asyncio.timeout(STOP_TIMEOUT):
                    answer = await self._stopper.stop(user, answer_id)
                    with self._answers.reader(answer) as reader:
                        await reader.ended()
        await self._storage.delete_conversation(user, conversation_id)
        self._deletion_sweep.begin()
        self._admission.freed(user)
        # A question may have been stored in between.
        self._live.cancel_conversation(conversation_id, Status.STOPPED)
