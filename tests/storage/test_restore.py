"""A backup put in the place of the SQLite file, and what was there kept."""

import itertools
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from storage.errors import StorageError
from storage.sqlite.backup import backup
from storage.sqlite.restore import restore
from storage.sqlite.store import SQLiteStorage
from storage.sqlite.tables import MIGRATIONS, NEWEST
from tests.storage.samples import begun
from tests.storage.sqlite_files import damage, discard_line, leave_a_log, names_in, titles_in

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


def _restore(file: Path, copy: Path) -> list[str]:
    said: list[str] = []
    restore(file, copy, said.append)
    return said


def test_what_a_left_log_holds_is_kept_with_the_old_file_and_not_served_with_the_new(
    file: Path, kept: Path
) -> None:
    leave_a_log(file)
    before = kept.read_bytes()

    said = _restore(file, kept)

    old = file.with_name("headrace.db.before-restore")
    assert f"saved: {old}: the file that was there before" == said[0]
    assert said[1].startswith(f"restored: {file}: ")
    assert ["new"] == titles_in(file)
    assert ["logged", "old"] == titles_in(old)
    assert before == kept.read_bytes()
    assert {"headrace.db", "headrace.db.lock", old.name} == names_in(file.parent)
    assert 0o600 == file.stat().st_mode & 0o777


def test_restoring_again_changes_nothing_and_what_was_kept_can_be_brought_back(
    file: Path, kept: Path
) -> None:
    leave_a_log(file)
    _restore(file, kept)
    old = file.with_name("headrace.db.before-restore")

    _restore(file, kept)

    assert (["new"], ["logged", "old"]) == (titles_in(file), titles_in(old))
    _restore(file, old)
    assert (["logged", "old"], ["logged", "old"]) == (titles_in(file), titles_in(old))


@pytest.mark.slow
@pytest.mark.parametrize("left", [(), ("-wal",), ("-wal", "-shm"), ("-journal",)])
def test_where_no_file_is_the_backup_becomes_it_whatever_log_was_left(
    file: Path, kept: Path, left: tuple[str, ...]
) -> None:
    leave_a_log(file)
    content = file.with_name("headrace.db-wal").read_bytes()
    for name in ("", "-wal", "-shm"):
        file.with_name(f"headrace.db{name}").unlink()
    for name in left:
        file.with_name(f"headrace.db{name}").write_bytes(content)

    said = _restore(file, kept)

    assert 1 == len(said)
    assert ["new"] == titles_in(file)
    logs = {f"headrace.db.before-restore{name}" for name in left if name != "-shm"}
    assert {"headrace.db", "headrace.db.lock", *logs} == names_in(file.parent)


def test_a_file_that_sqlite_knows_no_more_is_kept_with_what_its_log_held(
    file: Path, kept: Path
) -> None:
    leave_a_log(file)
    _unknown(file)

    _restore(file, kept)

    old = file.with_name("headrace.db.before-restore").read_bytes()
    assert ["new"] == titles_in(file)
    assert (True, True) == (old.startswith(b"no database"), b"logged" in old)


def _unknown(file: Path) -> None:
    """Have a file begin with rubbish, so that SQLite does not know it for a database."""
    with file.open("r+b") as damaged:
        damaged.write(b"no database" * 9)


def test_a_file_with_damaged_pages_gives_way_and_is_kept(
    titled: Callable[..., None], file: Path, kept: Path
) -> None:
    titled(file, *(f"{number}" * 3000 for number in range(9)))
    damage(file)

    _restore(file, kept)

    assert ["new"] == titles_in(file)
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
    damage(beyond / "damaged")

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
    leave_a_log(beyond / "raw.db")

    _refused(file, beyond / "raw.db", "raw.db-wal is beside it")


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
    leave_a_log(file)
    with closing(sqlite3.connect(file)) as shell:
        shell.execute("SELECT count(*) FROM conversations").fetchone()

        _refused(file, kept, "is open in another program")


def test_a_backup_of_an_older_version_is_restored_and_due_to_be_migrated(
    file: Path, beyond: Path
) -> None:
    with closing(sqlite3.connect(beyond / "old.db")) as database:
        database.executescript(f"{MIGRATIONS[0]} PRAGMA user_version = 1;")

    said = _restore(file, beyond / "old.db")

    assert "run `server.py migrate` next" in said[-1]


def test_a_restore_that_is_stopped_leaves_what_was_there(file: Path, kept: Path) -> None:
    leave_a_log(file)
    before = {path.name: path.read_bytes() for path in file.parent.iterdir()}

    with pytest.raises(StorageError, match="stopped before it was done"):
        restore(file, kept, discard_line, lambda: True)

    file.with_name("headrace.db.lock").unlink()
    assert before == {path.name: path.read_bytes() for path in file.parent.iterdir()}


def test_links_to_the_file_go_on_leading_to_it_whatever_it_is_called(
    tmp_path: Path, file: Path, kept: Path
) -> None:
    odd = file.with_name("ü ?x=1&y#%20.db")
    leave_a_log(odd)
    (tmp_path / "link.db").symlink_to(odd)

    backup(tmp_path / "link.db", tmp_path / "%41 ?mode=ro.db", discard_line)
    _restore(tmp_path / "link.db", kept)

    assert ["logged", "old"] == titles_in(tmp_path / "%41 ?mode=ro.db")
    assert (tmp_path / "link.db").is_symlink()
    assert ["new"] == titles_in(odd)


@pytest.mark.parametrize("damaged", [False, True])
@pytest.mark.slow  # a process for each step
def test_killed_at_any_step_it_leaves_the_old_file_or_the_new_one(
    tmp_path: Path, kept: Path, damaged: bool
) -> None:
    for step in itertools.count(1):
        file = tmp_path / f"{step}" / "headrace.db"
        file.parent.mkdir()
        leave_a_log(file)
        if damaged:
            _unknown(file)

        killed = subprocess.run(
            [sys.executable, "-c", _KILLED, str(file), str(kept), str(step)],
            cwd=Path(__file__).parents[2],
            check=False,
        )

        found = shutil.copytree(file.parent, tmp_path / f"{step} as found") / file.name
        if not (damaged and found.read_bytes().startswith(b"no database")):
            assert titles_in(found) in (["new"], ["logged", "old"])
        _restore(file, kept)  # again, as one does
        assert ["new"] == titles_in(file)
        old = file.with_name("headrace.db.before-restore")
        assert b"logged" in old.read_bytes()
        assert damaged or ["logged", "old"] == titles_in(old)
        assert not file.with_name("headrace.db.restoring").exists()
        if killed.returncode == 0:
            break
    assert step > 8
