"""The values that a store takes and returns, besides conversations and messages (`model/`)."""

from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeVar

import msgspec

from model.growth import Chunk
from model.messages import Message

T = TypeVar("T")

# The version that is stored with every document, so that a later version knows what it reads. Since
# 2 there may be kinds of blocks, pieces, roles and statuses that a reader does not know.
SCHEMA_VERSION = 2

# How long a file is stored whose question is not: longer than it takes to store a question, however
# long the store is busy, and than the clocks of machines differ.
UNASKED_FILE_SECONDS = 3600

# How long an idempotency key is stored: a client that lost its connection retries within minutes, a
# suspended one the next day.
KEY_SECONDS = 24 * 3600


# How many waiting deliveries are counted at most, which takes some hundredths of a second: more of
# them mean the same.
MOST_COUNTED_DELIVERIES = 100_000


class IdempotencyKey(msgspec.Struct, frozen=True, kw_only=True):
    """The answer that a client's `Idempotency-Key` stands for; stored for a day.

    `id` is a hash of the user and the client's key, `fingerprint` one of the question.
    """

    id: str
    user: str
    fingerprint: str
    answer_id: str
    created_at: datetime


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A stored API key; `digest` is a hash of the key itself.

    `id` is the part of the key that may be shown. Revoked keys stay stored, so that their user is
    known. `models` are patterns of the permitted models; None permits all.
    """

    id: str
    digest: str
    user: str
    admin: bool = False
    note: str = ""
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    models: tuple[str, ...] | None = None


class StoredFile(msgspec.Struct, frozen=True, kw_only=True):
    """An image or a file of a question.

    Its id begins with its conversation's id, as a message's does.
    """

    id: str
    user: str
    media_type: str  # as its content shows
    name: str | None = None  # as the client named it
    data: bytes
    created_at: datetime


class UsageSpan(msgspec.Struct, frozen=True):
    """What is counted of a user, and when: a minute's questions, a day's tokens."""

    user: str
    what: str
    begins_at: datetime
    ends_at: datetime


class UsageCount(msgspec.Struct, frozen=True):
    """What one writer has counted in a span. Writers are 16 or more hexadecimal digits."""

    span: UsageSpan
    writer: str
    amount: int


class WebhookDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """That an answer has ended, as one webhook is to be told; stored until it was told.

    `webhook` is the key of the webhook, which neither its address nor its secret can be read from.
    `tries` counts how often the delivery was claimed, this time included.
    """

    webhook: str
    answer_id: str
    event: str  # the type of the event, such as `response.completed`
    ended_at: datetime
    tries: int = 0


class Deletion(msgspec.Struct, frozen=True):
    """A deleted conversation of which messages may be left in the store.

    `again`: it was purged before, and only late writes can be left; or its id is needed again.
    """

    conversation_id: str
    user: str
    again: bool = False


class PeerRequests(msgspec.Struct, frozen=True):
    """Ids of one process' answers that other processes read, of those that they ask to be stopped,
    and of those that they ask to be stopped unless somebody reads them.
    """

    follows: frozenset[str] = frozenset()
    stops: frozenset[str] = frozenset()
    stops_unread: frozenset[str] = frozenset()


class AnswerUpdates(msgspec.Struct, frozen=True):
    """The growth of answers that other processes generate.

    `chunks` has at most one for each answer. `ended` are complete messages; `gone` are the ids of
    those that no longer exist.
    """

    chunks: tuple[Chunk, ...] = ()
    ended: tuple[Message, ...] = ()
    gone: frozenset[str] = frozenset()


class Page(msgspec.Struct, Generic[T], frozen=True):
    """A part of a list; `next` is the cursor of the next page, None at the end."""

    data: tuple[T, ...]
    next: str | None


class Order(StrEnum):
    """The time by which conversations are listed."""

    CREATED = "created"
    UPDATED = "updated"

    @property
    def field(self) -> str:
        """The field with that time."""
        return f"{self}_at"


class ClientAnswers(msgspec.Struct, frozen=True, kw_only=True):
    """Which answers of a client protocol are listed: those of a model, with these metadata."""

    protocol: str
    model: str | None = None  # None: of any
    metadata: dict[str, str] = {}
    oldest_first: bool = False


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """Changes to a conversation; a field that is UNSET stays as it is."""

    title: str | msgspec.UnsetType | None = msgspec.UNSET
    model: str | msgspec.UnsetType | None = msgspec.UNSET
    system: str | msgspec.UnsetType | None = msgspec.UNSET
    metadata: dict[str, str] | msgspec.UnsetType = msgspec.UNSET


class StoreReport(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a store, for `server.py doctor`; it contains no user data."""

    name: str
    version: tuple[int, ...]
    shape: str  # in words: which file, how many servers
    missing: tuple[str, ...] = ()  # what `open` would make, such as indexes, by name
    due: tuple[str, ...] = ()  # what `migrate` would change, in words
    ahead_seconds: float = 0.0  # by how many seconds its clock is ahead of this machine's
    used_by: str | None = None  # the process that has it for itself
    free_bytes: int | None = None  # free bytes on its disk, if they are known
    replaced: bool = False  # that process has another file open that had this name
    faults: tuple[str, ...] = ()  # damage that a quick check found
    is_looked_through: bool = True  # whether the check came to its end
    has_outbox: bool = True  # it has a place for deliveries to webhooks, or `open` makes one


def conversation_of(its_id: str) -> str:
    """Return the conversation id of a message or a file: their ids begin with it, followed by "-".

    So each is found by its id alone, and still by its shard key.
    """
    return its_id.rpartition("-")[0]
