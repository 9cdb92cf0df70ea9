"""`server.py backup`, `restore` and `check` as an operator runs them, beside a server or not."""

import asyncio
import signal
from pathlib import Path

import pytest

from tests.launching import Launcher
from tests.readers import call
from tests.steps import until
from tests.storage.filled import damaged, filled

pytestmark = pytest.mark.slow  # each command is a process


async def command(launcher: Launcher, *arguments: str) -> tuple[int | None, list[str], str]:
    """A command's exit status, the lines of what it says, and its complaint."""
    process = await launcher.start("--config", str(launcher.settings), *arguments)
    out, err = await process.communicate()
    return process.returncode, out.decode().splitlines(), err.decode()


@pytest.fixture
def settled(launcher: Launcher) -> Launcher:
    """Its database is `headrace.db`; the demo answers, a few seconds each."""
    launcher.settings.write_text(
        f'port = 0\n[storage]\nurl = "sqlite:///{launcher.folder}/headrace.db"\n'
        '[relay]\non_disconnect = "finish"\n'
        "[limits]\nquestions_per_minute = 0\nanswers_per_user = 2000\n"
    )
    return launcher


@pytest.mark.gen_test
async def test_a_backup_under_load_has_whatever_was_acknowledged_before_it_began(
    settled: Launcher,
) -> None:
    file, copy = settled.folder / "headrace.db", settled.folder / "kept.db"
    filled(file, 20)
    server = await settled.serve()
    acknowledged: list[tuple[str, str]] = []
    enough, ended = asyncio.Event(), asyncio.Event()

    async def keep_asking(name: str) -> None:
        number = 0
        while not ended.is_set():
            number += 1
            question = f"question {number} of {name}"
            asked = await call(
                server.url,
                *("POST", "/api/v1/chat", {"content": question}),
                headers={"Prefer": "respond-async"},
            )
            assert 202 == asked.status
            acknowledged.append((asked.body["conversation_id"], question))
            if len(acknowledged) > 40:
                enough.set()

    asking = [asyncio.create_task(keep_asking(name)) for name in "abcd"]
    await enough.wait()
    before = list(acknowledged)
    status, said, err = await command(settled, "backup", str(copy))
    meanwhile = len(acknowledged) - len(before)
    ended.set()
    await asyncio.gather(*asking)

    assert (0, "") == (status, err)
    assert said[0].startswith(f"saved: {copy}: ")
    assert meanwhile > 0
    assert (0, ["ok"]) == await _checked(settled, copy)
    assert (0, ["ok"]) == await _checked(settled)
    await server.kill()
    status, said, err = await command(settled, "restore", str(copy))
    assert (0, 2) == (status, len(said))
    assert "API keys that were revoked are valid again" in err
    server = await settled.serve()
    for conversation_id, question in before:
        messages = (
            await call(server.url, "GET", f"/api/v1/conversations/{conversation_id}/messages")
        ).body["data"]
        assert [{"type": "text", "text": question}] == messages[0]["blocks"]
        assert "assistant" == messages[1]["role"]
    assert (0, ["ok"]) == await _checked(settled)
    await server.kill()


async def _checked(launcher: Launcher, *copy: Path) -> tuple[int | None, list[str]]:
    """The exit status, and the verdict of each line."""
    status, said, err = await command(launcher, "check", *map(str, copy))
    assert "" == err
    return status, [line.split(": ")[1] for line in said]


@pytest.mark.gen_test
async def test_what_was_said_since_a_backup_is_gone_and_kept_beside_it(settled: Launcher) -> None:
    server = await settled.serve()
    titles = []

    async def titled(title: str) -> None:
        await call(server.url, "POST", "/api/v1/conversations", {"title": title})

    async def found() -> list[str]:
        listed = await call(server.url, "GET", "/api/v1/conversations")
        return [each["title"] for each in listed.body["data"]]

    await titled("before")
    assert 0 == (await command(settled, "backup", "kept.db"))[0]
    await titled("since")
    refused = await settled.refused("--config", str(settled.settings), "restore", "kept.db")
    assert f"is in use by another Headrace (process {server.process.pid})" in refused
    await server.kill()

    assert 0 == (await command(settled, "restore", "kept.db"))[0]

    server = await settled.serve()
    titles.append(await found())
    await server.kill()
    assert 0 == (await command(settled, "restore", "headrace.db.before-restore"))[0]
    server = await settled.serve()
    titles.append(await found())
    await server.kill()
    assert [["before"], ["since", "before"]] == titles


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.gen_test
async def test_a_backup_that_is_stopped_leaves_nothing(
    settled: Launcher, number: signal.Signals
) -> None:
    filled(settled.folder / "headrace.db", 100)
    backups = settled.folder / "backups"
    backups.mkdir()
    process = await settled.start(
        "--config", str(settled.settings), "backup", str(backups / "kept.db")
    )
    async with asyncio.timeout(20):
        await until(lambda: any(backups.iterdir()))
    process.send_signal(number)

    out, err = await process.communicate()

    assert (b"", b"headrace: stopped before it was done\n") == (out, err)
    assert 1 == process.returncode
    assert [] == list(backups.iterdir())


@pytest.mark.gen_test
async def test_what_is_damaged_has_an_exit_status_of_its_own_words(settled: Launcher) -> None:
    filled(settled.folder / "headrace.db", 1)
    damaged(settled.folder / "headrace.db", at=500_000)

    status, said, err = await command(settled, "check")

    assert (1, "") == (status, err)
    assert said[0].startswith("wrong: ")
    assert said[-1].endswith("/headrace.db: damaged")


@pytest.mark.parametrize("arguments", [("backup", "kept.db"), ("restore", "kept.db"), ("check",)])
@pytest.mark.gen_test
async def test_for_mongodb_the_page_is_named_that_says_what_to_call(
    launcher: Launcher, arguments: tuple[str, ...]
) -> None:
    said = await launcher.refused(*arguments, HEADRACE_STORAGE__URL="mongodb://u:canary@h/d")

    assert 'mongodump and mongorestore: see "Backup" in docs/operating.md' in said
    assert "canary" not in said
