"""What this version does not know is kept as it is and shown as such; it hides nothing beside it.

Of a later version that shares the store, and of whatever else wrote there.
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from bson.datetime_ms import DatetimeMS
from pymongo.database import Database

from model.blocks import TextBlock, UnknownBlock
from model.growth import Chunk, Piece
from model.messages import Attempt, Failure, Message, Role, Status, Timing, now
from model.usage import Usage
from storage.contract import Storage
from storage.sqlite.store import SQLiteStorage
from storage.tolerant_decoding import decode_chunk
from storage.values import AnswerUpdates, Changes
from tests.storage.conftest import Place
from tests.storage.raw import Raw
from tests.storage.samples import api_key, ask, begun, conversation, ending, exchange, key
from tests.storage.test_following import followed

# Blocks that a later version may write.
VIDEO = {"type": "video", "url": "https://x/v", "parts": [{"ms": 5}, None], "$of.$later": 1.5}
ODD_IMAGE = {"type": "image", "url": ["several", "of", "them"]}
NO_TYPE = {"kind": "video"}


async def shown(storage: Storage, message: Message) -> list[Message]:
    """A message in every way that it is read."""
    alone = await storage.message(message.user, message.id)
    of = message.conversation_id
    listed = await storage.messages(message.user, of, limit=99, before=None)
    branch = await storage.branch(message.user, of, limit=99, last=message.id)
    in_list = [each for each in listed.data if each.id == message.id]
    return [alone, *in_list, branch.data[-1]]


async def ended(storage: Storage, *texts: str) -> Message:
    """An answer that has ended, in a conversation of its own."""
    answer = await begun(storage)
    end = ending(
        *map(TextBlock, texts),
        status=Status.FAILED,
        finish_reason="stop",
        usage=Usage(3, 4),
        timing=Timing(first_token_ms=1, reasoning_ms=None, total_ms=2),
        error=Failure("idle_timeout", "The provider fell silent."),
        attempts=(Attempt(target="demo/demo", started_at=now(), ms=2),),
    )
    assert await storage.end_answer(answer.id, storage.process, end)
    return await storage.message(answer.user, answer.id)


async def work_beside(storage: Storage, message: Message) -> None:
    """Do all that is done with a message and its conversation, but deleting them."""
    of = await storage.conversation(message.user, message.conversation_id)
    renamed = Changes(title="new", metadata={"a": "b"})
    await storage.change_conversation(message.user, of.id, renamed, now())
    assert not await storage.end_answer(message.id, storage.process, ending(TextBlock("late")))
    await storage.append_chunks([Chunk(message.id, 0, (Piece(0, "text", "late"),))])
    further = await ask(storage, of, parent_id=message.id)
    assert await storage.end_answer(further.id, storage.process, ending())


# Kinds


@pytest.mark.parametrize("strange", [VIDEO, ODD_IMAGE, NO_TYPE])
@pytest.mark.gen_test
async def test_a_block_of_an_unknown_kind_is_shown_and_stays_as_it_is(
    storage: Storage, raw: Raw, strange: dict[str, Any]
) -> None:
    answer = await ended(storage)
    said = {"type": "text", "text": "b"}
    raw.change("messages", answer.id, blocks=[{"type": "text", "text": "a"}, strange, said])
    before = raw.stored("messages", answer.id)

    for message in await shown(storage, answer):
        assert (TextBlock("a"), UnknownBlock(strange), TextBlock("b")) == message.blocks
    told = await storage.answer_updates({answer.id: 0})
    await work_beside(storage, answer)

    assert AnswerUpdates(ended=(await storage.message("alice", answer.id),)) == told
    assert before == raw.stored("messages", answer.id)


@pytest.mark.gen_test
async def test_growth_of_unknown_kinds_is_followed_swept_and_kept(
    storage: Storage, raw: Raw
) -> None:
    answer = await begun(storage, owner="a process of a later version")
    pieces: list[dict[str, Any]] = [
        {"block": 0, "type": "text", "text": "a"},
        {"block": 1, "type": "citation", "text": "xy"},
        {"block": 2, "type": "video", "text": "", "whole": VIDEO},
        {"block": 3, "type": "text", "text": "b", "of_a_later_version": {"$x": 1}},
    ]
    for position, piece in zip((0, 1, 3, 4), pieces, strict=True):
        raw.add_chunk(answer.id, position, [piece])
    blocks = (
        TextBlock("a"),
        UnknownBlock(type="citation", text="xy"),
        UnknownBlock(VIDEO),
        TextBlock("b"),
    )

    for message in await shown(storage, answer):
        assert blocks == message.blocks
    lengths = [
        [each.length for each in chunk.pieces] for chunk in await followed(storage, answer.id)
    ]
    assert [[1], [2], [1], [1]] == lengths

    raw.let_judge(storage.process)
    [orphan] = await storage.orphans()
    assert blocks == orphan.blocks
    end = ending(*orphan.blocks, status=Status.INTERRUPTED)
    assert await storage.end_answer(answer.id, "a process of a later version", end)
    for message in await shown(storage, answer):
        assert blocks == message.blocks


@pytest.mark.gen_test
async def test_a_role_that_is_unknown_is_shown_and_stays(storage: Storage, raw: Raw) -> None:
    answer = await ended(storage, "yes")
    assert answer.parent_id is not None
    raw.change("messages", answer.parent_id, role="tool")

    listed = await storage.messages("alice", answer.conversation_id, limit=9, before=None)
    branch = await storage.branch("alice", answer.conversation_id, limit=9, last=None)
    await work_beside(storage, answer)

    for page in (listed, branch):
        assert [Role("tool"), Role.ASSISTANT] == [message.role for message in page.data]
    assert "tool" == raw.stored("messages", answer.parent_id)["role"]


@pytest.mark.gen_test
async def test_a_status_that_is_unknown_is_shown_and_stays(storage: Storage, raw: Raw) -> None:
    answer = await ended(storage, "yes")
    raw.change("messages", answer.id, status="paused")

    for message in await shown(storage, answer):
        assert Status("paused") == message.status
    [told] = (await storage.answer_updates({answer.id: 0})).ended
    await work_beside(storage, answer)

    assert Status("paused") == told.status
    assert "paused" == raw.stored("messages", answer.id)["status"]


# Fields


@pytest.mark.gen_test
async def test_unknown_fields_of_a_message_stay_through_its_end(storage: Storage, raw: Raw) -> None:
    answer = await begun(storage)
    raw.change("messages", answer.id, of_a_later_version="kept")

    assert answer.id == await storage.live_answer("alice", answer.conversation_id)
    end = ending(TextBlock("yes"))
    for _ in range(2):  # a retry, too
        assert await storage.end_answer(answer.id, storage.process, end)

    for message in await shown(storage, answer):
        assert message.has(end)
    assert "kept" == raw.stored("messages", answer.id)["of_a_later_version"]


@pytest.mark.gen_test
async def test_unknown_fields_within_a_message_are_passed_over_and_stay(
    storage: Storage, raw: Raw
) -> None:
    answer = await ended(storage)
    later = {"of_a_later_version": [1]}
    raw.change(
        "messages",
        answer.id,
        blocks=[{"type": "text", "text": "yes"} | later],
        timing={"first_token_ms": 1, "reasoning_ms": None, "total_ms": 2} | later,
        error={"code": "c", "message": "m"} | later,
        usage={"input_tokens": 1, "output_tokens": 2} | later,
    )
    before = raw.stored("messages", answer.id)

    for message in await shown(storage, answer):
        assert (TextBlock("yes"),) == message.blocks
        assert message.timing is not None
        assert message.error is not None
        assert Usage(1, 2) == message.usage
    await work_beside(storage, answer)

    assert before == raw.stored("messages", answer.id)


@pytest.mark.gen_test
async def test_unknown_fields_of_a_conversation_stay(storage: Storage, raw: Raw) -> None:
    answer = await ended(storage)
    of = answer.conversation_id
    raw.change("conversations", of, of_a_later_version="kept")

    await work_beside(storage, answer)

    listed = await storage.conversations("alice", limit=9, after=None)
    assert [(of, "new")] == [(each.id, each.title) for each in listed.data]
    assert "kept" == raw.stored("conversations", of)["of_a_later_version"]


@pytest.mark.gen_test
async def test_unknown_fields_of_keys_stay(storage: Storage, raw: Raw) -> None:
    new = conversation()
    question, answer = exchange(new, owner=storage.process)
    claimed, entering = key(answer), api_key("k")
    await storage.ask(question, answer, title="t", new=new, key=claimed)
    await storage.create_api_key(entering)
    raw.change("idempotency_keys", claimed.id, of_a_later_version="kept")
    raw.change("api_keys", "k", of_a_later_version="kept")

    await storage.ask(question, answer, title="t", new=new, key=claimed)
    revoked = await storage.revoke_api_key("k", now())

    assert claimed == await storage.idempotency_key("alice", claimed.id)
    assert [revoked] == await storage.api_keys(["k"])
    assert "kept" == raw.stored("api_keys", "k")["of_a_later_version"]


# What nobody can read


FIELDS = Message.__struct_fields__

UNREADABLE = [
    ("role", b"\xff"),
    ("blocks", "no list"),
    ("blocks", [5, {"type": "text", "text": "b"}]),
    ("blocks", [{"type": "text"}]),
    ("usage", {"input_tokens": "many"}),
    ("usage", "x"),
    ("timing", []),
    ("error", 3),
    ("attempts", [{"target": 5}]),
    ("model", b"\xff"),
    ("finish_reason", b"\xff"),
    ("created_at", "yesterday"),
    ("ended_at", "today"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "value"), [*UNREADABLE, ("status", b"\xff")])
@pytest.mark.gen_test
async def test_an_unreadable_message_is_told_in_parts_and_hides_nothing(
    storage: Storage, raw: Raw, name: str, value: Any
) -> None:
    answer = await ended(storage, "yes")
    of = await storage.conversation("alice", answer.conversation_id)
    await ask(storage, of, parent_id=answer.id)
    listed = await storage.messages("alice", of.id, limit=9, before=None)
    raw.change("messages", answer.id, **{name: value})
    before = raw.stored("messages", answer.id)

    with_it = await storage.messages("alice", of.id, limit=9, before=None)
    branch = await storage.branch("alice", of.id, limit=9, last=None)
    told = await storage.answer_updates({answer.id: 0})

    assert with_it.data == branch.data
    assert [each.id for each in listed.data] == [each.id for each in with_it.data]
    [(whole, in_parts)] = [
        pair for pair in zip(listed.data, with_it.data, strict=True) if pair[0] != pair[1]
    ]
    assert (in_parts,) == told.ended
    differing = [each for each in FIELDS if getattr(whole, each) != getattr(in_parts, each)]
    assert [name] == differing
    assert before == raw.stored("messages", answer.id)


@pytest.mark.gen_test
async def test_what_is_unreadable_is_named_in_the_log_without_its_words(
    storage: Storage,
    raw: Raw,
    expect_log: Callable[[str, str], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    answer = await ended(storage, "yes")
    raw.change("messages", answer.id, usage={"input_tokens": "quoted"})
    expect_log("headrace.storage", f"^unreadable message={answer.id} fields=usage$")

    for _ in range(2):
        await storage.message("alice", answer.id)

    assert "quoted" not in caplog.text
    assert 1 == caplog.text.count("unreadable")  # the same one is told once


@pytest.mark.slow
@pytest.mark.parametrize(("name", "value"), UNREADABLE)
@pytest.mark.gen_test
async def test_an_unreadable_message_is_swept_as_others_are(
    storage: Storage, raw: Raw, name: str, value: Any
) -> None:
    answers = [await begun(storage, owner="dead") for _ in range(2)]
    raw.change("messages", answers[0].id, **{name: value})
    raw.let_judge(storage.process)

    orphans = await storage.orphans()

    assert {each.id for each in answers} == {each.id for each in orphans}
    if name in ("role", "created_at"):
        del answers[0]  # MongoDB's validator takes no update of it
    for answer in answers:
        assert await storage.end_answer(answer.id, "dead", ending(status=Status.INTERRUPTED))
        assert await storage.live_answer("alice", answer.conversation_id) is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "value"),
    [("title", b"\xff"), ("metadata", "x"), ("metadata", [1]), ("updated_at", "yesterday")],
)
@pytest.mark.gen_test
async def test_an_unreadable_conversation_hides_no_other(
    storage: Storage, raw: Raw, name: str, value: Any
) -> None:
    kept = [conversation(title="t", metadata={"a": "b"}) for _ in range(2)]
    for each in kept:
        await storage.create_conversation(each)
    raw.change("conversations", kept[0].id, **{name: value})

    listed = await storage.conversations("alice", limit=9, after=None)

    assert {each.id for each in kept} == {each.id for each in listed.data}
    assert kept[1] in listed.data
    assert kept[0].id == (await storage.conversation("alice", kept[0].id)).id


@pytest.mark.slow
@pytest.mark.parametrize(
    "pieces", ["x", [5], [{"block": 0}], [{"block": 0, "type": "text", "text": 1}]]
)
@pytest.mark.gen_test
async def test_unreadable_growth_is_a_gap(storage: Storage, raw: Raw, pieces: Any) -> None:
    answer = await begun(storage)
    raw.add_chunk(answer.id, 0, [{"block": 0, "type": "text", "text": "a"}])
    raw.add_chunk(answer.id, 1, pieces)
    raw.add_chunk(answer.id, 2, [{"block": 0, "type": "text", "text": "c"}])

    for message in await shown(storage, answer):
        assert (TextBlock("a"),) == message.blocks
    assert [0] == [chunk.position for chunk in await followed(storage, answer.id)]
    end = ending(TextBlock("abc"))
    assert await storage.end_answer(answer.id, storage.process, end)
    assert [answer.id] == [each.id for each in (await storage.answer_updates({answer.id: 1})).ended]


def test_unreadable_growth_is_logged_under_its_answer(
    expect_log: Callable[[str, str], None],
) -> None:
    expect_log("headrace.storage", "^unreadable growth answer=of-this position=7$")

    assert decode_chunk("of-this", 7, "x") is None


@pytest.mark.gen_test
async def test_a_piece_of_a_block_that_was_never_opened_is_a_gap(
    storage: Storage, raw: Raw
) -> None:
    answer = await begun(storage)
    raw.add_chunk(answer.id, 0, [{"block": 0, "type": "text", "text": "a"}])
    raw.add_chunk(answer.id, 1, [{"block": 7, "type": "text", "text": "b"}])

    for message in await shown(storage, answer):
        assert (TextBlock("a"),) == message.blocks


@pytest.mark.gen_test
async def test_text_that_is_no_utf8_and_json_that_is_none_hide_nothing(tmp_path: Path) -> None:
    file = tmp_path / "headrace.db"
    storage = SQLiteStorage(file, "p")
    await storage.open()
    broken, whole = await ended(storage, "a"), await ended(storage, "b")
    with closing(sqlite3.connect(file)) as database, database:
        change = "UPDATE messages SET model = CAST(x'61ff' AS TEXT), usage = '{' WHERE id = ?"
        database.execute(change, (broken.id,))

    told = (await storage.answer_updates({broken.id: 0, whole.id: 0})).ended

    assert {broken.id: "a\ufffd", whole.id: "demo/demo"} == {each.id: each.model for each in told}
    await storage.close()


@pytest.mark.gen_test
async def test_a_time_that_python_cannot_hold_hides_nothing(
    mongo: Place, database: Database[dict[str, Any]]
) -> None:
    storage = await mongo.open()
    far, near = await ended(storage, "a"), await ended(storage, "b")
    database["messages"].update_one({"_id": far.id}, {"$set": {"ended_at": DatetimeMS(2**60)}})

    told = (await storage.answer_updates({far.id: 0, near.id: 0})).ended

    assert {far.id, near.id} == {each.id for each in told}
