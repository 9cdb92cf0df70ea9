"""Backups of the SQLite file: whole, the owner's alone, and made beside a server."""

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from storage.errors import Reason, StorageError
from storage.sqlite.backup import backup
from storage.sqlite.store import SQLiteStorage
from storage.sqlite.tables import NEWEST
from tests.storage.samples import begun
from tests.storage.sqlite_files import (
    damage,
    discard_line,
    names_in,
    titles_in,
)


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

    assert {"kept.db"} == names_in(beyond)
    assert 0o600 == (beyond / "kept.db").stat().st_mode & 0o777
    size = (beyond / "kept.db").stat().st_size
    assert [
        f"saved: {beyond}/kept.db: {size:,} bytes, 1 conversations, 2 messages, 0 files, "
        f"version {NEWEST}"
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
        ("backups/there", "exists already"),
        ("backups", "exists already"),
        ("backups/dangling", "exists already"),
        ("data/headrace.db", "the database itself"),
        ("backups/symbolic", "the database itself"),
        ("backups/hard", "the database itself"),
        ("data/headrace.db-wal", "the database itself uses"),
        ("data/headrace.db-journal", "the database itself uses"),
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
    before = names_in(beyond), names_in(file.parent), file.read_bytes()

    with pytest.raises(StorageError, match=words):
        backup(file, tmp_path / place, discard_line)

    assert before == (names_in(beyond), names_in(file.parent), file.read_bytes())
    assert "dear to somebody" == (beyond / "there").read_text()


def test_a_backup_of_nothing_is_refused(file: Path, beyond: Path) -> None:
    with pytest.raises(StorageError, match=f"there is no {file}"):
        backup(file, beyond / "kept.db", discard_line)
    file.touch()
    with pytest.raises(StorageError, match="it is empty"):
        backup(file, beyond / "kept.db", discard_line)

    assert set() == names_in(beyond)


def test_where_the_file_system_has_no_links_a_backup_gets_its_name_as_well(
    titled: Callable[..., None], file: Path, beyond: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    titled(file, "one")
    monkeypatch.setattr(os, "link", no_links)

    backup(file, beyond / "kept.db", discard_line)

    assert {"kept.db"} == names_in(beyond)
    assert 0o600 == stat.S_IMODE((beyond / "kept.db").stat().st_mode)
    assert ["one"] == titles_in(beyond / "kept.db")


def test_a_damaged_database_is_not_kept_as_a_backup(
    titled: Callable[..., None], file: Path, beyond: Path
) -> None:
    titled(file, *(f"{number}" * 3000 for number in range(9)))
    damage(file)

    with pytest.raises(StorageError, match="it is damaged") as failed:
        backup(file, beyond / "kept.db", discard_line)

    assert Reason.CORRUPT is failed.value.reason
    assert set() == names_in(beyond)


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

    words = "SQLITE_FULL: the disk is full"
    assert ("", f"cannot copy {file} to {beyond}/kept.db: {words}\n") == (ran.stderr, ran.stdout)
