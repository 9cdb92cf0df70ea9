"""The storage contract: what each operation promises, in one protocol for each kind of caller.

Two stores implement all of it, SQLite and MongoDB, and the same contract tests run against both.
Every operation is idempotent: after any StorageError the outcome is unknown, and the caller may try
again with the same arguments. Operations made for a request take the user, so that no user can
reach another's document: it is NotFound, like one that never existed. API keys are the exception:
they are looked up before the user is known.

Text is anything that UTF-8 can represent, NUL included; a lone surrogate is a ValueError, and
nothing is stored. All times are aware, in UTC, and whole milliseconds.
"""

from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import ClassVar, Protocol

from model.growth import Chunk
from model.messages import Conversation, Ending, Message
from storage.answer_lists import AnswerLists
from storage.values import (
    AnswerUpdates,
    ApiKey,
    Changes,
    Deletion,
    IdempotencyKey,
    Order,
    Page,
    PeerRequests,
    StoredFile,
    StoreReport,
    UsageCount,
    UsageSpan,
    WebhookDelivery,
)


class ConversationStore(Protocol):
    """A user's conversations, without their messages."""

    @abstractmethod
    async def create_conversation(self, conversation: Conversation) -> None:
        """Store a new conversation."""

    @abstractmethod
    async def conversation(self, user: str, conversation_id: str) -> Conversation:
        """Return a conversation. Raises NotFound."""

    @abstractmethod
    async def conversations(
        self, user: str, *, limit: int, after: str | None, order: Order = Order.CREATED
    ) -> Page[Conversation]:
        """Return a page of conversations, the last created or updated first.

        `after` is the `next` of an earlier page in the same order; raises InvalidCursor otherwise.
        A conversation that is updated in the meantime moves to the front; none of the others is
        skipped or repeated.
        """

    @abstractmethod
    async def change_conversation(
        self, user: str, conversation_id: str, changes: Changes, updated_at: datetime
    ) -> Conversation:
        """Apply `changes` and return what is stored then. Raises NotFound."""

    @abstractmethod
    async def stored_bytes(self, user: str) -> int:
        """Return how many bytes a user has stored, as `sizes.py` counts them."""


class MessageStore(Protocol):
    """The messages of conversations; a live answer comes with the blocks checkpointed so far."""

    @abstractmethod
    async def message(self, user: str, message_id: str) -> Message:
        """Return a message, a live answer with the blocks checkpointed so far. Raises NotFound."""

    @abstractmethod
    async def messages(
        self, user: str, conversation_id: str, *, limit: int, before: str | None
    ) -> Page[Message]:
        """Return the newest `limit` messages, oldest of them first; `next` leads to older ones.

        Live answers come with the blocks checkpointed so far. Raises NotFound for the conversation,
        and InvalidCursor for a `before` that is not a cursor.
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
        """Return the message `last` and its nearest ancestors, `limit` in all, oldest of them
        first.

        At least one is read, and no more than have `max_chars` characters together, if that is less
        than a page has. `next` is the parent of the oldest: the `last` of the preceding page.
        Without `last` it is the branch of the newest message, which is always an answer. A live one
        comes with the blocks checkpointed so far. Raises NotFound for the conversation, and for a
        `last` that is not one of its messages.
        """

    @abstractmethod
    async def answer_status(self, user: str, answer_id: str) -> str:
        """Return the status of an answer, without its text.

        Raises NotFound, also for a question.
        """

    @abstractmethod
    async def live_answer(self, user: str, conversation_id: str) -> str | None:
        """Return the id of the conversation's live answer; None if it has none. Raises NotFound."""

    @abstractmethod
    async def change_client_metadata(
        self, user: str, answer_id: str, metadata: Mapping[str, str]
    ) -> Message:
        """Replace the metadata that a client stored with an answer, and return the answer.

        Raises NotFound, also for an answer that has no client data; and Outdated if the store has
        no place for it yet.
        """


class FileStore(Protocol):
    """The images and files of questions.

    A file is stored before its question, since it is large, and becomes visible with it. One whose
    question is not stored is deleted after a while, whatever happens to the process.
    """

    @abstractmethod
    async def store_file(self, file: StoredFile) -> None:
        """Store a file whose question is about to be stored. Doing it again changes nothing.

        Raises Outdated if the store has no place for files yet, and TooLarge.
        """

    @abstractmethod
    async def file(self, user: str, file_id: str) -> StoredFile:
        """Return a file of a stored question. Raises NotFound, also while it is not stored."""

    @abstractmethod
    async def discard_files(self, user: str, file_ids: Collection[str]) -> None:
        """Delete those of the files whose question is not stored; then it cannot be stored."""

    @abstractmethod
    async def purge_unasked_files(self, before: datetime) -> bool:
        """Delete a batch of the files that were stored before that time and whose question was
        not; returns False once none is left.
        """


class AskStore(Protocol):
    """Stores a question with its live answer and its idempotency key."""

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
        id_is_chosen: bool = False,
    ) -> None:
        """Store a question, its live answer and its key, all or nothing.

        Without `question` it is another answer to a stored question; the caller checks parents.
        `new` is a conversation to create in the same step; without it the named one must exist
        (NotFound). `title`, unless it is None, becomes the conversation's if it has none.
        `answer.created_at` becomes its `updated_at`. Raises Busy if another answer is live there.
        Calling it again with the same ids changes nothing.

        The files that the question names become visible with it. Raises StorageError if one of them
        is not stored.

        `id_is_chosen` says that a client chose the id of `new`, so that there may have been a
        conversation of that id. Raises BeingDeleted as long as it is not purged to its end.

        Raises KeyTaken, before NotFound and Busy, if `key` stands for another answer, unless that
        is the one with the id `replaces`: then the key stands for the new one from now on.
        """

    @abstractmethod
    async def idempotency_key(self, user: str, key_id: str) -> IdempotencyKey | None:
        """Return what a key stands for, if it was used within about a day; else None."""


class LiveAnswerStore(Protocol):
    """Stores the answers that a process generates: their growth while live, and their endings."""

    # Whether a write that failed, or whose caller was cancelled, is carried out before the next one
    # or never. Where this is False, it may still be carried out later.
    writes_are_ordered: ClassVar[bool] = False

    process: str  # the owner of the answers that it stores, see `CoordinationStore`

    @abstractmethod
    async def append_chunks(self, chunks: Sequence[Chunk]) -> frozenset[str]:
        """Store growth. A chunk that exists already is success: chunks never change.

        Returns the answers whose conversation was deleted; none of their growth stays.
        """

    @abstractmethod
    async def end_answer(
        self,
        answer_id: str,
        owner: str,
        ending: Ending,
        deliveries: Sequence[WebhookDelivery] = (),
    ) -> bool:
        """Write an ending, once, if the answer is live and belongs to `owner`.

        `deliveries` are stored in the same step: all of it or nothing. They need `OutboxStore`'s
        place.

        Returns True also if this ending was written before. False means that the answer no longer
        belongs to the owner, and that its readers may have received something else than what is
        stored.
        """


class OutboxStore(Protocol):
    """The deliveries to webhooks that were stored with endings, until they are made.

    All raise Outdated if the store has no place for them yet.
    """

    @abstractmethod
    async def claim_deliveries(
        self, webhook: str, *, limit: int, seconds: float
    ) -> list[WebhookDelivery]:
        """Return deliveries to a webhook that are due, those first that have been for longest.

        They are this process' for `seconds`: no other call returns them until then. After that they
        are due again, unless they were finished.
        """

    @abstractmethod
    async def retry_delivery(self, delivery: WebhookDelivery, *, seconds: float) -> None:
        """Have a claimed delivery be due in `seconds`, if it was not claimed again or finished."""

    @abstractmethod
    async def finish_delivery(self, delivery: WebhookDelivery) -> None:
        """Delete a delivery that was made or given up. Doing it again changes nothing."""

    @abstractmethod
    async def waiting_deliveries(self, webhook: str) -> int:
        """Return the number of deliveries to a webhook that are not finished, up to
        `MOST_COUNTED_DELIVERIES`.
        """

    @abstractmethod
    async def drop_deliveries(self, known: Collection[str], before: datetime) -> int:
        """Delete those that are to none of the `known` webhooks and whose answer ended before that
        time; returns how many there were.
        """


class CoordinationStore(Protocol):
    """What processes exchange through the store: leases, peer requests, growth."""

    process: str  # names this process as the owner of answers: 128 random bits, new at every start

    @abstractmethod
    async def renew_lease(self, requests: Mapping[str, PeerRequests]) -> bool:
        """Extend this process' lease by `lease_seconds`, and store its peer requests.

        `requests` has the answers of other processes by their owner; it replaces earlier ones.
        Returns False if the lease had expired, so that other processes may have ended this one's
        answers.
        """

    @abstractmethod
    async def peer_requests(self) -> PeerRequests:
        """Return what other live processes request of this one's answers."""

    @abstractmethod
    async def answer_updates(self, positions: Mapping[str, int]) -> AnswerUpdates:
        """Return the growth of answers, by id, since the positions up to which they are known."""

    @abstractmethod
    async def own_live_answers(self) -> frozenset[str]:
        """Return the ids of this process' answers that are live in the store."""

    @abstractmethod
    async def orphans(self) -> list[Message]:
        """Return live answers of dead processes, with their blocks so far, some at a time.

        None are returned unless this process' own lease was renewed without a gap for one whole
        lease: a process that was cut off from the store does not know which others are dead.
        """

    @abstractmethod
    async def unreadable(self, kinds: Collection[str]) -> frozenset[str]:
        """Return those of `kinds` that some process with a valid lease cannot read.

        Kinds are as in `model/blocks.py`: `later_kinds` returns those of blocks.
        """


class DeletionStore(Protocol):
    """Deletes conversations at once, and then their messages in batches."""

    @abstractmethod
    async def delete_conversation(self, user: str, conversation_id: str) -> None:
        """Delete a conversation with its messages and files. Raises NotFound, also the second time.

        It takes the same time for many messages as for one: they are invisible from then on, and
        `purge` removes them from the store.
        """

    @abstractmethod
    async def next_deletion(self) -> Deletion | None:
        """Return a deleted conversation for this process to purge; no other process gets it for
        some time.

        Returns None if there is none. One that a process began to purge and did not finish is
        returned again.
        """

    @abstractmethod
    async def purge(self, deletion: Deletion) -> bool:
        """Delete a batch of what is left of a conversation; returns False once nothing is left.

        Nothing is deleted once the deletion is finished: a new conversation may have the same id.
        A process that purges at the same time, however late it is, deletes nothing of that one.
        With `deletion.again` it is finished as soon as nothing is left.
        """


class ApiKeyStore(Protocol):
    """The API keys of users."""

    @abstractmethod
    async def create_api_key(self, key: ApiKey) -> None:
        """Store a new API key. Raises StorageError if the store's schema cannot hold its
        restrictions.
        """

    @abstractmethod
    async def api_keys(self, key_ids: Collection[str]) -> list[ApiKey]:
        """Return those of the API keys that exist, revoked and expired ones too, in any order.

        It takes no user, because the keys determine who the user is.
        """

    @abstractmethod
    async def list_api_keys(
        self, user: str | None, *, limit: int, after: str | None
    ) -> Page[ApiKey]:
        """Return a page of a user's API keys, or of all, by id.

        `after` is as in `conversations`.
        """

    @abstractmethod
    async def revoke_api_key(self, key_id: str, revoked_at: datetime) -> ApiKey:
        """Revoke an API key and return it; the time of the first revocation stays.

        Raises NotFound.
        """


class CountStore(Protocol):
    """What users used, counted by all processes together."""

    @abstractmethod
    async def share_counts(self, counts: Sequence[UsageCount]) -> Mapping[UsageSpan, int]:
        """Store counts, and return the sum over all writers for each of the spans.

        What a writer has counted only grows: less than is stored changes nothing, and 0 only reads.
        A span is deleted some time after its end.
        """


class StoreLifecycle(Protocol):
    """The store as a whole, before and after all other operations."""

    @abstractmethod
    async def open(self, *, without_lease: bool = False) -> None:
        """Connect and create what is missing; the schema of an older version is used as it is.

        `without_lease` is for a command that manages API keys while servers run: it owns no
        answers, and shares an SQLite file with the server that has it. Raises StorageError, with a
        message for the operator, if that fails, and Outdated if `migrate` is needed first.
        """

    @abstractmethod
    async def report(self) -> StoreReport:
        """Report the state of the store, in place of `open`; it changes nothing and disconnects.

        Raises StorageError, with a message for the operator, if `open` would.
        """

    @abstractmethod
    async def migrate(self, write_line: Callable[[str], None]) -> bool:
        """Migrate the store to this version, in place of `open`, and disconnect; returns whether
        that was due.

        `write_line` is called with each change, in words, when it was made, from whichever thread.
        Stored data is not deleted, and nothing is done twice. Raises StorageError, with a message
        for the operator.
        """

    @abstractmethod
    async def close(self) -> None:
        """Disconnect. Nothing may be called afterwards, except this again.

        The lease is given up, unless it has peer requests: readers of remote answers may reconnect
        to another process before it expires, and their answers must not be abandoned until then.
        """

    @abstractmethod
    async def ping(self) -> None:
        """Return if the store responds and can be written to; else raise StorageError."""


class Storage(
    ConversationStore,
    OutboxStore,
    LiveAnswerStore,
    MessageStore,
    AnswerLists,
    FileStore,
    DeletionStore,
    AskStore,
    CoordinationStore,
    ApiKeyStore,
    CountStore,
    StoreLifecycle,
    Protocol,
):
    """A whole store: all of the protocols above."""
