"""How many bytes of a store count for a user: what they put into it, as long as it is there."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pymongo.database import Database

from model.blocks import ImageBlock, TextBlock
from model.messages import now
from storage.contract import Storage
from storage.errors import NotFound
from storage.factory import from_url
from storage.mongo import queries
from storage.sizes import CONVERSATION_BYTES, conversation_bytes, messages_bytes
from storage.sqlite.tables import NEWEST
from storage.values import Changes
from tests.storage.conftest import Place
from tests.storage.raw import leave_first_stage
from tests.storage.samples import TEXT, ask, begun, beside, conversation, ending, exchange

LONG = 10_000


@pytest.mark.gen_test
async def test_nobody_keeps_anything_at_first(storage: Storage) -> None:
    await begun(storage, "bob")
    assert 0 == await storage.stored_bytes("alice")


@pytest.mark.gen_test
async def test_a_conversation_counts_with_all_that_is_said_of_it(storage: Storage) -> None:
    empty = conversation()
    await storage.create_conversation(empty)
    assert CONVERSATION_BYTES == await storage.stored_bytes("alice")
    told = conversation(title=TEXT, system="界" * LONG, metadata={"k": "v" * LONG})

    for _ in range(2):  # a retry counts once
        await storage.create_conversation(told)

    kept = await storage.stored_bytes("alice")
    assert CONVERSATION_BYTES + conversation_bytes(told) == kept
    assert 4 * LONG < kept < 5 * LONG


@pytest.mark.gen_test
async def test_questions_count_with_their_parts_and_answers_do_not(storage: Storage) -> None:
    new = conversation(system="x" * LONG)
    question, answer = exchange(new, owner=storage.process)
    image = ImageBlock(url=f"data:image/png;base64,{'A' * LONG}")
    question = msgspec.structs.replace(question, blocks=(TextBlock(TEXT), image))
    expected = conversation_bytes(new) + messages_bytes([question])

    for _ in range(2):  # a retry counts once
        await storage.ask(question, answer, title="t", new=new)
    await storage.end_answer(answer.id, storage.process, ending(TextBlock("y" * LONG)))
    again = beside(answer, owner=storage.process)
    await storage.ask(None, again, title="t", new=None)

    assert expected == await storage.stored_bytes("alice")
    assert 2 * LONG < expected < 3 * LONG


@pytest.mark.gen_test
async def test_what_is_replaced_stays_counted_until_its_conversation_is_deleted(
    storage: Storage,
) -> None:
    kept = conversation()
    await storage.create_conversation(kept)
    before = await storage.stored_bytes("alice")

    for _ in range(3):
        changes = Changes(system="x" * LONG)
        await storage.change_conversation("alice", kept.id, changes, now())
    await storage.change_conversation("alice", kept.id, Changes(system=None), now())
    with pytest.raises(NotFound):
        await storage.change_conversation("bob", kept.id, Changes(system="x"), now())

    assert 3 * LONG <= await storage.stored_bytes("alice") - before < 3 * LONG + 100
    await storage.delete_conversation("alice", kept.id)
    assert 0 == await storage.stored_bytes("alice")


@pytest.mark.gen_test
async def test_conversations_of_the_first_stage_count_as_such_and_grow(first: Place) -> None:
    storage = await first.open()
    found = await storage.conversations("alice", limit=99, after=None)
    before = await storage.stored_bytes("alice")
    assert len(found.data) * CONVERSATION_BYTES == before

    free = [each for each in found.data if await storage.live_answer("alice", each.id) is None]
    await ask(storage, free[0])

    grown = await storage.stored_bytes("alice") - before
    assert grown == 0 if first.url.startswith("sqlite") else grown > 0


@pytest.mark.gen_test
async def test_a_migration_counts_what_an_sqlite_file_has(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/headrace.db"
    leave_first_stage(url)
    await from_url(url, process="m", lease_seconds=1).migrate(lambda _: None)
    with closing(sqlite3.connect(tmp_path / "headrace.db")) as shell:
        assert (NEWEST,) == shell.execute("PRAGMA user_version").fetchone()
        rows = shell.execute(
            """SELECT coalesce(system, '') || metadata, bytes, (
                SELECT coalesce(group_concat(blocks, ''), '') FROM messages
                WHERE conversation_id = conversations.id AND role = 'user'
            ) FROM conversations"""
        ).fetchall()
    assert rows
    assert [len((facts + asked).encode()) for facts, _, asked in rows] == [
        size for _, size, _ in rows
    ]


@pytest.mark.slow
@pytest.mark.gen_test
async def test_the_sum_is_found_in_an_index_alone(
    mongo: Place, database: Database[dict[str, Any]]
) -> None:
    storage = await mongo.open()
    for _ in range(20):
        await begun(storage)
    plan = database.command(
        "explain",
        {"aggregate": "conversations", "pipeline": queries.sum_of_bytes("alice"), "cursor": {}},
        verbosity="executionStats",
    )
    assert "'totalDocsExamined': 0" in str(plan)
