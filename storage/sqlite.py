"""The embedded store: one file, one process, no server to install.

SQLite calls block, so all of them run in one thread, which alone holds the connection: commands
queue there, each is one transaction, and none ever sees another half done. A caller that is
cancelled leaves; its command, once begun, runs to its end.

A lock says that one server has the file (`file_lock.py`). It is gone with the process however that
ends, so whoever holds it knows that the owners of all other live answers are dead.
A command that manages API keys works beside the server, or without one: it owns no answers, takes
no lock, so that it keeps no server from starting, and neither makes nor changes tables. SQLite's
own locks keep its transactions and the server's apart.

A file that an older version made is served as it is (`tables.py`). `migrate` alone changes its
tables, with the lock, and leaves a copy of the file as it was.
"""

import asyncio
import functools
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import msgspec

from model.growth import Chunk, fold
from model.messages import Conversation, Ending, Message, Status, now
from storage.base import (
    KEY_SECONDS,
    ApiKey,
    Busy,
    Changes,
    Count,
    Deletion,
    Examined,
    Growth,
    IdempotencyKey,
    KeyTaken,
    NotFound,
    Outdated,
    Page,
    Reason,
    Span,
    Storage,
    StorageError,
    Wants,
    conversation_of,
    failure,
)
from storage.copies import keep_copy
from storage.file_lock import FileLock, holder
from storage.pages import (
    api_key_place,
    conversation_place,
    filling_with_conversations,
    filling_with_messages,
    message_place,
    milliseconds,
    page_of_api_keys,
    page_of_branch,
    page_of_conversations,
    page_of_messages,
)
from storage.rows import (
    Row,
    api_key_in,
    api_key_row,
    as_json,
    assignments,
    chunk_in,
    chunk_row,
    conversation_in,
    conversation_row,
    count_row,
    ending_row,
    insertion,
    key_in,
    key_row,
    message_in,
    message_row,
)
from storage.sqlite_reasons import reason
from storage.tables import NEWEST, SERVED, check_version, columns_of, upgrade

P = ParamSpec("P")
T = TypeVar("T")

# FULL: a commit is on the disk before it is acknowledged, so that neither `kill -9` nor a power cut
# takes it back. NORMAL would do for `kill -9`, but a power cut could take back all that the system
# had not written of its own accord: half a minute, say. The price is an fsync for each question and
# ending (0.4 ms of 0.65 here), and one a tick for all the chunks.
_SYNCHRONOUS = "FULL"

# Milliseconds to wait for another program's transaction: an operator's shell, a backup.
_BUSY_TIMEOUT = 5000

# SQLite never shrinks its log by itself. This much stays (bytes); one commit rarely writes more.
_LOG_SIZE = 64 * 1024 * 1024

# Text that is no UTF-8 would else fail whatever reads the rows beside it.
_AS_TEXT = functools.partial(str, encoding="utf-8", errors="replace")

# A message, if it is of a conversation: of one that is deleted they may still be there.
_MESSAGE = """SELECT messages.* FROM messages
    JOIN conversations ON conversations.id = messages.conversation_id WHERE messages.id = ?"""

# How many messages of a deleted conversation to take away in one statement, and for how long
# (seconds) to go on with that in one transaction: short ones go by the thousand, and twenty of the
# longest take no longer than that either.
_CLEARED = 20
_CLEARING_SECONDS = 0.01

# How many dead processes' answers to hold in memory at once: 4 MB each at the very most.
_ORPHANS = 50

# How many API keys to ask for in one query: SQLite takes 999 values before its version 3.32.
_API_KEYS = 900


_Method = Callable[Concatenate["SQLiteStorage", P], T]
_Command = Callable[Concatenate["SQLiteStorage", P], Coroutine[Any, Any, T]]


def _command(method: _Method[P, T]) -> _Command[P, T]:
    """Have a method run in the storage's thread, as one transaction that raises our errors."""

    @functools.wraps(method)
    async def run(storage: "SQLiteStorage", /, *args: P.args, **kwargs: P.kwargs) -> T:
        work = functools.partial(method, storage, *args, **kwargs)
        return await storage._in_thread(functools.partial(storage._transaction, work))

    return run


class SQLiteStorage(Storage):
    """Conversations in one SQLite file; see the contract for what each operation promises."""

    def __init__(self, path: Path, process: str) -> None:
        self.process = process
        self.path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite")
        self._lock = FileLock(path)
        self._connection: sqlite3.Connection | None = None
        self._columns: Mapping[str, frozenset[str]] = {}  # of each table, as the file has them
        self._failing = False  # a command did, and no ping has succeeded since

    async def open(self, *, beside: bool = False) -> None:
        try:
            await self._in_thread(functools.partial(self._open, beside=beside))
        except StorageError:
            await self.close()
            raise

    async def examine(self) -> Examined:
        try:
            return await self._in_thread(self._examine)
        finally:
            await self.close()

    async def migrate(self, say: Callable[[str], None]) -> bool:
        try:
            return await self._in_thread(functools.partial(self._migrate, say))
        finally:
            await self.close()

    async def close(self) -> None:
        try:
            await self._in_thread(self._close)
        except RuntimeError:  # the thread has ended: closed before
            return
        self._thread.shutdown()

    async def ping(self) -> None:
        # Every command begins by taking the right to write. Whether there is room on the disk only
        # writing tells: that costs an fsync, and so is done where something has just failed.
        work = self._write_for_a_try if self._failing else _nothing
        await self._in_thread(functools.partial(self._transaction, work))
        self._failing = False

    @_command
    def create_conversation(self, conversation: Conversation) -> None:
        self._create(conversation)

    @_command
    def conversation(self, user: str, conversation_id: str) -> Conversation:
        return conversation_in(self._conversation(user, conversation_id))

    @_command
    def conversations(self, user: str, *, limit: int, after: str | None) -> Page[Conversation]:
        where, place = "", {}
        if after is not None:
            created_at, conversation_id = conversation_place(after)
            where = "AND (created_at, id) < (:created_at, :id)"
            place = {"created_at": milliseconds(created_at), "id": conversation_id}
        found = self._database.execute(
            f"""SELECT * FROM conversations WHERE user = :user {where}
            ORDER BY created_at DESC, id DESC LIMIT :limit""",
            {"user": user, "limit": limit + 1, **place},
        )
        filling = filling_with_conversations(limit)
        filling.take(map(conversation_in, found))
        return page_of_conversations(filling)

    @_command
    def change_conversation(
        self, user: str, conversation_id: str, changes: Changes, updated_at: datetime
    ) -> Conversation:
        row = {
            name: value
            for name, value in msgspec.structs.asdict(changes).items()
            if value is not msgspec.UNSET
        }
        if "metadata" in row:
            row["metadata"] = as_json(row["metadata"])
        row["updated_at"] = milliseconds(updated_at)
        held = self._held("conversations", row)
        self._database.execute(
            f"UPDATE conversations SET {assignments(held)} WHERE id = :id AND user = :user",
            {**held, "id": conversation_id, "user": user},
        )
        return conversation_in(self._conversation(user, conversation_id))

    @_command
    def delete_conversation(self, user: str, conversation_id: str) -> None:
        gone = self._database.execute(
            "DELETE FROM conversations WHERE id = ? AND user = ?", (conversation_id, user)
        )
        if not gone.rowcount:
            raise NotFound
        # Whoever writes an answer there finds it gone.
        self._database.execute(
            "DELETE FROM messages WHERE conversation_id = ? AND status = 'live'", (conversation_id,)
        )
        if self._columns.get("deletions"):
            self._insert("deletions", {"id": conversation_id, "user": user})
        else:  # an older file: all of it now, since nobody would remember to
            self._take_chunks(conversation_id)
            self._take_messages(conversation_id, -1)

    @_command
    def deletion(self) -> Deletion | None:
        if not self._columns.get("deletions"):
            return None
        row = self._row("SELECT * FROM deletions LIMIT 1")
        return None if row is None else Deletion(row["id"], row["user"])

    @_command
    def clear(self, deletion: Deletion) -> bool:
        conversation_id = deletion.conversation_id
        self._take_chunks(conversation_id)
        until = time.monotonic() + _CLEARING_SECONDS
        while self._take_messages(conversation_id, _CLEARED) == _CLEARED:
            if time.monotonic() > until:
                return True
        self._database.execute("DELETE FROM deletions WHERE id = ?", (conversation_id,))
        return False

    @_command
    def ask(
        self,
        question: Message | None,
        answer: Message,
        *,
        title: str,
        new: Conversation | None,
        key: IdempotencyKey | None = None,
        replaces: str | None = None,
    ) -> None:
        conversation_id = answer.conversation_id
        if key is not None:
            self._claim(key, replaces)
        if new is not None:
            self._create(new)
        self._conversation(answer.user, conversation_id)
        if self._row("SELECT 1 FROM messages WHERE id = ?", answer.id):
            return  # asked before
        if live := self._live(conversation_id):
            raise Busy(live)
        ordinal: int = self._database.execute(
            "SELECT coalesce(max(ordinal), -1) + 1 FROM messages WHERE conversation_id = ?",
            (conversation_id,),
        ).fetchone()[0]
        kept = (answer,) if question is None else (question, answer)
        for place, message in enumerate(kept, ordinal):
            self._insert("messages", message_row(msgspec.structs.replace(message, ordinal=place)))
        self._database.execute(
            """UPDATE conversations SET title = coalesce(title, ?), updated_at = ? WHERE id = ?""",
            (title, milliseconds(answer.created_at), conversation_id),
        )

    @_command
    def idempotency_key(self, user: str, key_id: str) -> IdempotencyKey | None:
        row = self._row(
            "SELECT * FROM idempotency_keys WHERE id = ? AND user = ? AND created_at > ?",
            *(key_id, user, _oldest_key()),
        )
        return None if row is None else key_in(row)

    @_command
    def message(self, user: str, message_id: str) -> Message:
        row = self._row(f"{_MESSAGE} AND messages.user = ?", message_id, user)
        if row is None:
            raise NotFound
        return self._grown(message_in(row))

    @_command
    def messages(
        self, user: str, conversation_id: str, *, limit: int, before: str | None
    ) -> Page[Message]:
        where = "" if before is None else f"AND ordinal < {message_place(before)}"
        self._conversation(user, conversation_id)
        found = self._database.execute(
            f"""SELECT * FROM messages WHERE conversation_id = ? AND user = ? {where}
            ORDER BY ordinal DESC LIMIT ?""",
            (conversation_id, user, limit + 1),
        )
        filling = filling_with_messages(limit)
        filling.take(self._grown(message_in(row)) for row in found)
        return page_of_messages(filling)

    @_command
    def branch(
        self, user: str, conversation_id: str, *, limit: int, last: str | None
    ) -> Page[Message]:
        self._conversation(user, conversation_id)
        found = self._database.execute(
            """WITH RECURSIVE branch AS (
                SELECT * FROM messages
                WHERE conversation_id = :conversation AND user = :user AND id = coalesce(:last, (
                    SELECT id FROM messages WHERE conversation_id = :conversation
                    ORDER BY ordinal DESC LIMIT 1
                ))
                UNION ALL
                SELECT messages.* FROM branch JOIN messages ON messages.id = branch.parent_id
                WHERE messages.user = :user
                LIMIT :limit
            ) SELECT * FROM branch ORDER BY ordinal DESC""",
            {"conversation": conversation_id, "user": user, "last": last, "limit": limit},
        )
        filling = filling_with_messages(limit)
        filling.take(self._grown(message_in(row)) for row in found)
        if last is not None and not filling.found:
            raise NotFound
        return page_of_branch(filling.found)

    @_command
    def live_answer(self, user: str, conversation_id: str) -> str | None:
        self._conversation(user, conversation_id)
        return self._live(conversation_id)

    @_command
    def append_chunks(self, chunks: Sequence[Chunk]) -> frozenset[str]:
        # A chunk that comes behind its answer's ending, or its deletion, would stay for ever.
        self._database.executemany(
            """INSERT INTO chunks (answer_id, position, pieces)
            SELECT :answer_id, :position, :pieces
            WHERE EXISTS (SELECT 1 FROM messages WHERE id = :answer_id AND status = 'live')
            ON CONFLICT DO NOTHING""",
            [chunk_row(chunk) for chunk in chunks],
        )
        if not self._columns.get("deletions"):
            return frozenset()
        deleted = {row["id"] for row in self._database.execute("SELECT id FROM deletions")}
        gone = (chunk.answer_id for chunk in chunks if conversation_of(chunk.answer_id) in deleted)
        return frozenset(gone)

    @_command
    def end_answer(self, answer_id: str, owner: str, ending: Ending) -> bool:
        row = self._held("messages", ending_row(ending))
        ended = self._database.execute(
            f"""UPDATE messages SET {assignments(row)}
            WHERE id = :id AND owner = :owner AND status = 'live'""",
            {**row, "id": answer_id, "owner": owner},
        )
        if ended.rowcount:
            self._database.execute("DELETE FROM chunks WHERE answer_id = ?", (answer_id,))
            return True
        kept = self._row("SELECT * FROM messages WHERE id = ? AND owner = ?", answer_id, owner)
        # By what was written: of what the file has no room for nothing was.
        return kept is not None and row.items() <= kept.items()

    async def renew_lease(self, wants: Mapping[str, Wants]) -> bool:
        """The lock on the file is the lease: it lasts as long as the process, which is alone."""
        return True

    async def unreadable(self, kinds: Collection[str]) -> frozenset[str]:
        """There is nobody else to read anything."""
        return frozenset()

    async def wanted(self) -> Wants:
        """There is nobody to want anything."""
        return Wants()

    @_command
    def growth(self, positions: Mapping[str, int]) -> Growth:
        chunks, ended, gone = [], [], set()
        for answer_id, position in positions.items():
            row = self._row(_MESSAGE, answer_id)
            if row is None:
                gone.add(answer_id)
                continue
            found = self._row(
                "SELECT * FROM chunks WHERE answer_id = ? AND position = ?", answer_id, position
            )
            if found and (chunk := chunk_in(found)):
                chunks.append(chunk)
            elif row["status"] != Status.LIVE:
                ended.append(message_in(row))
        return Growth(tuple(chunks), tuple(ended), frozenset(gone))

    @_command
    def share_counts(self, counts: Sequence[Count]) -> Mapping[Span, int]:
        self._database.execute("DELETE FROM counts WHERE ends_at <= ?", (milliseconds(now()),))
        self._database.executemany(
            """INSERT INTO counts (user, what, begins_at, ends_at, writer, amount)
            VALUES (:user, :what, :begins_at, :ends_at, :writer, :amount)
            ON CONFLICT (user, what, begins_at, writer)
            DO UPDATE SET amount = max(amount, excluded.amount)""",
            [count_row(count) for count in counts if count.amount],
        )
        shared: dict[Span, int] = {}
        for count in counts:
            (shared[count.span],) = self._database.execute(
                """SELECT coalesce(sum(amount), 0) FROM counts
                WHERE user = :user AND what = :what AND begins_at = :begins_at""",
                count_row(count),
            ).fetchone()
        return shared

    @_command
    def own_live_answers(self) -> frozenset[str]:
        found = self._database.execute(
            "SELECT id FROM messages WHERE status = 'live' AND owner = ?", (self.process,)
        )
        return frozenset(row["id"] for row in found)

    @_command
    def orphans(self) -> list[Message]:
        found = self._database.execute(
            "SELECT * FROM messages WHERE status = 'live' AND owner IS NOT ? LIMIT ?",
            (self.process, _ORPHANS),
        )
        return [self._grown(message_in(row)) for row in found.fetchall()]

    @_command
    def create_api_key(self, key: ApiKey) -> None:
        self._insert("api_keys", api_key_row(key), "ON CONFLICT DO NOTHING")

    @_command
    def api_key(self, key_id: str) -> ApiKey | None:
        row = self._row("SELECT * FROM api_keys WHERE id = ?", key_id)
        return None if row is None else api_key_in(row)

    @_command
    def api_keys(self, key_ids: Collection[str]) -> list[ApiKey]:
        found: list[ApiKey] = []
        known = iter(key_ids)
        while some := tuple(islice(known, _API_KEYS)):
            places = ", ".join("?" * len(some))
            rows = self._database.execute(f"SELECT * FROM api_keys WHERE id IN ({places})", some)
            found += map(api_key_in, rows)
        return found

    @_command
    def list_api_keys(self, user: str | None, *, limit: int, after: str | None) -> Page[ApiKey]:
        found = self._database.execute(
            """SELECT * FROM api_keys WHERE (:user IS NULL OR user = :user) AND id > :after
            ORDER BY id LIMIT :limit""",
            {
                "user": user,
                "after": "" if after is None else api_key_place(after),
                "limit": limit + 1,
            },
        )
        return page_of_api_keys([api_key_in(row) for row in found], limit)

    @_command
    def revoke_api_key(self, key_id: str, revoked_at: datetime) -> ApiKey:
        self._database.execute(
            "UPDATE api_keys SET revoked_at = coalesce(revoked_at, ?) WHERE id = ?",
            (milliseconds(revoked_at), key_id),
        )
        row = self._row("SELECT * FROM api_keys WHERE id = ?", key_id)
        if row is None:
            raise NotFound
        return api_key_in(row)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        """Have `work` done in the storage's thread, and wait for it."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _transaction(self, work: Callable[[], T]) -> T:
        """Do `work` wholly or not at all. In the storage's thread only."""
        try:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                result = work()
                self._lock.check()  # or it would be written where nobody will find it any more
                self._database.execute("COMMIT")
            finally:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
        except (sqlite3.Error, OverflowError) as error:
            self._failing = True
            raise self._failed(error) from error
        return result

    def _write_for_a_try(self) -> None:
        """Write a page and change nothing."""
        (version,) = self._database.execute("PRAGMA user_version").fetchone()
        self._database.execute(f"PRAGMA user_version = {version}")

    @property
    def _database(self) -> sqlite3.Connection:
        assert self._connection is not None, "the storage is not open"
        return self._connection

    def _create(self, conversation: Conversation) -> None:
        self._insert("conversations", conversation_row(conversation), "ON CONFLICT DO NOTHING")

    def _claim(self, key: IdempotencyKey, replaces: str | None) -> None:
        """Have `key` stand for its answer. Raises KeyTaken."""
        self._database.execute(
            "DELETE FROM idempotency_keys WHERE created_at <= ?", (_oldest_key(),)
        )
        taken = self._row("SELECT answer_id FROM idempotency_keys WHERE id = ?", key.id)
        if taken is not None and taken["answer_id"] not in (key.answer_id, replaces):
            raise KeyTaken
        row = self._held("idempotency_keys", key_row(key))
        self._insert("idempotency_keys", row, f"ON CONFLICT (id) DO UPDATE SET {assignments(row)}")

    def _insert(self, table: str, row: Row, otherwise: str = "") -> None:
        held = self._held(table, row)
        self._database.execute(f"{insertion(table, held)} {otherwise}", held)

    def _held(self, table: str, row: Row) -> Row:
        """What of `row` the file has columns for."""
        return {name: value for name, value in row.items() if name in self._columns[table]}

    def _conversation(self, user: str, conversation_id: str) -> Row:
        row = self._row(
            "SELECT * FROM conversations WHERE id = ? AND user = ?", conversation_id, user
        )
        if row is None:
            raise NotFound
        return row

    def _take_messages(self, conversation_id: str, count: int) -> int:
        """Take away the oldest messages of a conversation; -1: all of them. Returns how many."""
        return self._database.execute(
            """DELETE FROM messages WHERE id IN (
                SELECT id FROM messages WHERE conversation_id = ? ORDER BY ordinal LIMIT ?
            )""",
            (conversation_id, count),
        ).rowcount

    def _take_chunks(self, conversation_id: str) -> None:
        """Take away what there is of its one live answer's growth: "." follows "-"."""
        self._database.execute(
            "DELETE FROM chunks WHERE answer_id > ? AND answer_id < ?",
            (f"{conversation_id}-", f"{conversation_id}."),
        )

    def _live(self, conversation_id: str) -> str | None:
        row = self._row(
            "SELECT id FROM messages WHERE conversation_id = ? AND status = 'live'", conversation_id
        )
        return None if row is None else str(row["id"])

    def _grown(self, message: Message) -> Message:
        """A live answer with the blocks checkpointed so far; any other message as it is."""
        if message.status is not Status.LIVE:
            return message
        chunks = self._database.execute(
            "SELECT * FROM chunks WHERE answer_id = ? ORDER BY position", (message.id,)
        )
        readable = (chunk for row in chunks if (chunk := chunk_in(row)))
        return msgspec.structs.replace(message, blocks=fold(readable))

    def _row(self, query: str, *values: str | int) -> Row | None:
        row: sqlite3.Row | None = self._database.execute(query, values).fetchone()
        return None if row is None else dict(row)

    def _open(self, *, beside: bool) -> None:
        with self._our_errors():
            if not beside:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._lock.take(
                    "stop that one, give this one a file of its own, or let both use MongoDB"
                )
            elif not self.path.exists():
                raise ValueError(f"there is no {self.path.resolve()}; starting the server makes it")
            else:
                self._lock.share()
            database = self._connect()
            version = check_version(database)
            if version == 0 and not beside:
                upgrade(database, version)
            elif version < SERVED:
                raise self._outdated(version)
            self._columns = columns_of(database)
            database.execute("PRAGMA journal_mode = WAL")
            database.execute(f"PRAGMA synchronous = {_SYNCHRONOUS}")
            database.execute(f"PRAGMA journal_size_limit = {_LOG_SIZE}")
            # Off in SQLite unless it was built otherwise: ON DELETE CASCADE, as the tables have it,
            # would take all of a conversation's messages in one statement.
            database.execute("PRAGMA foreign_keys = OFF")

    def _migrate(self, say: Callable[[str], None]) -> bool:
        with self._our_errors():
            if not self.path.exists():
                return False  # the first start makes it, and all tables at once
            self._lock.take("stop it first, for its tables are changed")
            database = self._connect()
            version = check_version(database)
            if version in (0, NEWEST):
                return False
            say(f"kept: {keep_copy(database, self.path.resolve(), version)}")
            upgrade(database, version)
            say(f"changed: {_due(version)}")
            return True

    def _connect(self) -> sqlite3.Connection:
        database = sqlite3.connect(self.path, timeout=_BUSY_TIMEOUT / 1000, isolation_level=None)
        self._connection = database
        database.row_factory = sqlite3.Row
        database.text_factory = _AS_TEXT
        return database

    @contextmanager
    def _our_errors(self) -> Iterator[None]:
        """Turn what goes wrong with the file as a whole into words for the operator."""
        try:
            yield
        except OSError as error:
            raise StorageError(
                f"cannot use {self.path}: {error.strerror}", reason=Reason.UNREACHABLE
            ) from error
        except ValueError as error:
            raise StorageError(f"cannot use {self.path}: {error}") from error
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def _outdated(self, version: int) -> StorageError:
        if version == 0:
            return StorageError(
                f"cannot use {self.path}: it is empty; starting the server fills it"
            )
        return Outdated(
            f"cannot use {self.path}: its tables are of version {version}, those of {SERVED} and "
            f"newer are served; `server.py migrate` brings it to {NEWEST}"
        )

    def _examine(self) -> Examined:
        folder = self.path.resolve().parent
        while not folder.exists():  # it is made at the first start
            folder = folder.parent
        if not os.access(folder, os.W_OK | os.X_OK):
            raise StorageError(f"cannot use {self.path}: {folder} may not be written to")
        examined = Examined(
            name="SQLite",
            version=sqlite3.sqlite_version_info,
            shape=f"{self.path}, which the first start makes",
            free_bytes=shutil.disk_usage(folder).free,
        )
        if not self.path.exists():
            return examined
        if not os.access(self.path, os.R_OK | os.W_OK):
            raise StorageError(f"cannot use {self.path}: it may not be read and written")
        address = f"{self.path.resolve().as_uri()}?mode=ro"
        with self._our_errors(), closing(sqlite3.connect(address, uri=True)) as database:
            version = check_version(database)
        if 0 < version < SERVED:
            raise self._outdated(version)
        return msgspec.structs.replace(
            examined,
            shape=f"{self.path}, {self.path.stat().st_size / 1e6:.1f} MB",
            due=(_due(version),) if 0 < version < NEWEST else (),
            used_by=holder(self.path),
        )

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._lock.release()

    def _failed(self, error: sqlite3.Error | OverflowError) -> StorageError:
        # SQLite's words may quote a row; the name of its error never does.
        name = getattr(error, "sqlite_errorname", type(error).__name__)
        return failure(f"SQLite failed on {self.path}: {name}", reason(name))


def _due(version: int) -> str:
    """What leads a file of `version` to the newest, in words."""
    return f"tables from version {version} to {NEWEST}"


def _nothing() -> None:
    """A transaction that leaves all as it is."""


def _oldest_key() -> int:
    """When the keys that expire just now were made."""
    return milliseconds(now() - timedelta(seconds=KEY_SECONDS))
