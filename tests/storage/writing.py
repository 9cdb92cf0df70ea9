"""Commands that wait for SQLite's writer, together, and what it says to SQLite then."""

import asyncio
import sqlite3
import threading
from pathlib import Path

from model.messages import Message
from storage.sqlite.store import SQLiteStorage
from tests.storage.samples import conversation, exchange, key


class Shell:
    """Another program, which may hold the right to write."""

    def __init__(self, file: Path) -> None:
        self.database = sqlite3.connect(file, isolation_level=None)

    def hold(self) -> None:
        """Take it."""
        self.database.execute("BEGIN IMMEDIATE")

    def let_go(self) -> None:
        """Give it back."""
        self.database.execute("ROLLBACK")


class Halt:
    """A command that stays in the middle of a transaction until it may go on."""

    def __init__(self, storage: SQLiteStorage) -> None:
        self._has_begun, self._may_go_on = threading.Event(), threading.Event()
        assert storage._writer is not None
        self.done = asyncio.create_task(storage._writer.run("request", self._wait))

    async def reached(self) -> None:
        """Return when all commands before it were carried out, and nothing is committed."""
        async with asyncio.timeout(5):
            await asyncio.get_running_loop().run_in_executor(None, self._has_begun.wait, 5)
        assert self._has_begun.is_set()

    def go_on(self) -> None:
        """Let it end, and the commands behind it be carried out."""
        self._may_go_on.set()

    def _wait(self) -> None:
        self._has_begun.set()
        assert self._may_go_on.wait(5)


def statements(storage: SQLiteStorage) -> list[str]:
    """What the writer says to SQLite from now on."""
    said: list[str] = []
    storage._file._connections[0].set_trace_callback(said.append)
    return said


async def queued(*commands: asyncio.Task[object]) -> None:
    """Return when they wait for the writer, which cannot begin."""
    await asyncio.sleep(0)  # each runs up to where it waits
    assert not any(command.done() for command in commands)


def asked(
    storage: SQLiteStorage,
    of: str | None = None,
    *,
    text: str = "What is a headrace?",
    key_name: str | None = None,
) -> "asyncio.Task[Message]":
    """Have a question asked, in a new conversation or in that one; returns its answer."""

    async def ask() -> Message:
        new = conversation() if of is None else conversation(id=of)
        question, answer = exchange(new, owner="p", text=text)
        its_key = None if key_name is None else key(answer, key_name)
        await storage.ask(question, answer, title="t", new=new if of is None else None, key=its_key)
        return answer

    return asyncio.create_task(ask())
