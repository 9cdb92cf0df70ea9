"""Backups of the SQLite file, what is put back of them, and what a look through one finds."""

import errno
import itertools
import os
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from tornado.ioloop import IOLoop

from storage.errors import Reason, StorageError
from storage.sqlite.backup import backup, check
from storage.sqlite.restore import restore
from storage.sqlite.store import SQLiteStorage
from storage.sqlite.tables import MIGRATIONS, NEWEST
from tests.storage.filled import filled
from tests.storage.raw import FIRST_STAGE
from tests.storage.samples import begun, conversation, ending, exchange

# Restores one file as another, and is killed just before the step whose number it is given.
_KILLED = """
import os, signal, sys
from pathlib import Path
from storage.sqlite.restore import restore

file, copy, left = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])

def at_a_step(event, _):
    global left
    if event in ("open", "os.chown", "os.link", "os.remove", "os.rename", "sqlite3.connect"):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(at_a_step)
restore(file, copy, lambda _: None)
"""


def _nothing(_: str) -> None:
    pass


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder / "headrace.db"


@pytest.fixture
def beyond(tmp_path: Path) -> Path:
    """A folder for backups."""
    folder = tmp_path / "backups"
    folder.mkdir()
    return folder


@pytest.fixture
def titled(io_loop: IOLoop) -> Callable[..., None]:
    """Have a server keep conversations: `titled(file, "one", "two")`, each with a live answer."""
    return lambda file, *titles: io_loop.run_sync(lambda: _titled(file, *titles))


@pytest.fixture
def kept(titled: Callable[..., None], tmp_path: Path, beyond: Path) -> Path:
    """A backup with one conversation, "new"."""
    titled(tmp_path / "made.db", "new")
    backup(tmp_path / "made.db", beyond / "kept.db", _nothing)
    return beyond / "kept.db"


async def _titled(file: Path, *titles: str) -> None:
    storage = SQLiteStorage(file, "p")
    await storage.open()
    for title in titles:
        new = conversation(title=title)
        question, answer = exchange(new, owner="p")
        await storage.ask(question, answer, title=title, new=new)
    await storage.close()


def _crashed(file: Path) -> None:
    """Leave at `file` what a server leaves that is killed: "old" is in it, "logged" in its log."""
    making = file.with_name("making.db")
    with closing(sqlite3.connect(making, isolation_level=None)) as database:
        database.executescript(f"{''.join(MIGRATIONS)} PRAGMA user_version = {NEWEST};")
        database.execute("PRAGMA journal_mode = WAL").fetchone()
        _insert(database, "old")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        _insert(database, "logged")
        for name in ("", "-wal", "-shm"):
            shutil.copyfile(f"{making}{name}", f"{file}{name}")
    making.unlink()


def _insert(database: sqlite3.Connection, title: str) -> None:
    database.execute(
        """INSERT INTO conversations (id, user, title, metadata, created_at, updated_at)
        VALUES (?, 'alice', ?, '{}', 0, 0)""",
        (title, title),
    )


def _titles(file: Path) -> list[str]:
    """The titles that a program finds in a file; the file is left as it is."""
    with closing(sqlite3.connect(file)) as database:
        assert [("ok",)] == database.execute("PRAGMA integrity_check").fetchall()
        return [row[0] for row in database.execute("SELECT title FROM conversations ORDER BY 1")]


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# Backing up


@pytest.mark.gen_test
async def test_a_backup_has_what_is_acknowledged_and_is_its_owners_alone(
    file: Path, beyond: Path
) -> None:
    storage = SQLiteStorage(file, "p")
    await storage.open()
    answer = await begun(storage)
    before = os.umask(0)
    said: list[str] = []

    try:
        backup(file, beyond / "kept.db", said.append)
    finally:
        os.umask(before)

    assert {"kept.db"} == _names(beyond)
    assert 0o600 == (beyond / "kept.db").stat().st_mode & 0o777
    size = (beyond / "kept.db").stat().st_size
    assert [
        f"kept: {beyond}/kept.db: {size:,} bytes, 1 conversations, 2 messages, version {NEWEST}"
    ] == said
    copy = SQLiteStorage(beyond / "kept.db", "q")
    await copy.open()
    assert [answer.id] == [message.id for message in await copy.orphans()]
    await copy.close()
    await begun(storage)  # the server goes on
    await storage.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("backups/there", "is there already"),
        ("backups", "is there already"),
        ("backups/dangling", "is there already"),
        ("data/headrace.db", "the database itself"),
        ("backups/symbolic", "the database itself"),
        ("backups/hard", "the database itself"),
        ("data/headrace.db-wal", "the database's own"),
        ("data/headrace.db-journal", "the database's own"),
        ("nowhere/kept.db", "there is no folder"),
        ("backups/there/kept.db", "there is no folder"),
    ],
)
def test_a_place_that_is_no_place_is_refused_in_words_and_left_alone(
    titled: Callable[..., None], tmp_path: Path, file: Path, beyond: Path, place: str, words: str
) -> None:
    titled(file, "old")
    (beyond / "there").write_text("dear to somebody")
    (beyond / "dangling").symlink_to("nothing")
    (beyond / "symbolic").symlink_to(file)
    (beyond / "hard").hardlink_to(file)
    before = _names(beyond), _names(file.parent), file.read_bytes()

    with pytest.raises(StorageError, match=words):
        backup(file, tmp_path / place, _nothing)

    assert before == (_names(beyond), _names(file.parent), file.read_bytes())
    assert "dear to somebody" == (beyond / "there").read_text()


def test_a_backup_of_nothing_is_refused(file: Path, beyond: Path) -> None:
    with pytest.raises(StorageError, match=f"there is no {file}"):
        backup(file, beyond / "kept.db", _nothing)
    file.touch()
    with pytest.raises(StorageError, match="it is empty"):
        backup(file, beyond / "kept.db", _nothing)

    assert set() == _names(beyond)


def test_where_the_file_system_has_no_links_a_backup_gets_its_name_as_well(
    titled: Callable[..., None], file: Path, beyond: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    titled(file, "one")
    monkeypatch.setattr(os, "link", no_links)

    backup(file, beyond / "kept.db", _nothing)

    assert {"kept.db"} == _names(beyond)
    assert 0o600 == stat.S_IMODE((beyond / "kept.db").stat().st_mode)
    assert ["one"] == _titles(beyond / "kept.db")


def test_a_damaged_database_is_not_kept_as_a_backup(
    titled: Callable[..., None], file: Path, beyond: Path
) -> None:
    titled(file, *(f"{number}" * 3000 for number in range(9)))
    _damage(file)

    with pytest.raises(StorageError, match="it is damaged") as failed:
        backup(file, beyond / "kept.db", _nothing)

    assert Reason.CORRUPT is failed.value.reason
    assert set() == _names(beyond)


def _damage(file: Path) -> None:
    """Have all pages behind the first few hold rubbish."""
    pages = file.read_bytes()
    file.write_bytes(pages[:8192] + b"\x5a" * (len(pages) - 8192))


def test_a_disk_without_room_is_named_and_nothing_is_left_on_it(
    titled: Callable[..., None], needs: Callable[[str], str], file: Path, beyond: Path
) -> None:
    titled(file, *(f"{number}" * 3000 for number in range(99)))
    script = (
        'mount -t tmpfs -o size=64k tmpfs "$1" && { "$3" -c "$4" "$2" "$1/kept.db"; ls -A "$1"; }'
    )
    code = (
        "import sys; from pathlib import Path; from storage.sqlite.backup import backup\n"
        "try: backup(Path(sys.argv[1]), Path(sys.argv[2]), print)\n"
        "except Exception as error: print(error)"
    )
    unshare = (needs("unshare"), "--user", "--map-root-user", "--mount")

    ran = subprocess.run(
        [*unshare, "sh", "-c", script, "sh", str(beyond), str(file), sys.executable, code],
        capture_output=True,
        text=True,
        check=False,
    )

    words = "SQLITE_FULL: no room is left on the disk"
    assert ("", f"cannot copy {file} to {beyond}/kept.db: {words}\n") == (ran.stderr, ran.stdout)


# Restoring


def _restore(file: Path, copy: Path) -> list[str]:
    said: list[str] = []
    restore(file, copy, said.append)
    return said


def test_what_a_left_log_holds_is_kept_with_the_old_file_and_not_served_with_the_new(
    file: Path, kept: Path
) -> None:
    _crashed(file)
    before = kept.read_bytes()

    said = _restore(file, kept)

    old = file.with_name("headrace.db.before-restore")
    assert f"kept: {old}: what was there before" == said[0]
    assert said[1].startswith(f"restored: {file}: ")
    assert ["new"] == _titles(file)
    assert ["logged", "old"] == _titles(old)
    assert before == kept.read_bytes()
    assert {"headrace.db", "headrace.db.lock", old.name} == _names(file.parent)
    assert 0o600 == file.stat().st_mode & 0o777


def test_restoring_again_changes_nothing_and_what_was_kept_can_be_brought_back(
    file: Path, kept: Path
) -> None:
    _crashed(file)
    _restore(file, kept)
    old = file.with_name("headrace.db.before-restore")

    _restore(file, kept)

    assert (["new"], ["logged", "old"]) == (_titles(file), _titles(old))
    _restore(file, old)
    assert (["logged", "old"], ["logged", "old"]) == (_titles(file), _titles(old))


@pytest.mark.slow
@pytest.mark.parametrize("left", [(), ("-wal",), ("-wal", "-shm"), ("-journal",)])
def test_where_no_file_is_the_backup_becomes_it_whatever_log_was_left(
    file: Path, kept: Path, left: tuple[str, ...]
) -> None:
    _crashed(file)
    content = file.with_name("headrace.db-wal").read_bytes()
    for name in ("", "-wal", "-shm"):
        file.with_name(f"headrace.db{name}").unlink()
    for name in left:
        file.with_name(f"headrace.db{name}").write_bytes(content)

    said = _restore(file, kept)

    assert 1 == len(said)
    assert ["new"] == _titles(file)
    logs = {f"headrace.db.before-restore{name}" for name in left if name != "-shm"}
    assert {"headrace.db", "headrace.db.lock", *logs} == _names(file.parent)


def test_a_file_that_sqlite_knows_no_more_is_kept_with_what_its_log_held(
    file: Path, kept: Path
) -> None:
    _crashed(file)
    _unknown(file)

    _restore(file, kept)

    old = file.with_name("headrace.db.before-restore").read_bytes()
    assert ["new"] == _titles(file)
    assert (True, True) == (old.startswith(b"no database"), b"logged" in old)


def _unknown(file: Path) -> None:
    """Have a file begin with rubbish, so that SQLite does not know it for a database."""
    with file.open("r+b") as damaged:
        damaged.write(b"no database" * 9)


def test_a_file_with_damaged_pages_gives_way_and_is_kept(
    titled: Callable[..., None], file: Path, kept: Path
) -> None:
    titled(file, *(f"{number}" * 3000 for number in range(9)))
    _damage(file)

    _restore(file, kept)

    assert ["new"] == _titles(file)
    assert file.with_name("headrace.db.before-restore").exists()


def _refused(file: Path, copy: Path, words: str) -> None:
    paths = (*file.parent.iterdir(), *copy.parent.iterdir())
    before = {path: path.read_bytes() for path in paths if path.is_file()}
    with pytest.raises(StorageError, match=words):
        _restore(file, copy)
    after = {path: path.read_bytes() for path in before}
    assert before == after
    assert not file.with_name("headrace.db.restoring").exists()


def test_what_is_no_backup_of_ours_is_refused_and_nothing_is_touched(
    titled: Callable[..., None], file: Path, beyond: Path, kept: Path
) -> None:
    titled(file, "old")
    (beyond / "link").symlink_to(file)
    (beyond / "text").write_text("not a database, but long enough to be looked at " * 100)
    (beyond / "empty").touch()
    with closing(sqlite3.connect(beyond / "foreign")) as database:
        database.executescript("CREATE TABLE theirs (x)")
    with closing(sqlite3.connect(beyond / "numbered")) as database:
        database.executescript("CREATE TABLE theirs (x); PRAGMA user_version = 7")
    shutil.copyfile(kept, beyond / "newer")
    with closing(sqlite3.connect(beyond / "newer")) as database:
        database.execute(f"PRAGMA user_version = {NEWEST + 1}")
    whole = kept.read_bytes()
    (beyond / "short").write_bytes(whole[: len(whole) // 2])
    (beyond / "damaged").write_bytes(whole)
    _damage(beyond / "damaged")

    for name, words in (
        ("nothing", "there is no file"),
        (".", "there is no file"),
        ("link", "the database itself"),
        ("text", "SQLITE_NOTADB"),
        ("empty", "it is empty"),
        ("foreign", "another program's tables"),
        ("numbered", "another program's tables"),
        ("newer", "newer version of Headrace"),
        ("short", "damaged"),
        ("damaged", "damaged"),
    ):
        _refused(file, beyond / name, words)


def test_a_backup_with_a_log_beside_it_is_refused(file: Path, beyond: Path) -> None:
    _crashed(beyond / "raw.db")

    _refused(file, beyond / "raw.db", "raw.db-wal lies beside it")


@pytest.mark.gen_test
async def test_another_programs_file_is_not_replaced(file: Path, kept: Path) -> None:
    with closing(sqlite3.connect(file)) as database:
        database.executescript("CREATE TABLE theirs (x)")

    _refused(file, kept, "another program's tables")


@pytest.mark.gen_test
async def test_beside_a_server_nothing_is_restored(file: Path, kept: Path) -> None:
    storage = SQLiteStorage(file, "p")
    await storage.open()

    with pytest.raises(StorageError, match=r"is in use by another Headrace .*: stop it first"):
        _restore(file, kept)

    await begun(storage)  # the server goes on, which it does with no other file
    await storage.close()


@pytest.mark.slow  # it is waited for
def test_beside_another_program_nothing_is_restored(file: Path, kept: Path) -> None:
    _crashed(file)
    with closing(sqlite3.connect(file)) as shell:
        shell.execute("SELECT count(*) FROM conversations").fetchone()

        _refused(file, kept, "is open in another program")


def test_a_backup_of_an_older_version_is_restored_and_due_to_be_migrated(
    file: Path, beyond: Path
) -> None:
    with closing(sqlite3.connect(beyond / "old.db")) as database:
        database.executescript(f"{MIGRATIONS[0]} PRAGMA user_version = 1;")

    said = _restore(file, beyond / "old.db")

    assert "`server.py migrate` is next" in said[-1]


def test_a_restore_that_is_stopped_leaves_what_was_there(file: Path, kept: Path) -> None:
    _crashed(file)
    before = {path.name: path.read_bytes() for path in file.parent.iterdir()}

    with pytest.raises(StorageError, match="stopped before it was done"):
        restore(file, kept, _nothing, lambda: True)

    file.with_name("headrace.db.lock").unlink()
    assert before == {path.name: path.read_bytes() for path in file.parent.iterdir()}


def test_links_to_the_file_go_on_leading_to_it_whatever_it_is_called(
    tmp_path: Path, file: Path, kept: Path
) -> None:
    odd = file.with_name("ü ?x=1&y#%20.db")
    _crashed(odd)
    (tmp_path / "link.db").symlink_to(odd)

    backup(tmp_path / "link.db", tmp_path / "%41 ?mode=ro.db", _nothing)
    _restore(tmp_path / "link.db", kept)

    assert ["logged", "old"] == _titles(tmp_path / "%41 ?mode=ro.db")
    assert (tmp_path / "link.db").is_symlink()
    assert ["new"] == _titles(odd)


@pytest.mark.parametrize("damaged", [False, True])
@pytest.mark.slow  # a process for each step
def test_killed_at_any_step_it_leaves_the_old_file_or_the_new_one(
    tmp_path: Path, kept: Path, damaged: bool
) -> None:
    for step in itertools.count(1):
        file = tmp_path / f"{step}" / "headrace.db"
        file.parent.mkdir()
        _crashed(file)
        if damaged:
            _unknown(file)

        killed = subprocess.run(
            [sys.executable, "-c", _KILLED, str(file), str(kept), str(step)],
            cwd=Path(__file__).parents[2],
            check=False,
        )

        found = shutil.copytree(file.parent, tmp_path / f"{step} as found") / file.name
        if not (damaged and found.read_bytes().startswith(b"no database")):
            assert _titles(found) in (["new"], ["logged", "old"])
        _restore(file, kept)  # again, as one does
        assert ["new"] == _titles(file)
        old = file.with_name("headrace.db.before-restore")
        assert b"logged" in old.read_bytes()
        assert damaged or ["logged", "old"] == _titles(old)
        assert not file.with_name("headrace.db.restoring").exists()
        if killed.returncode == 0:
            break
    assert step > 8


# Checking


def _checked(file: Path, *, is_ours: bool = True) -> tuple[bool, list[str]]:
    said: list[str] = []
    return check(file, is_ours=is_ours, say=said.append), said


@pytest.mark.gen_test
async def test_a_whole_database_is_ok_beside_its_server_and_afterwards(file: Path) -> None:
    storage = SQLiteStorage(file, "p")
    await storage.open()
    answer = await begun(storage)
    assert (True, 1) == (_checked(file)[0], len(_checked(file)[1]))
    await storage.end_answer(answer.id, "p", ending())
    await storage.close()

    fine, [said] = _checked(file)

    assert fine
    assert said.startswith(f"{file}: ok: ")
    assert said.endswith(f" bytes, 1 conversations, 2 messages, version {NEWEST}")
    assert {"headrace.db", "headrace.db.lock"} == _names(file.parent)


def test_a_backup_is_looked_through_and_left_as_it_is(kept: Path) -> None:
    before = kept.read_bytes()

    assert _checked(kept, is_ours=False)[0]

    assert (before, {"kept.db"}) == (kept.read_bytes(), _names(kept.parent))


def test_what_another_server_writes_to_it_meanwhile_is_no_damage(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.sqlite.inspection._STEPS", 1_000)
    filled(file, 4)
    with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as server:
        server.execute("PRAGMA journal_mode = WAL").fetchone()
        server.execute("DELETE FROM messages WHERE ordinal < 10")
        server.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        assert 0 == file.with_name(f"{file.name}-wal").stat().st_size
        steps = itertools.count()

        def stop() -> bool:
            if next(steps) == 3:
                server.execute("DELETE FROM messages WHERE ordinal % 2")
                server.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            return False

        fine = check(file, is_ours=False, say=_nothing, stop=stop)

    assert next(steps) > 3
    assert fine


def test_a_file_of_the_first_stage_is_ok() -> None:
    assert _checked(FIRST_STAGE / "headrace.db", is_ours=False)[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("UPDATE messages SET parent_id = 'nobody-x' WHERE role = 'assistant'", "not there"),
        ("UPDATE messages SET parent_id = id", "came later"),
        ("UPDATE messages SET user = 'bob'", "another user's"),
        ("UPDATE messages SET status = 'complete'", None),
        (
            "UPDATE messages SET status = 'complete';"
            "INSERT INTO chunks SELECT id, 0, '[]' FROM messages WHERE role = 'assistant'",
            "chunks are of no live answer",
        ),
        ("DROP INDEX live_answers; UPDATE messages SET status = 'live'", "more than one live"),
        ("DELETE FROM messages", None),
        ("DELETE FROM messages; INSERT INTO chunks VALUES ('c-a', 0, '[]')", "no live answer"),
        ("DELETE FROM conversations", "of a conversation that is not there"),
        # On its way out: the first of its messages are gone, and the live one.
        (
            "INSERT INTO deletions SELECT id, user FROM conversations; DELETE FROM conversations;"
            "INSERT INTO chunks SELECT id, 0, '[]' FROM messages WHERE role = 'assistant';"
            "DELETE FROM messages WHERE ordinal = 0 OR status = 'live'",
            None,
        ),
    ],
)
def test_rows_that_break_a_promise_are_counted(
    titled: Callable[..., None], file: Path, change: str, words: str | None
) -> None:
    titled(file, "old")
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.executescript(change)

    fine, said = _checked(file)

    assert (words is None) == fine, said
    if words is not None:
        assert re.search(f"^wrong: .*{words}", said[0])
        assert f"{file}: damaged" == said[-1]


def test_an_index_that_lacks_a_row_is_found(titled: Callable[..., None], file: Path) -> None:
    titled(file, "old")
    index = "type = 'index' AND name = 'conversations_of_user'"
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.execute("PRAGMA writable_schema = 1")
        database.execute("CREATE TEMP TABLE aside AS SELECT * FROM sqlite_master")
        database.execute(f"DELETE FROM sqlite_master WHERE {index}")
        database.execute("PRAGMA writable_schema = RESET")
        _insert(database, "unseen")
        database.execute("PRAGMA writable_schema = 1")
        database.execute(f"INSERT INTO sqlite_master SELECT * FROM aside WHERE {index}")

    fine, said = _checked(file)

    assert not fine
    assert "conversations_of_user" in said[0]


def test_damaged_pages_are_found(titled: Callable[..., None], file: Path) -> None:
    titled(file, *(f"{number}" * 3000 for number in range(9)))
    _damage(file)

    fine, said = _checked(file)

    assert not fine
    assert 2 <= len(said) <= 101
    assert [] == [line for line in said[:-1] if not line.startswith("wrong: ")]
