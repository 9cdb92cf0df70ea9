"""What the doctor says of the database."""

import asyncio
import os
import re
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from doctor import machine
from doctor.store import _findings
from settings import Settings
from storage.sqlite.tables import MIGRATIONS
from storage.values import StoreReport
from tests.doctor.examining import run_doctor
from tests.launching import Launcher
from tests.mongod import Mongod
from tests.storage.filled import damaged, filled
from tests.storage.raw import leave_first_stage


@pytest.fixture
def storage(tmp_path: Path) -> dict[str, str]:
    return {"url": f"sqlite:///{tmp_path}/data/headrace.db"}


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_database_is_examined_before_and_after_its_first_start(
    mongo_url: str, serve: Any
) -> None:
    fine, said = await run_doctor(storage={"url": mongo_url})
    assert fine
    assert "messages.live" in said

    await serve.start(storage={"url": mongo_url})
    fine, said = await run_doctor(storage={"url": mongo_url})

    assert fine
    assert "not there" not in said
    assert "migrate" not in said
    assert "replica set" in said
    assert "clock: within" in said


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_server_outside_of_any_set_is_wrong(tmp_path: Path) -> None:
    with Mongod.standing_alone(tmp_path) as alone:
        fine, said = await run_doctor(storage={"url": f"mongodb://{alone.address}/headrace"})

    assert not fine
    assert "replica set" in said


@pytest.mark.gen_test
async def test_a_file_of_a_newer_version_is_wrong(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "h.db")
    database.execute("PRAGMA user_version = 999")
    database.close()

    fine, said = await run_doctor(storage={"url": f"sqlite:///{tmp_path}/h.db"})

    assert not fine
    assert "newer version" in said
    assert "is of this version" in said


@pytest.mark.gen_test
async def test_another_programs_file_is_told_from_one_of_a_newer_version(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "places.sqlite")) as database:
        database.executescript("CREATE TABLE moz_places (id); PRAGMA user_version = 77;")

    fine, said = await run_doctor(storage={"url": f"sqlite:///{tmp_path}/places.sqlite"})

    assert not fine
    assert "it contains another program's tables" in said


@pytest.mark.gen_test
async def test_a_file_older_than_those_served_is_wrong_and_migrate_the_hint(
    tmp_path: Path,
) -> None:
    with closing(sqlite3.connect(tmp_path / "h.db")) as database:
        database.executescript(f"{MIGRATIONS[0]} PRAGMA user_version = 1;")

    fine, said = await run_doctor(storage={"url": f"sqlite:///{tmp_path}/h.db"})

    assert not fine
    assert re.search(r"wrong  storage: .* version 1, .*\n       -> server\.py migrate\n", said)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_what_the_first_stage_left_is_fine_and_due_to_be_migrated(store_url: str) -> None:
    leave_first_stage(store_url)

    fine, said = await run_doctor(storage={"url": store_url})

    assert fine, said
    assert re.search(
        r"warn   storage: of another version: .*\n       -> server\.py migrate\n", said
    )


@pytest.mark.gen_test
async def test_a_damaged_file_is_wrong_and_what_helps_is_named(tmp_path: Path) -> None:
    filled(tmp_path / "h.db", 1)
    damaged(tmp_path / "h.db", at=500_000)

    fine, said = await run_doctor(storage={"url": f"sqlite:///{tmp_path}/h.db"})

    assert not fine
    assert re.search(r"wrong  storage: it is damaged: .*\n       -> .*restore", said)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_file_that_is_no_database_any_more_is_refused_in_words_that_help(
    launcher: Launcher,
) -> None:
    file = launcher.folder / "h.db"
    launcher.settings.write_text(f'port = 0\n[storage]\nurl = "sqlite:///{file}"\n')
    filled(file, 1)
    damaged(file, at=0)

    fine, said = await run_doctor(storage={"url": f"sqlite:///{file}"})

    assert not fine
    assert re.search(r"wrong  storage: .*SQLITE_NOTADB.*\n       -> .*restore", said)
    assert "`server.py restore`" in await launcher.refused("--config", str(launcher.settings))


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_file_that_was_replaced_under_a_server_is_wrong(launcher: Launcher) -> None:
    launcher.settings.write_text("port = 0\n")
    serving, _ = await launcher.serve()
    file = launcher.folder / "data" / "headrace.db"
    filled(launcher.folder / "other.db", 1)
    damaged(launcher.folder / "other.db", at=500_000)
    (launcher.folder / "other.db").rename(file)

    fine, said = await run_doctor(storage={"url": f"sqlite:///{file}"})

    assert not fine
    assert f"wrong  storage: process {serving.pid} has another file open that had this name" in said
    assert "damaged" not in said


@pytest.mark.slow
@pytest.mark.parametrize("name", ["data/headrace.db", "link.db"])
@pytest.mark.parametrize(
    ("readonly", "words"),
    [("", "this user may not write to "), ("headrace.db-wal", "this user may not read and write ")],
)
@pytest.mark.gen_test
async def test_what_may_not_be_written_is_wrong_and_named(
    needs: Callable[[str], str], launcher: Launcher, name: str, readonly: str, words: str
) -> None:
    launcher.settings.write_text("port = 0\n")
    await launcher.serve()
    os.symlink("data/headrace.db", launcher.folder / "link.db")
    place = launcher.folder / "data" / readonly
    script = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"'
    in_a_world_of_its_own = (
        *(needs("unshare"), "--user", "--map-root-user", "--mount"),
        *("sh", "-c", script, "sh", str(place)),
    )

    process = await asyncio.create_subprocess_exec(
        *(
            *in_a_world_of_its_own,
            sys.executable,
            str(Path(machine.__file__).parents[1] / "server.py"),
        ),
        *("--config", str(launcher.settings), "doctor"),
        cwd=launcher.folder,
        env={**os.environ, "HEADRACE_STORAGE__URL": f"sqlite:///{name}"},
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()

    assert 1 == process.returncode
    assert f"{words}{place}" in out.decode()
    assert "-> mount its disk writable" in out.decode()


@pytest.mark.parametrize(
    ("examined", "severity", "words"),
    [
        ({"due": ("validator of messages",)}, "warn", "of another version: validator of messages"),
        ({"ahead_seconds": -3.0}, "warn", "3.0 s behind"),
        ({"ahead_seconds": 3.0}, "warn", "3.0 s ahead of"),
        ({"version": (4, 2, 0)}, "wrong", "4.2.0 is too old"),
        ({"free_bytes": 5_000_000}, "warn", "5 MB are free"),
        ({"free_bytes": 100_000}, "wrong", "0.1 MB are free"),
        ({"is_looked_through": False}, "warn", "not checked to its end"),
    ],
)
def test_what_a_database_reports_is_weighed(
    examined: dict[str, Any], severity: str, words: str
) -> None:
    facts = {"name": "MongoDB", "version": (6, 0, 5), "shape": "replica set", **examined}

    found = list(_findings(Settings(), StoreReport(**facts)))

    assert [severity] == [each.severity for each in found if words in each.words]
