"""Another program holds SQLite's write lock: who reads, who waits, and who has left."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from app.server import Server
from tests.readers import Connection, Reader, call
from tests.serving import Serving
from tests.steps import JSON, messages_of, new_conversation, until
from tests.upstreams import ScriptedUpstream

CHAT, CONVERSATIONS = "/api/v1/chat", "/api/v1/conversations"


class Shell:
    """Another program, which holds the right to write until it lets go."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def hold(self) -> None:
        self._database.execute("BEGIN IMMEDIATE")

    def let_go(self) -> None:
        self._database.execute("ROLLBACK")


@pytest.fixture
def shell(headrace: Server, tmp_path: Path) -> Iterator[Shell]:
    """It has the file of `headrace`."""
    with closing(sqlite3.connect(tmp_path / "headrace.db", isolation_level=None)) as database:
        yield Shell(database)


async def titles(server: Server) -> list[str | None]:
    listed = await call(server.url, "GET", CONVERSATIONS)
    return [each["title"] for each in listed.body["data"]]


def asking(server: Server) -> int:
    """How many requests are being answered."""
    return server.open_requests.count


async def gone(server: Server) -> None:
    """Return when no request is being answered."""
    await server.open_requests.wait_for_none(timeout=10)


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.gen_test
async def test_nothing_is_kept_for_who_gave_up_while_the_file_was_locked(
    headrace: Server, shell: Shell, upstream: ScriptedUpstream, half: bool
) -> None:
    path = await new_conversation(headrace)
    shell.hold()
    waiting: list[asyncio.Task[object]] = []
    connections = [await Connection.open(headrace.url) for _ in range(9)]
    for number, connection in enumerate(connections):
        where = (CHAT, CONVERSATIONS, f"{path}/messages")[number % 3]
        body = {"title": "left"} if where == CONVERSATIONS else {"content": "left"}
        waiting.append(asyncio.create_task(connection.call("POST", where, body)))
    await until(lambda: asking(headrace) == len(connections))
    for connection in connections:
        if half:
            connection.writer.write_eof()
        else:
            connection.close()
    await gone(headrace)
    shell.let_go()
    await asyncio.gather(*waiting, return_exceptions=True)
    kept = await call(headrace.url, "POST", CONVERSATIONS, {"title": "stayed"})

    assert 201 == kept.status
    assert ["stayed", None] == await titles(headrace)
    assert [] == await messages_of(headrace, path)
    assert [] == upstream.requests
    assert 0 == len(headrace.relay.live_answers)


@pytest.mark.gen_test
async def test_who_sent_a_key_or_wants_it_finished_is_answered_behind_their_back(
    headrace: Server, shell: Shell, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("yes")
    upstream.finish()
    shell.hold()
    connections = [await Connection.open(headrace.url) for _ in range(2)]
    keyed, patient = (
        asyncio.create_task(connection.call("POST", CHAT, body, headers=headers))
        for connection, body, headers in (
            (connections[0], {"content": "with a key"}, {"Idempotency-Key": "k"}),
            (connections[1], {"content": "to its end", "on_disconnect": "finish"}, {}),
        )
    )
    await until(lambda: asking(headrace) == 2)
    for connection in connections:
        connection.close()
    await asyncio.gather(keyed, patient, return_exceptions=True)
    shell.let_go()
    await gone(headrace)
    await headrace.relay.idle()

    assert {"with a key", "to its end"} == set(await titles(headrace))


@pytest.mark.gen_test
async def test_what_is_kept_is_read_while_another_program_writes(
    headrace: Server, shell: Shell, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("yes")
    upstream.finish()
    answer = (await call(headrace.url, "POST", CHAT, {"content": "q"}, headers=JSON)).body
    path = f"{CONVERSATIONS}/{answer['conversation_id']}"
    shell.hold()
    waiting = asyncio.create_task(call(headrace.url, "POST", CHAT, {"content": "p"}, headers=JSON))
    await until(lambda: asking(headrace) == 1)

    assert ["q"] == await titles(headrace)
    assert 200 == (await call(headrace.url, "GET", path)).status
    assert 2 == len(await messages_of(headrace, path))
    reader = await Reader.come_back(headrace.url, answer["id"])
    assert "complete" == (await reader.end())["status"]
    assert not waiting.done()
    shell.let_go()
    assert 200 == (await waiting).status


@pytest.mark.slow
@pytest.mark.gen_test
async def test_who_waits_too_long_is_told_with_all_others(
    serve: Serving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.sqlite.writer.QUEUE_TIMEOUT_SECONDS", 0.3)
    monkeypatch.setattr("storage.sqlite.lifecycle._PING_SECONDS", 0.3)
    server = await serve.start()
    with closing(sqlite3.connect(tmp_path / "headrace.db", isolation_level=None)) as database:
        shell = Shell(database)
        shell.hold()
        async with asyncio.timeout(10):  # one after another these would take longer
            refused = await asyncio.gather(
                *(call(server.url, "POST", CHAT, {"content": "q"}) for _ in range(40)),
                call(server.url, "GET", "/readyz"),
            )
        shell.let_go()

    assert {503} == {each.status for each in refused}
    assert {"storage_unavailable"} == {each.body["error"]["code"] for each in refused}
    assert all("retry-after" in each.headers for each in refused)
    assert [] == await titles(server)
