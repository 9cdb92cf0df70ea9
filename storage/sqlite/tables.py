"""SQLite's tables: the scripts that create them, and which of them a file of another version has.

A server creates tables only in an empty file. Those of older versions, from SERVED on, it uses as
they are: columns that came later are neither written nor read. `server.py migrate` adds them.
"""

import sqlite3
from collections.abc import Mapping

from storage.sqlite.errors import UnusableFile

# The scripts that lead from one version of the file to the next; `user_version` counts those that
# were run. Existing files were created by them, so scripts are added and never changed. They use
# only what SQLite 3.31 knows, since the library is the system's: no STRICT tables, no RETURNING.
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
    """
    -- The calls that were made for an answer; of those there are nobody knows.
    ALTER TABLE messages ADD COLUMN attempts TEXT;
    """,
    """
    -- Deleted conversations whose messages are still to be taken away.
    CREATE TABLE deletions (
        id TEXT NOT NULL PRIMARY KEY,
        user TEXT NOT NULL
    ) WITHOUT ROWID;
    """,
    """
    CREATE INDEX conversations_by_activity ON conversations (user, updated_at, id);
    """,
    """
    -- What a user put into each conversation, in bytes; all of it together is found in the index.
    ALTER TABLE conversations ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
    UPDATE conversations SET bytes = length(CAST(coalesce(system, '') || metadata AS BLOB)) + (
        SELECT coalesce(sum(length(CAST(blocks AS BLOB))), 0) FROM messages
        WHERE conversation_id = conversations.id AND role = 'user'
    );
    CREATE INDEX conversations_by_size ON conversations (user, bytes);
    """,
    """
    -- Which models a key may ask; NULL: any.
    ALTER TABLE api_keys ADD COLUMN models TEXT;
    """,
    """
    -- Images and files of questions. A file is in `unasked_files` until its question is stored.
    CREATE TABLE files (
        id TEXT NOT NULL PRIMARY KEY,
        conversation_id TEXT NOT NULL,
        user TEXT NOT NULL,
        media_type TEXT NOT NULL,
        name TEXT,
        created_at INTEGER NOT NULL,
        data BLOB NOT NULL
    );
    CREATE INDEX files_of_conversation ON files (conversation_id);

    CREATE TABLE unasked_files (
        id TEXT NOT NULL PRIMARY KEY,
        created_at INTEGER NOT NULL
    ) WITHOUT ROWID;
    """,
    """
    -- What webhooks are to be told of answers that ended, until it is delivered. Not bound to the
    -- answer: that it ended is true after it was deleted, too.
    CREATE TABLE webhook_deliveries (
        webhook TEXT NOT NULL,
        answer_id TEXT NOT NULL,
        event TEXT NOT NULL,
        ended_at INTEGER NOT NULL,
        due_at INTEGER NOT NULL,
        tries INTEGER NOT NULL,
        PRIMARY KEY (webhook, answer_id)
    ) WITHOUT ROWID;
    CREATE INDEX due_webhook_deliveries ON webhook_deliveries (webhook, due_at);
    """,
    """
    -- What a client protocol stores with an answer, and the protocol by which it was asked.
    ALTER TABLE messages ADD COLUMN protocol TEXT;
    ALTER TABLE messages ADD COLUMN client TEXT;
    CREATE INDEX answers_of_protocol ON messages (user, protocol, created_at, id)
        WHERE protocol IS NOT NULL;
    CREATE INDEX live_answers_of_user ON messages (user, created_at, id) WHERE status = 'live';
    """,
)

NEWEST = len(MIGRATIONS)

# The version that added the table of files.
FILES_SINCE = 12

# The oldest version whose files can be used without a migration. Columns of earlier ones were
# renamed later.
SERVED = 6


def check_version(database: sqlite3.Connection) -> int:
    """Return the version of the file; 0 if it is empty.

    Raises UnusableFile if it is another program's or too new.
    """
    version: int = database.execute("PRAGMA user_version").fetchone()[0]
    tables = database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if version > NEWEST and (not tables or _has_ours(database)):
        raise UnusableFile("it was written by a newer version of Headrace")
    if tables if version == 0 else not _has_ours(database):
        raise UnusableFile("it contains another program's tables")
    return version


def _has_ours(database: sqlite3.Connection) -> bool:
    """Whether the tables exist that every version has. Other programs set `user_version`, too."""
    names = database.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name IN (?, ?, ?)",
        ("conversations", "messages", "chunks"),
    ).fetchall()
    return len(names) == 3


def upgrade(database: sqlite3.Connection, version: int) -> None:
    """Bring the file from `version` to the newest one."""
    for number, script in enumerate(MIGRATIONS[version:], version + 1):
        # A crash leaves the version before or after a script, and nothing in between.
        database.executescript(f"BEGIN IMMEDIATE; {script} PRAGMA user_version = {number}; COMMIT;")


def columns_of(database: sqlite3.Connection) -> Mapping[str, frozenset[str]]:
    """Return the columns of each table in the file."""
    columns: dict[str, set[str]] = {}
    for table, column in database.execute(
        """SELECT tables.name, columns.name
        FROM sqlite_master AS tables JOIN pragma_table_info(tables.name) AS columns
        WHERE tables.type = 'table'"""
    ):
        columns.setdefault(table, set()).add(column)
    return {table: frozenset(names) for table, names in columns.items()}
