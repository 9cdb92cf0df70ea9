"""A user's answers of all conversations: the live ones, and those of a client protocol."""

import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pymongo.database import Database

from model.blocks import TextBlock
from model.messages import ClientData, Message
from storage.contract import Storage
from storage.cursors import answer_cursor
from storage.errors import InvalidCursor, Outdated
from storage.values import ClientAnswers, Order, Page
from tests.storage.conftest import Commands, Place
from tests.storage.migrating import migrate
from tests.storage.samples import (
    TEXT,
    begun,
    conversation,
    ending,
    exchange,
    text_chunks,
)

CHAT = ClientData(protocol="chat_completions")
ALL = ClientAnswers(protocol="chat_completions")

Pages = Callable[..., Awaitable[Page[Message]]]


async def asked(storage: Storage, user: str = "alice", **client: Any) -> Message:
    """A stored, ended chat completion."""
    data = ClientData(**{"protocol": "chat_completions", **client})
    answer = await begun(storage, user, client=data)
    await storage.end_answer(answer.id, storage.process, ending(TextBlock(answer.id)))
    return answer


async def all_pages(pages: Pages) -> list[str]:
    """The ids on all pages, none of which is empty unless there are none at all."""
    found: list[str] = []
    after: str | None = None
    while True:
        page = await pages(after=after)
        found += [each.id for each in page.data]
        assert page.data or not found
        if page.next is None:
            return found
        after = page.next


def newest_first(answers: Sequence[Message]) -> list[str]:
    return [each.id for each in sorted(answers, key=lambda each: (each.created_at, each.id))][::-1]


# What is live


@pytest.mark.gen_test
async def test_the_live_answers_of_a_user_are_listed_with_what_they_have(storage: Storage) -> None:
    assert Page((), None) == await storage.live_answers("alice", limit=9)
    ended = await begun(storage)
    await storage.end_answer(ended.id, storage.process, ending())
    live = [await begun(storage, client=CHAT), *[await begun(storage) for _ in range(4)]]
    await begun(storage, "bob")
    await storage.append_chunks(text_chunks(live[0].id, TEXT))

    for limit in (1, 2, 3, 5, 9):
        assert newest_first(live) == await all_pages(
            partial(storage.live_answers, "alice", limit=limit)
        )
    page = await storage.live_answers("alice", limit=9)
    [first] = [each for each in page.data if each.id == live[0].id]
    assert (TEXT, CHAT) == (first.text, first.client)
    assert first == await storage.message("alice", first.id)


@pytest.mark.gen_test
async def test_the_live_answers_of_conversations_are_found_at_once(storage: Storage) -> None:
    live = [await begun(storage) for _ in range(3)]
    ended = await begun(storage)
    await storage.end_answer(ended.id, storage.process, ending())
    gone = await begun(storage)
    await storage.delete_conversation("alice", gone.conversation_id)
    theirs = await begun(storage, "bob")
    ids = [each.conversation_id for each in (*live[1:], ended, gone, theirs)]

    found = await storage.live_answer_ids("alice", [*ids, "", "$x", TEXT])

    assert {each.conversation_id: each.id for each in live[1:]} == found
    assert {} == await storage.live_answer_ids("alice", [])


# What a protocol asked


@pytest.mark.gen_test
async def test_answers_of_a_protocol_are_listed_in_both_directions(storage: Storage) -> None:
    completions = [await asked(storage) for _ in range(7)]
    completions.append(await begun(storage, client=CHAT))  # a live one, too
    await asked(storage, protocol="responses")
    await asked(storage, "bob")
    await begun(storage)
    upwards = msgspec.structs.replace(ALL, oldest_first=True)

    for limit in (1, 3, 8, 9):
        for chosen, expected in (
            (ALL, newest_first(completions)),
            (upwards, newest_first(completions)[::-1]),
        ):
            assert expected == await all_pages(
                partial(storage.answers_of_protocol, "alice", chosen, limit=limit)
            )


@pytest.mark.gen_test
async def test_answers_of_the_same_millisecond_are_each_listed_once(storage: Storage) -> None:
    new = conversation()
    asked_at = new.created_at
    same: list[Message] = []
    for n in range(6):
        of = conversation()
        question, answer = exchange(of, owner=storage.process, client=CHAT)
        at = asked_at + timedelta(milliseconds=n // 3)
        answer = msgspec.structs.replace(answer, created_at=at)
        await storage.ask(question, answer, title=None, new=of)
        same.append(answer)

    for limit in (1, 2, 4):
        assert newest_first(same) == await all_pages(
            partial(storage.answers_of_protocol, "alice", ALL, limit=limit)
        )


@pytest.mark.gen_test
async def test_a_list_begins_behind_any_answer_that_is_named(storage: Storage) -> None:
    completions = [await asked(storage) for _ in range(4)]
    expected = newest_first(completions)
    by_id = {each.id: each for each in completions}

    page = await storage.answers_of_protocol(
        "alice", ALL, limit=9, after=answer_cursor(by_id[expected[1]])
    )

    assert expected[2:] == [each.id for each in page.data]


@pytest.mark.gen_test
async def test_answers_are_chosen_by_model_and_metadata(storage: Storage) -> None:
    await asked(storage)
    a = await asked(storage, metadata={"k.": TEXT, "n": "1"})
    b = await asked(storage, metadata={"n": "1", "$set": "\0"})
    c = await asked(storage, metadata={"n": "2"})

    async def found(**how: Any) -> list[str]:
        chosen = ClientAnswers(protocol="chat_completions", **how)
        return await all_pages(partial(storage.answers_of_protocol, "alice", chosen, limit=1))

    assert newest_first([a, b]) == await found(metadata={"n": "1"})
    assert [a.id] == await found(metadata={"n": "1", "k.": TEXT})
    assert [b.id] == await found(metadata={"$set": "\0"})
    assert [c.id] == await found(metadata={"n": "2"}, model="demo/demo")
    assert [] == await found(model="demo/other")
    assert [] == await found(metadata={"n": ""})


@pytest.mark.gen_test
async def test_answers_of_deleted_conversations_leave_no_empty_page(storage: Storage) -> None:
    completions = [await asked(storage) for _ in range(12)]
    order = newest_first(completions)
    by_id = {each.id: each for each in completions}
    for its_id in (*order[:5], *order[6:11]):
        await storage.delete_conversation("alice", by_id[its_id].conversation_id)

    for limit in (1, 2, 3):
        assert [order[5], order[11]] == await all_pages(
            partial(storage.answers_of_protocol, "alice", ALL, limit=limit)
        )


@pytest.mark.gen_test
async def test_cursors_of_other_lists_are_refused(storage: Storage) -> None:
    for _ in range(2):
        await asked(storage)
        await begun(storage)
    page = await storage.conversations("alice", limit=1, after=None)
    by_activity = await storage.conversations("alice", limit=1, after=None, order=Order.UPDATED)
    for wrong in ("", "x", "é", page.next, by_activity.next):
        with pytest.raises(InvalidCursor):
            await storage.live_answers("alice", limit=1, after=wrong)
        with pytest.raises(InvalidCursor):
            await storage.answers_of_protocol("alice", ALL, limit=1, after=wrong)


# How they are found


@pytest.mark.gen_test
async def test_a_store_of_the_first_stage_lists_protocols_once_it_is_migrated(
    first: Place,
) -> None:
    storage = await first.open()
    live = await begun(storage, "carol")
    found = await storage.live_answers("carol", limit=9)
    assert [live.id] == [each.id for each in found.data]
    with pytest.raises(Outdated, match="migrate"):
        await storage.answers_of_protocol("alice", ALL, limit=9)
    await storage.close()

    await migrate(first.url)

    storage = await first.open()
    answer = await asked(storage)
    page = await storage.answers_of_protocol("alice", ALL, limit=9)
    assert [answer.id] == [each.id for each in page.data]


@pytest.mark.slow
@pytest.mark.gen_test
async def test_each_list_is_read_from_its_index_in_mongodb(
    mongo: Place, database: Database[dict[str, Any]], commands: Commands
) -> None:
    storage = await mongo.open()
    for _ in range(3):
        await begun(storage)
        await asked(storage, metadata={"k": "v"})
    filtered = msgspec.structs.replace(ALL, model="demo/demo", metadata={"k": "v"})
    lists: list[tuple[str, Pages]] = [
        ("live_of_user", partial(storage.live_answers, "alice", limit=1)),
        *(
            ("of_protocol", partial(storage.answers_of_protocol, "alice", chosen, limit=1))
            for chosen in (ALL, msgspec.structs.replace(ALL, oldest_first=True), filtered)
        ),
    ]
    for index, pages in lists:
        second = (await pages()).next
        commands.sent.clear()
        await pages(after=second)
        sent = commands.sent[0]
        asked_for = {name: sent[name] for name in ("find", "filter", "sort", "projection")}
        plan = str(database.command("explain", asked_for)["queryPlanner"]["winningPlan"])
        assert f"'indexName': '{index}'" in plan
        assert "'stage': 'SORT'" not in plan


@pytest.mark.gen_test
async def test_each_list_is_read_from_its_index_in_sqlite(tmp_path: Path) -> None:
    place = Place(f"sqlite:///{tmp_path}/data/headrace.db")
    await place.open()
    await place.close()
    for index, where in (
        ("live_answers_of_user", "status = 'live'"),
        ("answers_of_protocol", "protocol = 'chat_completions'"),
    ):
        with closing(sqlite3.connect(tmp_path / "data/headrace.db")) as database:
            plan = " / ".join(
                step[-1]
                for step in database.execute(
                    f"""EXPLAIN QUERY PLAN SELECT id FROM messages WHERE user = 'alice'
                    AND {where} AND (created_at, id) < (7, 'x') AND EXISTS (
                        SELECT 1 FROM conversations WHERE conversations.id = conversation_id
                    ) ORDER BY created_at DESC, id DESC"""
                )
            )
        assert index in plan
        assert "TEMP B-TREE" not in plan
