"""What a store takes and returns besides conversations and messages, which are the model's."""

from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeVar

import msgspec

from model.growth import Chunk
from model.messages import Message

T = TypeVar("T")

# Stored with every document, so that a later version can tell what it reads. Since 2 there may be
# kinds of blocks, pieces, roles and statuses that its reader does not know.
SCHEMA_VERSION = 2

# How long an idempotency key stands for its answer: a client that lost its connection comes back
# within minutes, one that was put away for the night the next day; and none is kept for ever.
KEY_SECONDS = 24 * 3600


class IdempotencyKey(msgspec.Struct, frozen=True, kw_only=True):
    """What a client's `Idempotency-Key` stands for; kept for a day.

    `id` is a hash of the user and the client's key, `fingerprint` one of what was asked.
    """

    id: str
    user: str
    fingerprint: str
    answer_id: str
    created_at: datetime


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a key by which its user enters; `digest` is a hash of the key itself.

    `id` is the part of the key that may be shown. A revoked key is kept, to tell whose it was.
    `models` are patterns of those that it may ask, None stands for any.
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


class Span(msgspec.Struct, frozen=True):
    """What of a user's is counted, and when: a minute's questions, a day's tokens."""

    user: str
    what: str
    begins_at: datetime
    ends_at: datetime


class Count(msgspec.Struct, frozen=True):
    """How much one writer has counted in a span. Writers are 16 or more hexadecimal digits."""

    span: Span
    writer: str
    amount: int


class Deletion(msgspec.Struct, frozen=True):
    """A deleted conversation of which something may be left in the store.

    `again`: it was cleared before, and only what came late can be left.
    """

    conversation_id: str
    user: str
    again: bool = False


class PeerRequests(msgspec.Struct, frozen=True):
    """Ids of one process's answers that others read, and that others want stopped."""

    follows: frozenset[str] = frozenset()
    stops: frozenset[str] = frozenset()


class Growth(msgspec.Struct, frozen=True):
    """What became of answers that other processes write.

    `chunks` has at most one for each answer. `ended` are those that have no more, with all their
    blocks; `gone` are the ids of those that no longer exist.
    """

    chunks: tuple[Chunk, ...] = ()
    ended: tuple[Message, ...] = ()
    gone: frozenset[str] = frozenset()


class Page(msgspec.Struct, Generic[T], frozen=True):
    """A part of a list; `next` is the cursor of the part behind it, None at the end."""

    data: tuple[T, ...]
    next: str | None


class Order(StrEnum):
    """By which of their times conversations are listed."""

    CREATED = "created"
    UPDATED = "updated"

    @property
    def field(self) -> str:
        """The field that has it."""
        return f"{self}_at"


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What to change of a conversation; a field left UNSET stays as it is."""

    title: str | msgspec.UnsetType | None = msgspec.UNSET
    model: str | msgspec.UnsetType | None = msgspec.UNSET
    system: str | msgspec.UnsetType | None = msgspec.UNSET
    metadata: dict[str, str] | msgspec.UnsetType = msgspec.UNSET


class StoreReport(msgspec.Struct, frozen=True, kw_only=True):
    """What `server.py doctor` wants to know of a store, and nothing of what is kept in it."""

    name: str
    version: tuple[int, ...]
    shape: str  # in words: which file, how many servers
    missing: tuple[str, ...] = ()  # what `open` would make, such as indexes, by name
    due: tuple[str, ...] = ()  # what `migrate` would change, in words
    ahead_seconds: float = 0.0  # by how much its clock is ahead of ours
    used_by: str | None = None  # the process that has it for itself
    free_bytes: int | None = None  # where it keeps what it keeps, if that can be told
    replaced: bool = False  # the process that has it for itself has another file by this name
    faults: tuple[str, ...] = ()  # what a quick look through it found wrong
    is_looked_through: bool = True  # whether that came to its end


def conversation_of(message_id: str) -> str:
    """The conversation of a message: its id begins with the conversation's, "-" and what has none.

    So a message is found by its id alone, and by its shard key all the same.
    """
    return message_id.rpartition("-")[0]
