"""The embedded store: one file, one process, no server to install.

SQLite calls block, so they run in threads of their own: one that writes (`writer.py`), a few that
read (`readers.py`). Each has a connection, and a method finds that of the thread which it runs in.
A caller that is cancelled leaves: its command is dropped, or runs to its end once it has begun.

A lock says that one server has the file (`file_lock.py`). It is gone with the process however that
ends, so whoever holds it knows that the owners of all other live answers are dead. A command that
manages API keys works beside the server, or without one: it owns no answers, takes no lock, so that
it keeps no server from starting, and neither makes nor changes tables. SQLite's own locks keep its
transactions and the server's apart.
"""

import asyncio
import functools
import sqlite3
import threading
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import msgspec

from model.growth import Chunk, fold
from model.messages import Conversation, Ending, Message, Role, Status, now
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
    Order,
    Page,
    Reason,
    Span,
    Storage,
    StorageError,
    Wants,
    conversation_of,
    failure,
)
from storage.looking import Looking
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
from storage.readers import Readers
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
from storage.sizes import CONVERSATION_BYTES, facts_bytes, messages_bytes
from storage.sqlite_file import SQLiteFile
from storage.writer import Writer

P = ParamSpec("P")
T = TypeVar("T")
Part = TypeVar("Part", Writer, Readers)

# Seconds for a ping. Whoever asks whether we are ready has not much longer: a balancer, a person.
_PING_SECONDS = 1.0

# A message, if it is of a conversation: of one that is deleted they may still be there.
_KEPT_MESSAGE = """FROM messages
    JOIN conversations ON conversations.id = messages.conversation_id WHERE messages.id = ?"""
_MESSAGE = f"SELECT messages.* {_KEPT_MESSAGE}"

# How many messages of a deleted conversation to take away at once, and of how many bytes: 15 ms
# here. Debian's SQLite overwrites what is deleted: a megabyte is 50 ms of writing then, and others
# wait for one such batch.
_CLEARED = 500
_CLEARED_BYTES = 1_000_000

# How many dead processes' answers to hold in memory at once: 4 MB each at the very most.
_ORPHANS = 50

# How many API keys to ask for in one query: SQLite takes 999 values before its version 3.32.
_API_KEYS = 900


_Method = Callable[Concatenate["SQLiteStorage", P], T]
_Command = Callable[Concatenate["SQLiteStorage", P], Coroutine[Any, Any, T]]


def _writes(lane: str) -> Callable[[_Method[P, T]], _Command[P, T]]:
    """Have a method run in the writer's thread, wholly or not at all."""

    def decorate(method: _Method[P, T]) -> _Command[P, T]:
        @functools.wraps(method)
        async def run(storage: "SQLiteStorage", /, *args: P.args, **kwargs: P.kwargs) -> T:
            work = functools.partial(method, storage, *args, **kwargs)
            return await storage._opened(storage._writer).run(lane, work)

        return run

    return decorate


def _reads(lane: str) -> Callable[[_Method[P, T]], _Command[P, T]]:
    """Have a method run in a reader's thread; it sees one state of all that is kept."""

    def decorate(method: _Method[P, T]) -> _Command[P, T]:
        @functools.wraps(method)
        async def run(storage: "SQLiteStorage", /, *args: P.args, **kwargs: P.kwargs) -> T:
            work = functools.partial(method, storage, *args, **kwargs)
            return await storage._opened(storage._readers).run(lane, work)

        return run

    return decorate


class SQLiteStorage(Storage):
    """Conversations in one SQLite file; see the contract for what each operation promises."""

    is_prompt = True  # commands have one order, and what was dropped is in it no more

    def __init__(self, path: Path, process: str) -> None:
        self.process = process
        self.path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite")  # to open and to close
        self._file = SQLiteFile(path)
        self._here = threading.local()  # each thread's own `database`
        self._writer: Writer | None = None
        self._readers: Readers | None = None
        self._looking: Looking | None = None
        # Until a ping has written: what keeps others from it shows at once, a full disk not before.
        self._in_doubt = True
        self._damage: Exception | None = None  # was met; it does not go away

    async def open(self, *, beside: bool = False) -> None:
        try:
            opened = functools.partial(self._file.open, beside=beside)
            writing, reading = await self._in_thread(opened)
        except BaseException:  # whoever left while it was opened closes nothing
            await self.close()
            raise
        self._writer = Writer(
            writing,
            enter=self._enter,
            check=self._file.lock.check,
            tidy=functools.partial(self._file.tidy, writing),
            failed=self._failed,
        )
        self._readers = Readers(reading, enter=self._enter, failed=self._failed)
        if not beside:
            self._looking = Looking(self.path, self._is_damaged)

    async def examine(self) -> Examined:
        try:
            return await self._in_thread(self._file.examine)
        finally:
            await self.close()

    async def migrate(self, say: Callable[[str], None]) -> bool:
        try:
            return await self._in_thread(functools.partial(self._file.migrate, say))
        finally:
            await self.close()

    async def close(self) -> None:
        try:
            await self._in_thread(self._close)
        except RuntimeError:  # the thread has ended: closed before
            return
        self._thread.shutdown()

    async def ping(self) -> None:
        if self._damage is not None:
            raise self._failed(self._damage)
        # Whether there is room on the disk only writing tells: that costs an fsync, and so is done
        # where something has just failed, nothing was tried yet, or little room is left.
        in_doubt = self._in_doubt or self._file.seems_full()
        work = self._write_for_a_try if in_doubt else _nothing
        await self._opened(self._writer).run("ping", work, patience=_PING_SECONDS)
        self._in_doubt = False

    @_writes("request")
    def create_conversation(self, conversation: Conversation) -> None:
        self._create(conversation)

    @_reads("request")
    def conversation(self, user: str, conversation_id: str) -> Conversation:
        return conversation_in(self._conversation(user, conversation_id))

    @_reads("request")
    def conversations(
        self, user: str, *, limit: int, after: str | None, order: Order = Order.CREATED
    ) -> Page[Conversation]:
        where, place = "", {}
        if after is not None:
            time, conversation_id = conversation_place(after, order)
            where = f"AND ({order.field}, id) < (:time, :id)"
            place = {"time": milliseconds(time), "id": conversation_id}
        found = self._database.execute(
            f"""SELECT * FROM conversations WHERE user = :user {where}
            ORDER BY {order.field} DESC, id DESC LIMIT :limit""",
            {"user": user, "limit": limit + 1, **place},
        )
        filling = filling_with_conversations(limit)
        filling.take(map(conversation_in, found))
        return page_of_conversations(filling, order)

    @_writes("request")
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
        changed = conversation_in(self._conversation(user, conversation_id))
        self._add_bytes(conversation_id, facts_bytes(changes))
        return changed

    @_writes("deletion")
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
        if self._file.columns.get("deletions"):
            self._insert("deletions", {"id": conversation_id, "user": user})
        else:  # an older file: all of it now, since nobody would remember to
            self._take_chunks(conversation_id)
            while self._take_messages(conversation_id):
                pass

    @_reads("relay")
    def deletion(self) -> Deletion | None:
        if not self._file.columns.get("deletions"):
            return None
        row = self._row("SELECT * FROM deletions LIMIT 1")
        return None if row is None else Deletion(row["id"], row["user"])

    @_writes("clearing")
    def clear(self, deletion: Deletion) -> bool:
        conversation_id = deletion.conversation_id
        self._take_chunks(conversation_id)
        if self._take_messages(conversation_id):
            return True
        self._database.execute("DELETE FROM deletions WHERE id = ?", (conversation_id,))
        return False

    @_writes("request")
    def ask(
        self,
        question: Message | None,
        answer: Message,
        *,
        title: str | None,
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
        self._add_bytes(conversation_id, messages_bytes(kept))

    @_reads("request")
    def kept_bytes(self, user: str) -> int:
        brought = "sum(bytes)" if self._counts_bytes else "0"
        count, found = self._database.execute(
            f"SELECT count(*), coalesce({brought}, 0) FROM conversations WHERE user = ?", (user,)
        ).fetchone()
        total: int = count * CONVERSATION_BYTES + found
        return total

    @_reads("request")
    def idempotency_key(self, user: str, key_id: str) -> IdempotencyKey | None:
        row = self._row(
            "SELECT * FROM idempotency_keys WHERE id = ? AND user = ? AND created_at > ?",
            *(key_id, user, _oldest_key()),
        )
        return None if row is None else key_in(row)

    @_reads("request")
    def message(self, user: str, message_id: str) -> Message:
        row = self._row(f"{_MESSAGE} AND messages.user = ?", message_id, user)
        if row is None:
            raise NotFound
        return self._grown(message_in(row))

    @_reads("request")
    def answer_status(self, user: str, answer_id: str) -> str:
        row = self._row(
            f"SELECT status {_KEPT_MESSAGE} AND messages.user = ? AND role = ?",
            *(answer_id, user, Role.ASSISTANT),
        )
        if row is None:
            raise NotFound
        return str(row["status"])

    @_reads("request")
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

    @_reads("request")
    def branch(
        self,
        user: str,
        conversation_id: str,
        *,
        limit: int,
        last: str | None,
        room: int | None = None,
    ) -> Page[Message]:
        self._conversation(user, conversation_id)
        # Their ids first: what is sorted is held, all of it.
        found = self._database.execute(
            """WITH RECURSIVE branch (id, parent_id, ordinal) AS (
                SELECT id, parent_id, ordinal FROM messages
                WHERE conversation_id = :conversation AND user = :user AND id = coalesce(:last, (
                    SELECT id FROM messages WHERE conversation_id = :conversation
                    ORDER BY ordinal DESC LIMIT 1
                ))
                UNION ALL
                SELECT messages.id, messages.parent_id, messages.ordinal
                FROM branch JOIN messages ON messages.id = branch.parent_id
                WHERE messages.user = :user
                LIMIT :limit
            ) SELECT id FROM branch ORDER BY ordinal DESC""",
            {"conversation": conversation_id, "user": user, "last": last, "limit": limit},
        )
        filling = filling_with_messages(limit, room)
        filling.take(self._message(row["id"]) for row in found)
        if last is not None and not filling.found:
            raise NotFound
        return page_of_branch(filling.found)

    @_reads("request")
    def live_answer(self, user: str, conversation_id: str) -> str | None:
        self._conversation(user, conversation_id)
        return self._live(conversation_id)

    @_writes("chunks")
    def append_chunks(self, chunks: Sequence[Chunk]) -> frozenset[str]:
        # A chunk that comes behind its answer's ending, or its deletion, would stay for ever.
        self._database.executemany(
            """INSERT INTO chunks (answer_id, position, pieces)
            SELECT :answer_id, :position, :pieces
            WHERE EXISTS (SELECT 1 FROM messages WHERE id = :answer_id AND status = 'live')
            ON CONFLICT DO NOTHING""",
            [chunk_row(chunk) for chunk in chunks],
        )
        if not self._file.columns.get("deletions"):
            return frozenset()
        deleted = {row["id"] for row in self._database.execute("SELECT id FROM deletions")}
        gone = (chunk.answer_id for chunk in chunks if conversation_of(chunk.answer_id) in deleted)
        return frozenset(gone)

    @_writes("ending")
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

    @_reads("relay")
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

    @_writes("counts")
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

    @_reads("relay")
    def own_live_answers(self) -> frozenset[str]:
        found = self._database.execute(
            "SELECT id FROM messages WHERE status = 'live' AND owner = ?", (self.process,)
        )
        return frozenset(row["id"] for row in found)

    @_reads("relay")
    def orphans(self) -> list[Message]:
        found = self._database.execute(
            "SELECT * FROM messages WHERE status = 'live' AND owner IS NOT ? LIMIT ?",
            (self.process, _ORPHANS),
        )
        return [self._grown(message_in(row)) for row in found.fetchall()]

    @_writes("request")
    def create_api_key(self, key: ApiKey) -> None:
        if key.models is not None and "models" not in self._file.columns["api_keys"]:
            # It would be a key for all of them.
            raise failure(
                f"{self.path} cannot keep which models a key may ask; `server.py migrate` first",
                Reason.OUTDATED,
            )
        self._insert("api_keys", api_key_row(key), "ON CONFLICT DO NOTHING")

    @_reads("api_keys")
    def api_keys(self, key_ids: Collection[str]) -> list[ApiKey]:
        found: list[ApiKey] = []
        known = iter(key_ids)
        while some := tuple(islice(known, _API_KEYS)):
            places = ", ".join("?" * len(some))
            rows = self._database.execute(f"SELECT * FROM api_keys WHERE id IN ({places})", some)
            found += map(api_key_in, rows)
        return found

    @_reads("request")
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

    @_writes("request")
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

    def _write_for_a_try(self) -> None:
        """Write a page and change nothing."""
        (version,) = self._database.execute("PRAGMA user_version").fetchone()
        self._database.execute(f"PRAGMA user_version = {version}")

    @property
    def _database(self) -> sqlite3.Connection:
        """The connection of the thread that asks."""
        database: sqlite3.Connection = self._here.database
        return database

    def _enter(self, database: sqlite3.Connection) -> None:
        self._here.database = database

    def _opened(self, part: Part | None) -> Part:
        if part is None:
            raise StorageError("the store is not open", reason=Reason.UNREACHABLE)
        return part

    def _failed(self, error: Exception) -> Exception:
        """An error as it is told, and what it says about the file."""
        told = self._file.failed(error)
        if isinstance(told, StorageError):
            self._in_doubt = True
            if told.reason is Reason.CORRUPT:
                self._damage = error
        return told

    def _is_damaged(self, fault: str) -> None:
        self._damage = StorageError(f"{self.path} is damaged: {fault}", reason=Reason.CORRUPT)

    def _close(self) -> None:
        if self._looking is not None:
            self._looking.close()
        written = self._writer is None or self._writer.close()
        read = self._readers is None or self._readers.close()
        if written and read:  # what a thread that hangs still uses is left to the process's end
            self._file.close()

    def _create(self, conversation: Conversation) -> None:
        self._insert("conversations", conversation_row(conversation), "ON CONFLICT DO NOTHING")

    @property
    def _counts_bytes(self) -> bool:
        """Whether the file has room for what is brought."""
        return "bytes" in self._file.columns["conversations"]

    def _add_bytes(self, conversation_id: str, brought: int) -> None:
        if brought and self._counts_bytes:
            self._database.execute(
                "UPDATE conversations SET bytes = bytes + ? WHERE id = ?",
                (brought, conversation_id),
            )

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
        return {name: value for name, value in row.items() if name in self._file.columns[table]}

    def _conversation(self, user: str, conversation_id: str) -> Row:
        row = self._row(
            "SELECT * FROM conversations WHERE id = ? AND user = ?", conversation_id, user
        )
        if row is None:
            raise NotFound
        return row

    def _take_messages(self, conversation_id: str) -> bool:
        """Take away the oldest messages of a conversation; whether there were any."""
        sizes = self._database.execute(
            """SELECT id, length(CAST(blocks AS BLOB)) AS size FROM messages
            WHERE conversation_id = ? ORDER BY ordinal LIMIT ?""",
            (conversation_id, _CLEARED),
        )
        taken: list[tuple[str]] = []
        room = _CLEARED_BYTES
        for row in sizes:
            taken.append((row["id"],))
            room -= row["size"]
            if room < 0:
                break
        sizes.close()
        self._database.executemany("DELETE FROM messages WHERE id = ?", taken)
        return bool(taken)

    def _take_chunks(self, conversation_id: str) -> None:
        """Take away what there is of its one live answer's growth: "." follows "-"."""
        self._database.execute(
            "DELETE FROM chunks WHERE answer_id > ? AND answer_id < ?",
            (f"{conversation_id}-", f"{conversation_id}."),
        )

    def _message(self, message_id: str) -> Message:
        """One that is there, of a conversation that is."""
        row = self._row("SELECT * FROM messages WHERE id = ?", message_id)
        assert row is not None
        return self._grown(message_in(row))

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


def _nothing() -> None:
    """A transaction that leaves all as it is."""


def _oldest_key() -> int:
    """When the keys that expire just now were made."""
    return milliseconds(now() - timedelta(seconds=KEY_SECONDS))
