"""A database that is damaged or full is known by a look at it, ahead of any question."""

import asyncio
import os
import queue
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from storage.errors import Reason, StorageError
from storage.sqlite.inspection import connect
from storage.sqlite.integrity_check import faults
from storage.sqlite.integrity_monitor import IntegrityMonitor, faults_within
from storage.sqlite.store import SQLiteStorage
from tests.readers import call
from tests.serving import Serving
from tests.storage.filled import damaged, filled
from tests.storage.samples import begun

# What a ping says on a disk of its own as that gets full, and has room again.
_DISK = """
import asyncio, subprocess, sys
from pathlib import Path
from storage.errors import StorageError
from storage.sqlite.store import SQLiteStorage

folder = Path(sys.argv[1])

async def main():
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], check=True)
    storage = SQLiteStorage(folder / "headrace.db", "p")
    await storage.open()

    async def ping():
        try:
            await storage.ping()
        except StorageError as error:
            return error.reason.value
        return "ok"

    said = [await ping()]
    filling = folder / "filling"
    with filling.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            pass
    said.append(await ping())
    said.append(await ping())
    filling.unlink()
    said.append(await ping())
    print(*said)
    await storage.close()

asyncio.run(main())
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "headrace.db"


@pytest.mark.slow
@pytest.mark.gen_test
async def test_damage_that_nobody_asks_for_is_known_right_after_a_start(
    serve: Serving, file: Path, expect_log: Callable[[str, str], None]
) -> None:
    filled(file, 2)
    damaged(file, at=1_000_000)
    expect_log("headrace.storage", "the database is damaged, see `server.py check`: ")
    server = await serve.start()

    async with asyncio.timeout(10):
        while (ready := await call(server.url, "GET", "/readyz")).status == 200:
            pass

    assert (503, "corrupt") == (ready.status, ready.body["error"]["reason"])
    assert "retry-after" not in ready.headers
    assert 200 == (await call(server.url, "GET", "/healthz")).status


@pytest.mark.slow
@pytest.mark.gen_test
async def test_damage_that_comes_later_is_known_by_the_next_look(
    serve: Serving,
    file: Path,
    expect_log: Callable[[str, str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("storage.sqlite.integrity_monitor._PAUSE_SECONDS", 0.05)
    monkeypatch.setattr("storage.sqlite.integrity_monitor._PAUSES", 1)
    filled(file, 2)
    server = await serve.start()
    assert 200 == (await call(server.url, "GET", "/readyz")).status
    expect_log("headrace.storage", "the database is damaged, see `server.py check`: ")

    damaged(file, at=1_000_000)

    async with asyncio.timeout(10):
        while (ready := await call(server.url, "GET", "/readyz")).status == 200:
            pass
    assert "corrupt" == ready.body["error"]["reason"]


def test_a_bug_in_a_check_is_logged_and_the_next_check_takes_place(
    file: Path, monkeypatch: pytest.MonkeyPatch, expect_log: Callable[[str, str], None]
) -> None:
    monkeypatch.setattr("storage.sqlite.integrity_monitor._PAUSE_SECONDS", 0.01)
    monkeypatch.setattr("storage.sqlite.integrity_monitor._PAUSES", 1)
    expect_log("headrace.storage", "the database was not checked")
    expect_log("headrace.storage", "the database is damaged, see `server.py check`: ")
    filled(file, 2)
    damaged(file, at=1_000_000)
    found: queue.Queue[str] = queue.Queue()
    bugs = [ValueError("a bug")]

    def is_served() -> bool:
        if bugs:
            raise bugs.pop()
        return True

    monitor = IntegrityMonitor(file, found.put, is_served)

    assert found.get(timeout=10)
    assert monitor.close()


@pytest.mark.gen_test
async def test_another_file_in_its_place_is_told_as_that_and_not_as_damage(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.sqlite.integrity_monitor._PAUSE_SECONDS", 0.05)
    monkeypatch.setattr("storage.sqlite.integrity_monitor._PAUSES", 1)
    filled(file, 2)
    shutil.copyfile(file, file.with_name("other.db"))
    damaged(file.with_name("other.db"), at=1_000_000)
    storage = SQLiteStorage(file, "p")
    await storage.open()
    await begun(storage)
    os.rename(file, file.with_name("moved.db"))
    os.rename(file.with_name("other.db"), file)

    await _seen_damaged(monkeypatch)

    with pytest.raises(StorageError) as refused:
        await storage.ping()
    assert Reason.REPLACED is refused.value.reason
    os.rename(file.with_name("moved.db"), file)
    await storage.ping()
    await storage.close()


async def _seen_damaged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait until the looks have found damage, and have come back for another one."""
    looks: queue.SimpleQueue[list[str] | None] = queue.SimpleQueue()

    def look(*args: Any) -> list[str] | None:
        found = faults_within(*args)
        looks.put(found)
        return found

    monkeypatch.setattr("storage.sqlite.integrity_monitor.faults_within", look)
    found = [await asyncio.to_thread(looks.get, timeout=10) for _ in range(2)]
    assert all(found)


def test_a_look_ends_in_time_and_says_that_it_did_not_see_all(file: Path) -> None:
    filled(file, 40)

    assert [] == faults_within(file, 60)
    assert None is faults_within(file, 0)


@pytest.mark.slow
def test_a_check_ends_at_a_signal_in_the_middle_of_its_one_long_step(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.sqlite.integrity_check._WATCH_SECONDS", 0.001)
    filled(file, 1)
    with closing(sqlite3.connect(file)) as database, database:
        # Many pages and few rows: it is rows between which SQLite looks up.
        database.execute("UPDATE messages SET blocks = zeroblob(10000000) WHERE ordinal < 15")
    came: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, _: came.append(number))

    try:
        with closing(connect(file, "mode=ro", lambda: False)) as database:
            signal.setitimer(signal.ITIMER_REAL, 0.01)
            with pytest.raises(sqlite3.OperationalError, match="interrupted"):
                faults(database, thoroughly=False, stop=lambda: bool(came))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.gen_test
async def test_a_look_at_a_disk_that_hangs_keeps_nobody_from_closing(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.sqlite.integrity_monitor.HUNG_SECONDS", 0.1)
    works_again, looks = threading.Event(), threading.Event()

    def hangs(*_: Any) -> None:
        looks.set()
        works_again.wait()

    monkeypatch.setattr("storage.sqlite.integrity_monitor.faults_within", hangs)
    storage = SQLiteStorage(file, "p")
    await storage.open()
    await asyncio.to_thread(looks.wait)

    await storage.close()

    with pytest.raises(StorageError, match="in use"):  # it is left to the process's end
        await SQLiteStorage(file, "q").open()
    works_again.set()


def test_a_look_that_is_under_way_is_no_reason_to_wait(file: Path) -> None:
    filled(file, 40)
    found: list[str] = []
    before = set(threading.enumerate())

    IntegrityMonitor(file, found.append, lambda: True).close()

    assert [] == found
    assert before == set(threading.enumerate())


def test_a_disk_that_has_become_full_is_told_by_a_ping_until_it_has_room(
    needs: Callable[[str], str], tmp_path: Path
) -> None:
    unshare = (needs("unshare"), "--user", "--map-root-user", "--mount")

    ran = subprocess.run(
        [*unshare, sys.executable, "-c", _DISK, str(tmp_path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )

    assert ("", "ok full full ok\n") == (ran.stderr, ran.stdout)
