"""A store in memory: as much of the contract as the relay's own tests need, and in plain sight.

Processes that share a store share one `Memory`; each has a `MemoryStorage` on it. What it does not
keep: API keys, backups, and the clock of leases: a process is dead when it is in `Memory.dead`.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import msgspec

from model.blocks import file_ids
from model.growth import Chunk, fold
from model.messages import Conversation, Ending, Message, Role, Status
from storage.errors import Busy, KeyTaken, NotFound
from storage.values import (
    AnswerUpdates,
    Deletion,
    IdempotencyKey,
    Page,
    PeerRequests,
    StoredFile,
    UsageCount,
    UsageSpan,
    WebhookDelivery,
)


class Memory:
    """What is stored, by all processes."""

    def __init__(self) -> None:
        self.conversations: dict[str, Conversation] = {}
        self.messages: dict[str, Message] = {}  # in the order of storing
        self.chunks: dict[str, list[Chunk]] = {}
        self.keys: dict[str, IdempotencyKey] = {}
        self.requests: dict[str, Mapping[str, PeerRequests]] = {}  # by who asks
        self.counts: dict[UsageSpan, dict[str, int]] = {}
        self.dead: set[str] = set()  # processes whose lease has run out
        self.unreadable: frozenset[str] = frozenset()
        self.stored_bytes = 0
        self.files: dict[str, StoredFile] = {}
        self.asked_files: set[str] = set()
        self.deliveries: list[WebhookDelivery] = []

    def hand_over(self, process: str, *answer_ids: str) -> None:
        """Have live answers be those of a process that died."""
        self.dead.add(process)
        for answer_id in answer_ids:
            message = self.messages[answer_id]
            self.messages[answer_id] = msgspec.structs.replace(message, owner=process)


class MemoryStorage:
    """The store as one process has it."""

    writes_are_ordered = True

    def __init__(self, process: str, memory: Memory | None = None) -> None:
        self.process = process
        self.memory = memory or Memory()

    async def create_conversation(self, conversation: Conversation) -> None:
        """Keep it."""
        self.memory.conversations[conversation.id] = conversation

    async def conversation(self, user: str, conversation_id: str) -> Conversation:
        """As the contract says."""
        found = self.memory.conversations.get(conversation_id)
        if found is None or found.user != user:
            raise NotFound
        return found

    async def delete_conversation(self, user: str, conversation_id: str) -> None:
        """As the contract says; nothing is left to purge."""
        await self.conversation(user, conversation_id)
        del self.memory.conversations[conversation_id]
        for message in list(self.memory.messages.values()):
            if message.conversation_id == conversation_id:
                del self.memory.messages[message.id]

    async def next_deletion(self) -> Deletion | None:
        """None: nothing is ever left."""
        return None

    async def store_file(self, file: StoredFile) -> None:
        """As the contract says."""
        self.memory.files[file.id] = file

    async def file(self, user: str, file_id: str) -> StoredFile:
        """As the contract says."""
        found = self.memory.files.get(file_id)
        if found is None or found.user != user or file_id not in self.memory.asked_files:
            raise NotFound
        return found

    async def discard_files(self, user: str, file_ids: Collection[str]) -> None:
        """As the contract says."""
        for file_id in set(file_ids) - self.memory.asked_files:
            self.memory.files.pop(file_id, None)

    async def purge_unasked_files(self, before: datetime) -> bool:
        """As the contract says, all at once."""
        for file in list(self.memory.files.values()):
            if file.created_at < before and file.id not in self.memory.asked_files:
                del self.memory.files[file.id]
        return False

    async def stored_bytes(self, user: str) -> int:
        """What the test says."""
        return self.memory.stored_bytes

    async def ask(
        self,
        question: Message | None,
        answer: Message,
        *,
        title: str | None,
        new: Conversation | None,
        key: IdempotencyKey | None = None,
        replaces: str | None = None,
        id_is_chosen: bool = False,
    ) -> None:
        """As the contract says."""
        if key is not None:
            taken = self.memory.keys.get(key.id)
            if taken is not None and taken.answer_id not in (answer.id, replaces):
                raise KeyTaken
        if new is not None:
            self.memory.conversations[new.id] = new
        await self.conversation(answer.user, answer.conversation_id)
        if (live := await self.live_answer(answer.user, answer.conversation_id)) is not None:
            raise Busy(live)
        if question is not None:
            self.memory.asked_files |= set(file_ids(question.blocks))
        for message in (question, answer):
            if message is not None:
                ordinal = len(self.memory.messages)
                self.memory.messages[message.id] = msgspec.structs.replace(message, ordinal=ordinal)
        if key is not None:
            self.memory.keys[key.id] = key

    async def idempotency_key(self, user: str, key_id: str) -> IdempotencyKey | None:
        """As the contract says."""
        return self.memory.keys.get(key_id)

    async def message(self, user: str, message_id: str) -> Message:
        """As the contract says."""
        found = self.memory.messages.get(message_id)
        if found is None or found.user != user:
            raise NotFound
        if found.status is Status.LIVE:
            blocks = fold(self.memory.chunks.get(message_id, ()))
            return msgspec.structs.replace(found, blocks=blocks)
        return found

    async def answer_status(self, user: str, answer_id: str) -> str:
        """As the contract says."""
        message = await self.message(user, answer_id)
        if message.role != Role.ASSISTANT:
            raise NotFound
        return message.status

    async def branch(
        self,
        user: str,
        conversation_id: str,
        *,
        limit: int,
        last: str | None,
        max_chars: int | None = None,
    ) -> Page[Message]:
        """As the contract says, in one page."""
        await self.conversation(user, conversation_id)
        own = [m for m in self.memory.messages.values() if m.conversation_id == conversation_id]
        if last is not None and last not in {message.id for message in own}:
            raise NotFound
        at = last or (own[-1].id if own else None)
        found: list[Message] = []
        while at is not None and len(found) < limit:
            found.append(await self.message(user, at))
            at = found[-1].parent_id
        return Page(tuple(reversed(found)), at)

    async def live_answer(self, user: str, conversation_id: str) -> str | None:
        """As the contract says."""
        await self.conversation(user, conversation_id)
        for message in self.memory.messages.values():
            if message.conversation_id == conversation_id and message.status is Status.LIVE:
                return message.id
        return None

    async def append_chunks(self, chunks: Sequence[Chunk]) -> frozenset[str]:
        """As the contract says."""
        gone = set()
        for chunk in chunks:
            if chunk.answer_id not in self.memory.messages:
                gone.add(chunk.answer_id)
                continue
            stored = self.memory.chunks.setdefault(chunk.answer_id, [])
            if chunk not in stored:
                stored.append(chunk)
        return frozenset(gone)

    async def end_answer(
        self,
        answer_id: str,
        owner: str,
        ending: Ending,
        deliveries: Sequence[WebhookDelivery] = (),
    ) -> bool:
        """As the contract says."""
        message = self.memory.messages.get(answer_id)
        if message is None or message.owner != owner or message.status is not Status.LIVE:
            return False
        fields = {name: getattr(ending, name) for name in ending.__struct_fields__}
        self.memory.messages[answer_id] = msgspec.structs.replace(message, **fields)
        self.memory.deliveries += deliveries
        return True

    async def renew_lease(self, requests: Mapping[str, PeerRequests]) -> bool:
        """As the contract says; who was taken for dead lives again."""
        self.memory.requests[self.process] = requests
        was_alive = self.process not in self.memory.dead
        self.memory.dead.discard(self.process)
        return was_alive

    async def peer_requests(self) -> PeerRequests:
        """As the contract says."""
        asked = [each.get(self.process) for each in self.memory.requests.values()]
        ours = [each for each in asked if each is not None]
        return PeerRequests(
            frozenset().union(*(each.follows for each in ours)),
            frozenset().union(*(each.stops for each in ours)),
            frozenset().union(*(each.stops_unread for each in ours)),
        )

    async def answer_updates(self, positions: Mapping[str, int]) -> AnswerUpdates:
        """As the contract says."""
        stored = self.memory.messages
        known = [stored[each] for each in positions if each in stored]
        return AnswerUpdates(
            chunks=tuple(
                chunk
                for answer_id, position in positions.items()
                for chunk in self.memory.chunks.get(answer_id, ())
                if chunk.position == position
            ),
            ended=tuple(message for message in known if message.status is not Status.LIVE),
            gone=frozenset(positions.keys() - stored.keys()),
        )

    async def own_live_answers(self) -> frozenset[str]:
        """As the contract says."""
        return frozenset(
            message.id
            for message in self.memory.messages.values()
            if message.status is Status.LIVE and message.owner == self.process
        )

    async def orphans(self) -> list[Message]:
        """As the contract says, all at a time."""
        live = [each for each in self.memory.messages.values() if each.status is Status.LIVE]
        return [
            await self.message(each.user, each.id)
            for each in live
            if each.owner in self.memory.dead
        ]

    async def unreadable(self, kinds: Collection[str]) -> frozenset[str]:
        """What the test says."""
        return self.memory.unreadable & frozenset(kinds)

    async def share_counts(self, counts: Sequence[UsageCount]) -> Mapping[UsageSpan, int]:
        """As the contract says."""
        for count in counts:
            writers = self.memory.counts.setdefault(count.span, {})
            writers[count.writer] = max(writers.get(count.writer, 0), count.amount)
        return {each.span: sum(self.memory.counts[each.span].values()) for each in counts}
