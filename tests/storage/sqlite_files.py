"""SQLite files for the tests of backups: made, left as by a crash, and read."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from storage.sqlite.store import SQLiteStorage
from storage.sqlite.tables import MIGRATIONS, NEWEST
from tests.storage.samples import conversation, exchange


def discard_line(_: str) -> None:
    """Take what a command says, and tell nobody."""


async def make_titled(file: Path, *titles: str) -> None:
    """Have a server keep a conversation of each title, with a live answer."""
    storage = SQLiteStorage(file, "p")
    await storage.open()
    for title in titles:
        new = conversation(title=title)
        question, answer = exchange(new, owner="p")
        await storage.ask(question, answer, title=title, new=new)
    await storage.close()


def leave_a_log(file: Path) -> None:
    """Leave at `file` what a server leaves that is killed: "old" is in it, "logged" in its log."""
    making = file.with_name("making.db")
    with closing(sqlite3.connect(making, isolation_level=None)) as database:
        database.executescript(f"{''.join(MIGRATIONS)} PRAGMA user_version = {NEWEST};")
        database.execute("PRAGMA journal_mode = WAL").fetchone()
        insert_conversation(database, "old")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        insert_conversation(database, "logged")
        for name in ("", "-wal", "-shm"):
            shutil.copyfile(f"{making}{name}", f"{file}{name}")
    making.unlink()


def insert_conversation(database: sqlite3.Connection, title: str) -> None:
    """Write a conversation past our own code."""
    database.execute(
        """INSERT INTO conversations (id, user, title, metadata, created_at, updated_at)
        VALUES (?, 'alice', ?, '{}', 0, 0)""",
        (title, title),
    )


def titles_in(file: Path) -> list[str]:
    """The titles that a program finds in a file; the file is left as it is."""
    with closing(sqlite3.connect(file)) as database:
        assert [("ok",)] == database.execute("PRAGMA integrity_check").fetchall()
        return [row[0] for row in database.execute("SELECT title FROM conversations ORDER BY 1")]


def names_in(folder: Path) -> set[str]:
    """The names of what is in a folder."""
    return {path.name for path in folder.iterdir()}


def damage(file: Path) -> None:
    """Fill all pages after the first few with rubbish."""
    pages = file.read_bytes()
    file.write_bytes(pages[:8192] + b"\x5a" * (len(pages) - 8192))


def damage_table(file: Path, table: str) -> None:
    """Write rubbish over a table's first page."""
    with closing(sqlite3.connect(file)) as database:
        query = "SELECT rootpage FROM sqlite_master WHERE name = ?"
        (page,) = database.execute(query, (table,)).fetchone()
        (size,) = database.execute("PRAGMA page_size").fetchone()
    with file.open("r+b") as pages:
        pages.seek((page - 1) * size)
        pages.write(b"\x5a" * size)
