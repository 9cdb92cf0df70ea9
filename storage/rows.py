"""SQLite's tables, and our types as their rows.

Times are whole milliseconds since 1970. What is only ever read whole is JSON: blocks, metadata,
usage, timing, error and the pieces of a chunk. `sqlite3 FILE` shows all of it as text.
"""

import sqlite3
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from storage.base import (
    ApiKey,
    Block,
    Chunk,
    Conversation,
    Count,
    Ending,
    Failure,
    IdempotencyKey,
    Message,
    Piece,
    Status,
    Timing,
    Usage,
)
from storage.pages import instant, milliseconds

T = TypeVar("T")

_API_KEY_TIMES = ("created_at", "expires_at", "revoked_at")

Row = Mapping[str, Any]

# The scripts that lead from one version of the file to the next; `user_version` counts those done.
# Files out there were made by them: they are added to, never changed. They keep to what SQLite 3.31
# knows, since the library is the system's: no STRICT tables, no RETURNING.
MIGRATIONS = (
    """
    CREATE TABLE conversations (
        id TEXT NOT NULL PRIMARY KEY,
        user TEXT NOT NULL,
        title TEXT,
        model TEXT,
        system TEXT,
        metadata TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL
    );
    CREATE INDEX conversations_of_user ON conversations (user, created_at, id);

    CREATE TABLE messages (
        id TEXT NOT NULL PRIMARY KEY,
        conversation_id TEXT NOT NULL REFERENCES conversations ON DELETE CASCADE,
        user TEXT NOT NULL,
        role TEXT NOT NULL,
        ordinal INTEGER NOT NULL,
        question_id TEXT,
        blocks TEXT NOT NULL,
        model TEXT,
        status TEXT NOT NULL,
        finish_reason TEXT,
        usage TEXT,
        error TEXT,
        owner TEXT,
        created_at INTEGER NOT NULL,
        ended_at INTEGER
    );
    CREATE UNIQUE INDEX messages_in_order ON messages (conversation_id, ordinal);
    -- The rule: one live answer per conversation.
    CREATE UNIQUE INDEX live_answers ON messages (conversation_id) WHERE status = 'live';

    -- The growth of live answers; an ending takes its answer's chunks away.
    CREATE TABLE chunks (
        answer_id TEXT NOT NULL REFERENCES messages ON DELETE CASCADE,
        position INTEGER NOT NULL,
        pieces TEXT NOT NULL,
        PRIMARY KEY (answer_id, position)
    ) WITHOUT ROWID;
    """,
    """
    -- What clients' keys stand for. Not bound to the answer: one that is deleted was asked for.
    CREATE TABLE idempotency_keys (
        id TEXT NOT NULL PRIMARY KEY,
        user TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        answer_id TEXT NOT NULL,
        created_at INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);
    """,
    """
    -- Conversations are trees; those there are were lines, where each question goes on from what
    -- was said just before it.
    ALTER TABLE messages RENAME COLUMN question_id TO parent_id;
    UPDATE messages SET parent_id = (
        SELECT parent.id FROM messages AS parent
        WHERE parent.conversation_id = messages.conversation_id
        AND parent.ordinal = messages.ordinal - 1
    ) WHERE role = 'user';
    """,
    """
    CREATE TABLE api_keys (
        id TEXT NOT NULL PRIMARY KEY,
        digest TEXT NOT NULL,
        user TEXT NOT NULL,
        admin INTEGER NOT NULL,
        note TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        expires_at INTEGER,
        revoked_at INTEGER
    ) WITHOUT ROWID;
    CREATE INDEX api_keys_of_user ON api_keys (user);
    """,
    """
    -- What users did in a span of time; each start of the server counts for itself.
    CREATE TABLE counts (
        user TEXT NOT NULL,
        what TEXT NOT NULL,
        begins_at INTEGER NOT NULL,
        ends_at INTEGER NOT NULL,
        writer TEXT NOT NULL,
        amount INTEGER NOT NULL,
        PRIMARY KEY (user, what, begins_at, writer)
    ) WITHOUT ROWID;
    CREATE INDEX counts_by_end ON counts (ends_at);
    """,
    """
    -- How long an answer took; of those there are nobody knows.
    ALTER TABLE messages ADD COLUMN timing TEXT;
    """,
)


def conversation_row(conversation: Conversation) -> dict[str, Any]:
    """The columns of a conversation."""
    row = msgspec.structs.asdict(conversation)
    row["metadata"] = as_json(conversation.metadata)
    row["created_at"] = milliseconds(conversation.created_at)
    row["updated_at"] = milliseconds(conversation.updated_at)
    return row


def conversation_in(row: Row) -> Conversation:
    """The conversation that a row holds."""
    columns = dict(row)
    columns["metadata"] = msgspec.json.decode(columns["metadata"], type=dict[str, str])
    columns["created_at"] = instant(columns["created_at"])
    columns["updated_at"] = instant(columns["updated_at"])
    return Conversation(**columns)


def message_row(message: Message) -> dict[str, Any]:
    """The columns of a message."""
    row = msgspec.structs.asdict(message)
    row["created_at"] = milliseconds(message.created_at)
    row |= _ending_columns(message)
    return row


def ending_row(ending: Ending) -> dict[str, Any]:
    """The columns that an ending sets."""
    return msgspec.structs.asdict(ending) | _ending_columns(ending)


def message_in(row: Row) -> Message:
    """The message that a row holds."""
    columns = dict(row)
    columns["blocks"] = msgspec.json.decode(columns["blocks"], type=tuple[Block, ...])
    columns["status"] = Status(columns["status"])
    columns["usage"] = _of_json(columns["usage"], Usage)
    columns["timing"] = _of_json(columns["timing"], Timing)
    columns["error"] = _of_json(columns["error"], Failure)
    columns["created_at"] = instant(columns["created_at"])
    columns["ended_at"] = None if columns["ended_at"] is None else instant(columns["ended_at"])
    return Message(**columns)


def chunk_row(chunk: Chunk) -> dict[str, Any]:
    """The columns of a chunk."""
    return {
        "answer_id": chunk.answer_id,
        "position": chunk.position,
        "pieces": as_json(chunk.pieces),
    }


def chunk_in(row: Row) -> Chunk:
    """The chunk that a row holds."""
    pieces = msgspec.json.decode(row["pieces"], type=tuple[Piece, ...])
    return Chunk(row["answer_id"], row["position"], pieces)


def count_row(count: Count) -> dict[str, Any]:
    """The columns of a count."""
    row = msgspec.structs.asdict(count.span)
    row["begins_at"] = milliseconds(count.span.begins_at)
    row["ends_at"] = milliseconds(count.span.ends_at)
    return row | {"writer": count.writer, "amount": count.amount}


def key_row(key: IdempotencyKey) -> dict[str, Any]:
    """The columns of an idempotency key."""
    return msgspec.structs.asdict(key) | {"created_at": milliseconds(key.created_at)}


def key_in(row: Row) -> IdempotencyKey:
    """The idempotency key that a row holds."""
    return IdempotencyKey(**{**row, "created_at": instant(row["created_at"])})


def api_key_row(key: ApiKey) -> dict[str, Any]:
    """The columns of an API key."""
    row = msgspec.structs.asdict(key)
    for name in _API_KEY_TIMES:
        row[name] = None if row[name] is None else milliseconds(row[name])
    return row


def api_key_in(row: Row) -> ApiKey:
    """The API key that a row holds."""
    columns = dict(row)
    columns["admin"] = bool(columns["admin"])
    for name in _API_KEY_TIMES:
        columns[name] = None if columns[name] is None else instant(columns[name])
    return ApiKey(**columns)


def as_json(value: Any) -> str:
    """`value` as a column of JSON."""
    return msgspec.json.encode(value).decode()


def insertion(table: str, row: Row) -> str:
    """The INSERT for a row; table and column names are ours, never anybody's input."""
    names = ", ".join(row)
    values = ", ".join(f":{name}" for name in row)
    return f"INSERT INTO {table} ({names}) VALUES ({values})"


def assignments(row: Row) -> str:
    """The SET clause for a row, on the same terms."""
    return ", ".join(f"{name} = :{name}" for name in row)


def is_current(database: sqlite3.Connection) -> bool:
    """Whether the file is of this version."""
    version: int = database.execute("PRAGMA user_version").fetchone()[0]
    return version == len(MIGRATIONS)


def check_version(database: sqlite3.Connection) -> int:
    """The version of the file, 0 if it is empty. Raises ValueError: none of ours, or too new."""
    version: int = database.execute("PRAGMA user_version").fetchone()[0]
    if version > len(MIGRATIONS):
        raise ValueError("it was written by a newer version of Headrace")
    tables = database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if version == 0 and tables:
        raise ValueError("it holds another program's tables")
    return version


def migrate(database: sqlite3.Connection) -> None:
    """Bring the file to this version. Raises ValueError as `check_version` does."""
    version = check_version(database)
    for number, script in enumerate(MIGRATIONS[version:], version + 1):
        # A crash leaves the version before or the one behind, nothing in between.
        database.executescript(f"BEGIN; {script} PRAGMA user_version = {number}; COMMIT;")


def _ending_columns(ended: Message | Ending) -> dict[str, Any]:
    return {
        "status": ended.status.value,
        "blocks": as_json(ended.blocks),
        "usage": None if ended.usage is None else as_json(ended.usage),
        "timing": None if ended.timing is None else as_json(ended.timing),
        "error": None if ended.error is None else as_json(ended.error),
        "ended_at": None if ended.ended_at is None else milliseconds(ended.ended_at),
    }


def _of_json(text: str | None, kind: type[T]) -> T | None:
    return None if text is None else msgspec.json.decode(text, type=kind)
