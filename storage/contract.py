"""The storage contract: what each operation promises, in a protocol for each kind of caller.

Two stores keep all of it, SQLite and MongoDB, and one suite of contract tests runs against both.
Every operation is idempotent: after any StorageError the outcome is unknown and the caller may
simply try again with the same arguments. Operations made for a request carry the user, so that
one user can never name another's document: it is NotFound, the same as one that never was. API
keys are looked up before it is known who asks; they are the one exception.

Text is anything that UTF-8 can carry, NUL included; a lone surrogate is a ValueError, and nothing
is kept. All times are aware and in UTC, whole milliseconds.
"""

from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import ClassVar, Protocol

from model.growth import Chunk
from model.messages import Conversation, Ending, Message
from storage.values import (
    ApiKey,
    Changes,
    Count,
    Deletion,
    Growth,
    IdempotencyKey,
    Order,
    Page,
    PeerRequests,
    Span,
    StoreReport,
)


class ConversationStore(Protocol):
    """What a user's conversations are, without what is said in them."""

    @abstractmethod
    async def create_conversation(self, conversation: Conversation) -> None:
        """Keep a new conversation."""

    @abstractmethod
    async def conversation(self, user: str, conversation_id: str) -> Conversation:
        """One conversation. Raises NotFound."""

    @abstractmethod
    async def conversations(
        self, user: str, *, limit: int, after: str | None, order: Order = Order.CREATED
    ) -> Page[Conversation]:
        """Newest (created or updated last) first.

        `after` is an earlier page's `next`, of the same order; raises InvalidCursor if not. What is
        updated meanwhile moves ahead of all pages; of the rest nothing is passed over or comes
        twice.
        """

    @abstractmethod
    async def change_conversation(
        self, user: str, conversation_id: str, changes: Changes, updated_at: datetime
    ) -> Conversation:
        """Apply `changes` and return what is then kept. Raises NotFound."""

    @abstractmethod
    async def kept_bytes(self, user: str) -> int:
        """How much of the store is a user's, as `sizes.py` counts it."""


class MessageStore(Protocol):
    """What is said in conversations; a live answer comes with the blocks checkpointed so far."""

    @abstractmethod
    async def message(self, user: str, message_id: str) -> Message:
        """One message; a live answer comes with the blocks checkpointed so far. Raises NotFound."""

    @abstractmethod
    async def messages(
        self, user: str, conversation_id: str, *, limit: int, before: str | None
    ) -> Page[Message]:
        """The newest `limit` messages, oldest of them first; `next` leads to older ones.

        Live answers come with the blocks checkpointed so far. Raises NotFound for the conversation
        and InvalidCursor for a `before` that is none.
        """

    @abstractmethod
    async def branch(
        self,
        user: str,
        conversation_id: str,
        *,
        limit: int,
        last: str | None,
        max_chars: int | None = None,
    ) -> Page[Message]:
        """The message `last` and the nearest it goes on from, `limit` in all, oldest of them first.

        At least one is read, and no more than have `max_chars` characters together, if that is less
        than a page has. `next` is what the oldest goes on from: the `last` of the page before.
        Without `last` it is the branch of the newest message, which is always an answer. A live one
        comes with the blocks checkpointed so far. Raises NotFound for the conversation, and for a
        `last` that is no message of it.
        """

    @abstractmethod
    async def answer_status(self, user: str, answer_id: str) -> str:
        """How an answer stands, without its text. Raises NotFound, also for what is no answer."""

    @abstractmethod
    async def live_answer(self, user: str, conversation_id: str) -> str | None:
        """The id of the conversation's live answer, if there is one. Raises NotFound."""


class AskStore(Protocol):
    """Keeps a question with its answer that is to come, and with its idempotency key."""

    @abstractmethod
    async def ask(
        self,
        question: Message | None,
        answer: Message,
        *,
        title: str | None,
        new: Conversation | None,
        key: IdempotencyKey | None = None,
        replaces: str | None = None,
    ) -> None:
        """Keep a question, its live answer and its key, all or nothing.

        Without `question` it is one more answer to a question that is kept; parents are the
        caller's to check. `new` is the conversation to be made in the same step; without it the
        named one must exist (NotFound). `title`, unless it is None, becomes the conversation's if
        that has none. `answer.created_at` becomes its `updated_at`. Raises Busy if another answer
        is live there. Asking again with the same ids changes nothing.

        Raises KeyTaken, ahead of NotFound and Busy, if `key` stands for another answer, unless
        that is the one with the id `replaces`: then it stands for the new one from now on.
        """

    @abstractmethod
    async def idempotency_key(self, user: str, key_id: str) -> IdempotencyKey | None:
        """What a key stands for, if it was used within about a day."""


class LiveAnswerStore(Protocol):
    """Keeps what a process generates: growth while an answer is live, and its ending."""

    # Whether what failed, or whose caller was cancelled, is carried out before the next command or
    # never. Where this is False, it may still be carried out later.
    is_prompt: ClassVar[bool] = False

    process: str  # the owner of what it keeps, see `CoordinationStore`

    @abstractmethod
    async def append_chunks(self, chunks: Sequence[Chunk]) -> frozenset[str]:
        """Keep growth. A chunk that is already there is success: chunks never change.

        Returns those of the answers whose conversation is deleted: no growth of theirs stays.
        """

    @abstractmethod
    async def end_answer(self, answer_id: str, owner: str, ending: Ending) -> bool:
        """Write an ending, once, if the answer is live and `owner`'s.

        True also when this ending was written before; False: the answer is no longer the owner's,
        and what its readers hold may differ from what is kept.
        """


class CoordinationStore(Protocol):
    """What processes tell each other through the store: leases, requests to peers, growth."""

    process: str  # names this process as the owner of answers: 128 random bits, new at every start

    @abstractmethod
    async def renew_lease(self, requests: Mapping[str, PeerRequests]) -> bool:
        """Say that this process lives, for another `lease_seconds`, and what it asks of others.

        `requests` has the answers of other processes by their owner; it replaces what was said
        before. False: the lease had run out, so others may have ended this process's answers.
        """

    @abstractmethod
    async def peer_requests(self) -> PeerRequests:
        """What processes that live want of this one's answers."""

    @abstractmethod
    async def growth(self, positions: Mapping[str, int]) -> Growth:
        """What became of answers, by id, since the positions up to which they are known."""

    @abstractmethod
    async def own_live_answers(self) -> frozenset[str]:
        """The ids of this process's answers that are live in the store."""

    @abstractmethod
    async def orphans(self) -> list[Message]:
        """The live answers of processes that died, with their blocks so far, some at a time.

        Empty unless this process's own lease was renewed without a gap for one whole lease:
        whoever was cut off from the store cannot tell who is dead.
        """

    @abstractmethod
    async def unreadable(self, kinds: Collection[str]) -> frozenset[str]:
        """Those of `kinds` that some process whose lease is held cannot read.

        Kinds are as in `model/blocks.py`: `later_kinds` tells those of blocks.
        """


class DeletionStore(Protocol):
    """Deletes conversations, and then purges the store of what was said in them."""

    @abstractmethod
    async def delete_conversation(self, user: str, conversation_id: str) -> None:
        """Forget a conversation with all its messages. Raises NotFound, also when done twice.

        It takes as long for many messages as for one: none of it is seen any more from then on,
        and what is left of it in the store is for `clear`.
        """

    @abstractmethod
    async def deletion(self) -> Deletion | None:
        """A deleted conversation for this process to clear; for some time it is nobody else's.

        None if there is none. One that a process began to clear and left comes up again.
        """

    @abstractmethod
    async def clear(self, deletion: Deletion) -> bool:
        """Take away some of what is left of a conversation. False once there is nothing more."""


class ApiKeyStore(Protocol):
    """The API keys by which users enter."""

    @abstractmethod
    async def create_api_key(self, key: ApiKey) -> None:
        """Keep a new API key. Raises StorageError if there is no room for what limits it."""

    @abstractmethod
    async def api_keys(self, key_ids: Collection[str]) -> list[ApiKey]:
        """Those of the API keys that exist, revoked and expired ones too, in any order.

        It is asked who the user is: it names none.
        """

    @abstractmethod
    async def list_api_keys(
        self, user: str | None, *, limit: int, after: str | None
    ) -> Page[ApiKey]:
        """A user's API keys, or everybody's, by their ids. `after` as in `conversations`."""

    @abstractmethod
    async def revoke_api_key(self, key_id: str, revoked_at: datetime) -> ApiKey:
        """Take an API key back and return what is kept of it; the first time counts.

        Raises NotFound.
        """


class CountStore(Protocol):
    """What users used, counted by all processes together."""

    @abstractmethod
    async def share_counts(self, counts: Sequence[Count]) -> Mapping[Span, int]:
        """Keep what was counted; returns what all writers together have, for each of the spans.

        What a writer has counted only grows: less than is kept changes nothing, and 0 just asks.
        A span is forgotten some time after its end.
        """


class StoreLifecycle(Protocol):
    """The store as a whole: before and after all its other operations."""

    @abstractmethod
    async def open(self, *, beside: bool = False) -> None:
        """Connect and create what is missing; what an older version made is served as it is.

        `beside` servers that may run, for a command that manages API keys and leaves: it takes no
        lease, so it owns no answers. Raises StorageError, with words for the operator, if that
        cannot be done, and Outdated where it takes `migrate` first.
        """

    @abstractmethod
    async def report(self) -> StoreReport:
        """Report how the store is, in place of `open`: it changes nothing, and lets go.

        Raises StorageError, with words for the operator, if `open` would.
        """

    @abstractmethod
    async def migrate(self, say: Callable[[str], None]) -> bool:
        """Bring the store to this version, in place of `open`, and let go; whether it was due.

        `say` is told each change, in words, when it was made, from whichever thread made it.
        Nothing that is kept is taken away, and what is done already is not done again. Raises
        StorageError, with words for the operator.
        """

    @abstractmethod
    async def close(self) -> None:
        """Let go of everything. Nothing may be called afterwards; calling it twice is harmless.

        The lease goes too, unless it has requests to peers: who read their answers here may
        read them elsewhere before it has run out, and nobody takes them for left meanwhile.
        """

    @abstractmethod
    async def ping(self) -> None:
        """Return if the store answers and can be written to; else raise StorageError."""


class Storage(
    ConversationStore,
    LiveAnswerStore,
    MessageStore,
    AskStore,
    CoordinationStore,
    DeletionStore,
    ApiKeyStore,
    CountStore,
    StoreLifecycle,
    Protocol,
):
    """The whole of a store: all of the protocols above."""
