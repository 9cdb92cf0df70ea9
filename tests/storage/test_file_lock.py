"""One SQLite file, one server, by whichever name it comes, and none that writes to a lost file."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from model.messages import Status
from storage.errors import Reason, StorageError
from storage.sqlite.store import SQLiteStorage
from tests.storage.samples import begun, ending

# A server's store in a process of its own: it writes a line for each answer that was acknowledged,
# one for each line that it reads.
_SERVER = """
import asyncio, sys
from pathlib import Path
from storage.sqlite.store import SQLiteStorage
from tests.storage.samples import begun

async def main():
    storage = SQLiteStorage(Path(sys.argv[1]), "server")
    await storage.open()
    print("open", flush=True)
    while sys.stdin.readline():
        print((await begun(storage)).id, flush=True)

asyncio.run(main())
"""

# What an operator's program does: open, read, close.
_PYTHONS_SHELL = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1])
print(database.execute("SELECT count(*) FROM messages").fetchone()[0])
database.close()
"""


class Server:
    """The store's server in another process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def asked(self) -> str:
        """Have it keep an answer; returns its id, once that is acknowledged."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        return await self.line()

    async def line(self) -> str:
        """The next line that it writes."""
        assert self.process.stdout is not None
        return (await self.process.stdout.readline()).decode().strip()


@asynccontextmanager
async def serving(file: Path) -> AsyncIterator[Server]:
    """A server that has the file; killed at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _SERVER, str(file), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    server = Server(process)
    try:
        assert "open" == await server.line()
        yield server
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
        await process.wait()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data" / "headrace.db"


def by_a_hard_link(file: Path) -> Path:
    link = file.parent.parent / "link.db"
    os.link(file, link)
    return link


def by_a_symlink(file: Path) -> Path:
    link = file.parent.parent / "symlink.db"
    link.symlink_to(file)
    return link


def by_a_linked_folder(file: Path) -> Path:
    link = file.parent.parent / "linked"
    link.symlink_to(file.parent)
    return link / file.name


def by_dots(file: Path) -> Path:
    return file.parent / ".." / file.parent.name / file.name


def by_a_relative_path(file: Path) -> Path:
    return Path(os.path.relpath(file))


def without_the_lock_file(file: Path) -> Path:
    file.with_name(f"{file.name}.lock").unlink()
    return file


def by_a_hard_link_in_its_folder_without_lock_files(file: Path) -> Path:
    link = file.with_name("other.db")
    os.link(file, link)
    file.with_name(f"{file.name}.lock").unlink()
    return link


NAMES = [
    by_a_hard_link,
    by_a_symlink,
    by_a_linked_folder,
    by_dots,
    by_a_relative_path,
    without_the_lock_file,
    by_a_hard_link_in_its_folder_without_lock_files,
]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.gen_test
async def test_a_second_server_is_refused_by_every_name(
    file: Path, name: Callable[[Path], Path]
) -> None:
    async with serving(file) as server:
        path = name(file)
        for _ in range(2):  # nor does the first refusal let the second try in
            storage = SQLiteStorage(path, "second")
            with pytest.raises(
                StorageError, match=rf"in use .* \(process {server.process.pid}\)"
            ) as refused:
                await storage.open()
            assert Reason.LOCKED is refused.value.reason
        with pytest.raises(StorageError, match=r"in use"):
            await SQLiteStorage(path, "migration").migrate(lambda _: None)
        if path.samefile(file) and path.resolve() != file:  # another log would be beside it
            for look in (
                lambda: SQLiteStorage(path, "doctor").report(),
                lambda: SQLiteStorage(path, "keys").open(without_lease=True),
            ):
                with pytest.raises(StorageError, match="another name"):
                    await look()
            assert not path.with_name(f"{path.name}-wal").exists()
        else:
            report = await SQLiteStorage(path, "doctor").report()
            assert report.used_by == str(server.process.pid)
        assert await server.asked()


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_server_of_an_earlier_version_is_met_both_ways(file: Path) -> None:
    # It locks FILE.lock alone, and leaves its process id there.
    earlier = """
import fcntl, os, sys
lock = os.open(sys.argv[1], os.O_CREAT | os.O_RDWR, 0o600)
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    sys.exit("refused")
os.pwrite(lock, str(os.getpid()).encode(), 0)
print("open", flush=True)
sys.stdin.readline()
"""
    command = (sys.executable, "-c", earlier, f"{file}.lock")
    process = await asyncio.create_subprocess_exec(
        *command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert b"open\n" == await process.stdout.readline()
    with pytest.raises(StorageError, match=rf"in use .* \(process {process.pid}\)"):
        await SQLiteStorage(file, "p").open()
    await process.communicate(b"\n")

    storage = SQLiteStorage(file, "p")
    await storage.open()
    process = await asyncio.create_subprocess_exec(
        *command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert (b"", b"refused\n") == await process.communicate()
    await storage.close()


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["sqlite3", "python"])
@pytest.mark.gen_test
async def test_a_shell_that_comes_and_goes_takes_nothing_with_it(
    file: Path, shell: str, needs: Callable[[str], str]
) -> None:
    if shell == "sqlite3":
        command = (needs("sqlite3"), str(file), "SELECT count(*) FROM messages;")
    else:
        command = (sys.executable, "-c", _PYTHONS_SHELL, str(file))
    log = file.with_name(f"{file.name}-wal")
    async with serving(file) as server:
        answers = [await server.asked()]
        for _ in range(3):
            # All that is done beside a server: by doctor, by a second one, by a command for keys.
            await SQLiteStorage(file, "doctor").report()
            with pytest.raises(StorageError, match="in use"):
                await SQLiteStorage(file, "second").open()
            beside = SQLiteStorage(file, "keys")
            await beside.open(without_lease=True)
            await beside.close()
            before = log.stat().st_ino
            shown = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
            told, _ = await shown.communicate()
            assert int(told) == 2 * len(answers)
            assert log.stat().st_ino == before
            answers.append(await server.asked())
        server.process.send_signal(signal.SIGKILL)
        await server.process.wait()

    storage = SQLiteStorage(file, "next")
    await storage.open()
    for answer_id in answers:
        assert (await storage.message("alice", answer_id)).status is Status.LIVE
    await storage.close()


@pytest.mark.slow
@pytest.mark.gen_test
async def test_what_looks_at_the_file_within_the_servers_process_leaves_its_locks(
    file: Path,
) -> None:
    storage = SQLiteStorage(file, "p")
    await storage.open()
    await begun(storage)
    assert (await SQLiteStorage(file, "doctor").report()).used_by == str(os.getpid())
    for path in (file, by_a_hard_link(file)):
        with pytest.raises(StorageError, match="in use"):
            await SQLiteStorage(path, "second").open()
    beside = SQLiteStorage(file, "keys")
    await beside.open(without_lease=True)
    await beside.close()

    shell = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _PYTHONS_SHELL, str(file), stdout=subprocess.PIPE
    )
    told, _ = await shell.communicate()

    assert b"2\n" == told
    assert file.with_name(f"{file.name}-wal").exists()
    await begun(storage)
    await storage.close()


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_command_is_refused_by_a_hard_link_of_a_file_that_a_server_has(file: Path) -> None:
    async with serving(file):
        link = by_a_hard_link(file)
        with pytest.raises(StorageError, match="another name"):
            await SQLiteStorage(link, "keys").open(without_lease=True)
        storage = SQLiteStorage(file, "keys")
        await storage.open(without_lease=True)  # two names are no fault
        await storage.close()


def removed(file: Path) -> None:
    file.unlink()


def renamed(file: Path) -> None:
    file.rename(file.with_name("moved.db"))


def replaced_by_a_copy(file: Path) -> None:
    copy = file.with_name("copy.db")
    copy.write_bytes(file.read_bytes())
    copy.rename(file)


def without_its_folder(file: Path) -> None:
    file.parent.rename(file.parent.with_name("elsewhere"))


def without_its_log(file: Path) -> None:
    file.with_name(f"{file.name}-wal").unlink()


def without_the_logs_index(file: Path) -> None:
    file.with_name(f"{file.name}-shm").unlink()


CHANGES = [
    *(removed, renamed, replaced_by_a_copy, without_its_folder),
    *(without_its_log, without_the_logs_index),
]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.gen_test
async def test_nothing_is_written_to_a_file_that_is_no_longer_there(
    file: Path, change: Callable[[Path], None]
) -> None:
    storage = SQLiteStorage(file, "p")
    await storage.open()
    answer = await begun(storage)
    change(file)

    for write in (
        lambda: begun(storage),
        lambda: storage.end_answer(answer.id, "p", ending()),
        storage.ping,
    ):
        with pytest.raises(StorageError) as refused:
            await write()
        assert (Reason.REPLACED, True) == (refused.value.reason, refused.value.reason.lasts)
    await storage.close()


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_command_is_refused_by_a_file_in_the_place_of_a_servers(file: Path) -> None:
    async with serving(file) as server:
        await server.asked()
        replaced_by_a_copy(file)
        log = file.with_name(f"{file.name}-wal").read_bytes()
        with pytest.raises(StorageError, match="has replaced a file") as refused:
            await SQLiteStorage(file, "keys").open(without_lease=True)
        assert Reason.REPLACED is refused.value.reason
        assert log == file.with_name(f"{file.name}-wal").read_bytes()


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_server_in_a_container_of_its_own_is_no_reason_to_refuse_a_command(
    file: Path,
) -> None:
    async with serving(file) as server:
        await server.asked()
        # There it has another number, often 1, which is another process's here.
        file.with_name(f"{file.name}.lock").write_text(str(os.getpid()))
        storage = SQLiteStorage(file, "keys")
        await storage.open(without_lease=True)
        await storage.close()
        report = await SQLiteStorage(file, "doctor").report()
    assert not report.replaced


@pytest.mark.gen_test
async def test_a_file_that_is_put_back_is_written_to_again(file: Path) -> None:
    storage = SQLiteStorage(file, "p")
    await storage.open()
    renamed(file)
    with pytest.raises(StorageError):
        await storage.ping()
    os.rename(file.with_name("moved.db"), file)
    await storage.ping()
    answer = await begun(storage)
    await storage.close()

    with sqlite3.connect(file) as shell:
        found = shell.execute("SELECT count(*) FROM messages WHERE id = ?", (answer.id,))
        assert (1,) == found.fetchone()
    shell.close()


@pytest.mark.gen_test
async def test_a_link_in_the_place_of_the_lock_is_not_followed(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("kept")
    file.with_name(f"{file.name}.lock").symlink_to(other)
    storage = SQLiteStorage(file, "p")

    with pytest.raises(StorageError, match="is a link"):
        await storage.open()

    assert "kept" == other.read_text()
