"""An SQLite file that cannot be used is reported in words; a bug on the way is raised unchanged."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tornado.ioloop import IOLoop

from storage.errors import StorageError
from storage.sqlite.backup import backup, check
from storage.sqlite.restore import restore
from storage.sqlite.store import SQLiteStorage
from tests.storage.sqlite_files import discard_line


def no_stop() -> bool:
    return False


def opened(loop: IOLoop, file: Path) -> None:
    loop.run_sync(SQLiteStorage(file, "p").open)


def reported(loop: IOLoop, file: Path) -> None:
    loop.run_sync(SQLiteStorage(file, "p").report)


def backed_up(loop: IOLoop, file: Path) -> None:
    backup(file, file.with_name("copy.db"), discard_line, no_stop)


def checked(loop: IOLoop, file: Path) -> None:
    check(file, is_ours=False, write_line=discard_line, stop=no_stop)


def restored(loop: IOLoop, file: Path) -> None:
    restore(file.with_name("other.db"), file, discard_line, no_stop)


@pytest.mark.parametrize("use", [opened, reported, backed_up, restored])
def test_another_programs_file_is_refused_in_words(
    io_loop: IOLoop, tmp_path: Path, use: Callable[[IOLoop, Path], None]
) -> None:
    file = tmp_path / "theirs.db"
    file.write_bytes(b"no SQLite file, and long enough to be taken for one" * 100)

    with pytest.raises(StorageError, match=r"theirs\.db"):
        use(io_loop, file)


@pytest.mark.parametrize("use", [opened, reported, backed_up, checked, restored])
def test_a_bug_met_with_a_file_is_not_told_as_a_fault_of_the_file(
    io_loop: IOLoop,
    titled: Callable[..., None],
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    use: Callable[[IOLoop, Path], None],
) -> None:
    def broken(*_: object) -> int:
        raise ValueError("a bug")

    titled(file, "one")
    for module in ("file", "inspection", "restore"):
        monkeypatch.setattr(f"storage.sqlite.{module}.check_version", broken)

    with pytest.raises(ValueError, match="a bug"):
        use(io_loop, file)
