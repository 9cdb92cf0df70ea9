"""Scenes of the runbook: stores that fail, and what they hold."""

import asyncio
import os
import resource
import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path

from storage.errors import Reason, StorageError, TooLarge
from tests.auth_servers import AuthServers
from tests.faults import FaultyStorage
from tests.mongod import ReplicaSet, replica_set
from tests.readers import Reader, call
from tests.runbook.stage import Stage, lines_of, scene
from tests.steps import new_conversation
from tests.storage.raw import RawSQLite
from tests.storage.sqlite_files import damage_table


async def refused_for_now(
    url: str,
    method: str = "POST",
    path: str = "/api/v1/conversations",
    headers: dict[str, str] | None = None,
) -> str:
    """The reason that a stranger hears."""
    body = {} if method == "POST" else None
    refused = await call(url, method, path, body, headers=headers)
    assert 503 == refused.status, refused
    return str(refused.body["error"]["reason"])


@scene("requests are refused, the store fails: … reason=locked", needs="serve tmp_path")
async def somebody_writes_to_the_file(stage: Stage) -> None:
    server = await stage.serve.start()
    with closing(sqlite3.connect(stage.tmp_path / "headrace.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        assert "locked" == await refused_for_now(server.url)
        other.rollback()


@scene(
    "requests are refused, the store fails: … reason=full",
    "the store serves again after_seconds=… refused=…",
    needs="store serve",
)
async def the_disk_is_full(stage: Stage) -> None:
    """The one that no process can make without a file system of its own."""
    store: FaultyStorage = stage.store
    server = await stage.serve.start()
    full = StorageError("SQLite failed on x.db: SQLITE_FULL", reason=Reason.FULL)
    store.fail("create_conversation", error=full)
    store.fail("ping", error=full)
    assert "full" == await refused_for_now(server.url)
    await store.called("ping")
    store.heal()
    await stage.shows("the store serves again after_seconds=… refused=…")


@scene("requests are refused, the store fails: … reason=io")
async def files_may_not_grow(stage: Stage) -> None:
    server = await stage.serve.start()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))  # of this process's files, as yet
    try:
        assert "io" == await refused_for_now(server.url)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@scene(
    "requests are refused, the store fails: … reason=corrupt",
    "the database is damaged, see `server.py check`: …",
    needs="serve tmp_path",
)
async def pages_are_damaged(stage: Stage) -> None:
    server = await stage.serve.start()
    path = await new_conversation(server)
    await stage.serve.stop(server)
    file: Path = stage.tmp_path / "headrace.db"
    damage_table(file, "conversations")
    server = await stage.serve.start()
    assert "corrupt" == await refused_for_now(server.url, "GET", path)
    await stage.shows("the database is damaged…")


@scene(
    "unreadable message=… fields=…",
    "unreadable growth answer=… position=…",
    needs="serve providers upstream tmp_path",
)
async def another_version_wrote_it(stage: Stage) -> None:
    server = await stage.serve.start(providers=stage.providers)
    stage.upstream.tokens("a")
    reader = await Reader.ask(server.url)
    await reader.start()
    raw = RawSQLite(stage.tmp_path / "headrace.db")
    path = f"/api/v1/conversations/{reader.seen[0].data['conversation_id']}/messages"
    raw.add_chunk(reader.answer_id, 1, "x")
    assert 200 == (await call(server.url, "GET", path)).status
    await stage.shows("unreadable growth answer=…")
    stage.upstream.finish()
    await reader.end()
    raw.change("messages", reader.answer_id, usage="all of it")
    assert 200 == (await call(server.url, "GET", path)).status


@scene(
    "requests are refused, the store fails: … reason=timeout",
    "requests are refused, the store fails: … reason=unreachable",
    "checkpoints fail, answers go on: … reason=…",
    "lease not renewed: … reason=…",
    "the lease had expired",
    "orphans not ended: … reason=…",
    "peer requests cannot be read: … reason=…",
    "counts are not shared, each process has its own: … reason=…",
    "answers of other processes cannot be read: … reason=…",
    "deleted conversations are not cleared: … reason=…",
    "API keys cannot be rechecked: … reason=…",
    needs="serve providers upstream tmp_path",
)
async def mongodb_is_away(stage: Stage) -> None:
    with ExitStack() as stack:
        alone = await asyncio.to_thread(stack.enter_context, replica_set(stage.tmp_path))
        await _away(stage, alone)


async def _away(stage: Stage, mongod: ReplicaSet) -> None:
    (node,) = mongod.nodes
    url = mongod.url("headrace")
    auth_servers = AuthServers(stage.serve, url)
    relay = {"checkpoint_seconds": 0.05, "lease_seconds": 0.6, "heartbeat_seconds": 0.2}
    owner, other = [
        await auth_servers.open(providers=stage.providers, relay=relay) for _ in range(2)
    ]
    alice = await auth_servers.create_key("alice")
    await auth_servers.close()
    stage.upstream.tokens("a")
    reader = await Reader.ask(owner.url, headers=alice.headers)
    await reader.text("a")
    path = f"/api/v1/answers/{reader.answer_id}/events"
    follower = await Reader.open(other.url, "GET", path, headers=alice.headers)
    await follower.text("a")

    node.freeze()
    stage.upstream.tokens("b")  # to be saved
    question = {"content": "q"}  # is counted, too
    lookup = await call(owner.url, "POST", "/api/v1/chat", question, headers=alice.headers)
    assert (503, "timeout") == (lookup.status, lookup.body["error"]["reason"])
    await stage.shows("checkpoints fail, answers go on: … reason=…")
    node.kill()
    while "unreachable" != await refused_for_now(owner.url, headers=alice.headers):
        pass  # what was under way when it died is told as a silence
    lines = lines_of(mongodb_is_away)
    await stage.shows(*(line for line in lines if line != "the lease had expired"))
    node.start()
    await stage.shows("the lease had expired")
    await stage.serve.stop_all()  # as long as there is a database to say goodbye to


@scene("requests are refused, the store fails: … reason=not_primary", needs="mongod serve")
async def the_primary_steps_down(stage: Stage) -> None:
    mongod: ReplicaSet = stage.mongod
    url = mongod.url(f"headrace_test_{os.urandom(8).hex()}")
    server = await stage.serve.start(storage={"url": url})
    # Without labels the driver does not retry it until its time is over, which it would say then.
    with mongod.failing("insert", times=10_000_000, errorCode=10107, errorLabels=[]):
        assert "not_primary" == await refused_for_now(server.url)


@scene(
    "ending left to the next sweep answer=…",
    "endings of answers cannot be stored: … reason=…",
    needs="store serve providers upstream monkeypatch",
)
async def an_outage_outlasts_ten_thousand_answers(stage: Stage) -> None:
    stage.monkeypatch.setattr("relay.ending_writer._MAX_LATE", 0)
    relay = {"checkpoint_seconds": 0.02, "lease_seconds": 0.2}
    server = await stage.serve.start(providers=stage.providers, relay=relay)
    stage.store.fail("end_answer")
    stage.upstream.tokens("a")
    stage.upstream.finish()
    await (await Reader.ask(server.url)).end()


@scene(
    "growth of an answer is too large to be saved answer=…",
    needs="store serve providers upstream",
)
async def an_answer_outgrows_a_document(stage: Stage) -> None:
    stage.store.fail("append_chunks", error=TooLarge("past 16 MB"))
    relay = {"checkpoint_seconds": 0.02, "lease_seconds": 0.2}
    server = await stage.serve.start(providers=stage.providers, relay=relay)
    stage.upstream.tokens("a")
    reader = await Reader.ask(server.url)
    await reader.text("a")
    await stage.shows("growth of an answer is too large…")
