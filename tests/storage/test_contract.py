"""What `storage/contract.py` promises throughout: blocks of every kind, users apart, the end."""

from collections.abc import Awaitable, Callable

import msgspec
import pytest

from model.blocks import (
    LATER_KINDS,
    FileBlock,
    TextBlock,
    ToolResultBlock,
)
from model.messages import Status, now
from storage.contract import Storage
from storage.errors import NotFound
from storage.values import Changes, PeerRequests
from tests.storage.samples import (
    TEXT,
    ask,
    begun,
    blocks_of_every_kind,
    conversation,
    ending,
    exchange,
    stored_file,
)

# Blocks of every kind


@pytest.mark.gen_test
async def test_a_question_of_blocks_of_every_kind_comes_back_as_it_was_kept(
    storage: Storage,
) -> None:
    new = conversation()
    question, answer = exchange(new, owner=storage.process)
    file = stored_file(new, b"content", name=TEXT)
    blocks = tuple(
        msgspec.structs.replace(block, file_id=file.id) if isinstance(block, FileBlock) else block
        for block in blocks_of_every_kind()
    )
    result = ToolResultBlock("call-1", TEXT, is_error=True)
    question = msgspec.structs.replace(question, blocks=(*blocks, result))
    await storage.store_file(file)
    await storage.ask(question, answer, title="t", new=new)

    listed = await storage.messages("alice", new.id, limit=9, before=None)
    branch = await storage.branch("alice", new.id, limit=9, last=None)

    for kept in (listed.data[0], branch.data[0], await storage.message("alice", question.id)):
        assert question.blocks == kept.blocks


# Users


@pytest.mark.gen_test
async def test_how_an_answer_stands_can_be_asked_without_its_text(storage: Storage) -> None:
    answer = await begun(storage)
    assert Status.LIVE == await storage.answer_status("alice", answer.id)
    await storage.end_answer(answer.id, storage.process, ending(TextBlock("x")))
    assert Status.COMPLETE == await storage.answer_status("alice", answer.id)
    with pytest.raises(NotFound):
        await storage.answer_status("alice", answer.parent_id or "")
    await storage.delete_conversation("alice", answer.conversation_id)
    with pytest.raises(NotFound):
        await storage.answer_status("alice", answer.id)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_what_is_another_users_is_not_found(storage: Storage) -> None:
    answer = await begun(storage, "alice")
    of, message_id = answer.conversation_id, answer.id
    kept = await storage.conversation("alice", of)
    assert {} == await storage.live_answer_ids("bob", [of])
    mine = conversation("bob")
    await storage.create_conversation(mine)
    theirs = conversation("bob", id=of)

    lookups: list[Callable[[], Awaitable[object]]] = [
        lambda: storage.conversation("bob", of),
        lambda: storage.answer_status("bob", message_id),
        lambda: storage.change_conversation("bob", of, Changes(title="mine"), now()),
        lambda: storage.delete_conversation("bob", of),
        lambda: storage.messages("bob", of, limit=9, before=None),
        lambda: storage.message("bob", message_id),
        lambda: storage.message("bob", answer.parent_id or ""),
        lambda: storage.live_answer("bob", of),
        lambda: storage.change_client_metadata("bob", message_id, {"k": "v"}),
        lambda: ask(storage, theirs),
        lambda: storage.ask(*exchange(theirs, owner="p"), title="mine", new=theirs),
    ]
    for lookup in lookups:
        with pytest.raises(NotFound):
            await lookup()

    await storage.create_conversation(theirs)  # nor can it be taken over
    with pytest.raises(NotFound):
        await storage.conversation("bob", of)
    assert (await storage.conversations("bob", limit=9, after=None)).data == (mine,)
    assert await storage.conversation("alice", of) == kept
    assert 2 == len((await storage.messages("alice", of, limit=9, before=None)).data)


@pytest.mark.slow
@pytest.mark.parametrize("strange", ["", "-", ".", "$gt", "a-b", "\0", "%", "é" * 5000])
@pytest.mark.gen_test
async def test_ids_that_nobody_made_are_not_found(storage: Storage, strange: str) -> None:
    answer = await begun(storage)
    for lookup in (
        storage.conversation("alice", strange),
        storage.message("alice", strange),
        storage.message("alice", f"{answer.conversation_id}-{strange}"),
        storage.messages("alice", strange, limit=9, before=None),
        storage.delete_conversation("alice", strange),
        storage.live_answer("alice", strange),
    ):
        with pytest.raises(NotFound):
            await lookup


# The process


@pytest.mark.gen_test
async def test_ping_returns_and_closing_twice_is_harmless(storage: Storage) -> None:
    await storage.ping()
    assert await storage.renew_lease({})
    assert await storage.unreadable(LATER_KINDS) == frozenset()
    assert await storage.peer_requests() == PeerRequests()
    assert [] == await storage.orphans()
    await storage.close()
    await storage.close()
