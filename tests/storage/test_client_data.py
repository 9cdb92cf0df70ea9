"""What a client protocol stores with an answer: kept, counted, changed, in both stores."""

import msgspec
import pytest

from model.blocks import TextBlock
from model.messages import ClientData, Message
from storage.contract import Storage
from storage.errors import NotFound, Outdated
from storage.pages import PAGE_CHARS
from storage.sizes import client_bytes, metadata_bytes
from tests.storage.conftest import Place
from tests.storage.migrating import migrate
from tests.storage.raw import Raw
from tests.storage.samples import TEXT, begun, beside, ending, key

CLIENT = ClientData(
    protocol="chat_completions",
    metadata={"a.b": TEXT, "$set": "", "": "x"},
    request={"$x": [1, 2**70, -0.5, None, True], "a.b": {"": "\0"}, "_id": TEXT, "seed": 7},
)


async def kept(storage: Storage, answer: Message) -> ClientData | None:
    """What is stored, the same by every way to the answer."""
    user, of = answer.user, answer.conversation_id
    found = await storage.message(user, answer.id)
    page = await storage.messages(user, of, limit=9, before=None)
    branch = await storage.branch(user, of, limit=9, last=answer.id)
    assert found.client == page.data[-1].client == branch.data[-1].client
    return found.client


@pytest.mark.gen_test
async def test_client_data_come_back_as_they_were_stored_live_and_ended(storage: Storage) -> None:
    answer = await begun(storage, client=CLIENT)
    assert CLIENT == await kept(storage, answer)

    assert await storage.end_answer(answer.id, storage.process, ending(TextBlock("x")))

    assert CLIENT == await kept(storage, answer)
    question = await storage.message("alice", answer.parent_id or "")
    assert question.client is None
    assert await kept(storage, await begun(storage)) is None


@pytest.mark.gen_test
async def test_client_data_of_questions_stored_together_and_of_another_answer(
    storage: Storage,
) -> None:
    first = await begun(storage, client=CLIENT)
    await storage.end_answer(first.id, storage.process, ending())
    other = msgspec.structs.replace(CLIENT, protocol="responses")
    again = msgspec.structs.replace(beside(first, owner=storage.process), client=other)

    await storage.ask(None, again, title=None, new=None, key=key(again))

    assert other == (await storage.message("alice", again.id)).client


@pytest.mark.gen_test
async def test_client_data_count_for_the_quota_and_pages(storage: Storage) -> None:
    plain = await begun(storage)
    before = await storage.stored_bytes("alice")
    long = ClientData(protocol="p", request={"x": "y" * (PAGE_CHARS // 2)})

    answer = await begun(storage, client=long)

    one = before + client_bytes(long)
    assert before + one == await storage.stored_bytes("alice")
    await storage.end_answer(answer.id, storage.process, ending())
    again = msgspec.structs.replace(beside(answer, owner=storage.process), client=long)
    await storage.ask(None, again, title=None, new=None)
    assert before + one + client_bytes(long) == await storage.stored_bytes("alice")
    page = await storage.messages("alice", answer.conversation_id, limit=9, before=None)
    assert [again.id] == [each.id for each in page.data]  # two of them are more than a page
    assert plain.client is None


# Changing the metadata


@pytest.mark.gen_test
async def test_metadata_are_replaced_and_all_else_stays(storage: Storage) -> None:
    answer = await begun(storage, client=CLIENT)
    before = await storage.stored_bytes("alice")
    metadata = {"$inc": TEXT, "é.": "\0"}
    changed = msgspec.structs.replace(CLIENT, metadata=metadata)

    told = await storage.change_client_metadata("alice", answer.id, metadata)

    assert changed == told.client == await kept(storage, answer)
    counted = await storage.stored_bytes("alice") - before
    assert metadata_bytes(metadata) == counted
    assert await storage.end_answer(answer.id, storage.process, ending(TextBlock("x")))
    told = await storage.change_client_metadata("alice", answer.id, {})
    assert ({}, "x", answer.created_at) == (
        (told.client or CLIENT).metadata,
        told.text,
        told.created_at,
    )
    assert told == await storage.message("alice", answer.id)


@pytest.mark.gen_test
async def test_only_metadata_that_are_there_can_be_replaced(storage: Storage) -> None:
    native = await begun(storage)
    mine = await begun(storage, client=CLIENT)
    gone = await begun(storage, client=CLIENT)
    await storage.end_answer(gone.id, storage.process, ending())
    await storage.delete_conversation("alice", gone.conversation_id)

    for user, its_id in (
        ("alice", native.id),
        ("alice", native.parent_id or ""),
        ("alice", gone.id),
        ("alice", "-"),
        ("bob", mine.id),
    ):
        with pytest.raises(NotFound):
            await storage.change_client_metadata(user, its_id, {"k": "v"})

    assert CLIENT == await kept(storage, mine)


@pytest.mark.gen_test
async def test_text_that_is_no_utf8_changes_nothing(storage: Storage) -> None:
    answer = await begun(storage, client=CLIENT)

    with pytest.raises(ValueError, match="surrogates"):
        await storage.change_client_metadata("alice", answer.id, {"k": "\ud800"})
    bad = ClientData(protocol="p", request={"k": "\ud800"})
    with pytest.raises(ValueError, match="surrogates"):
        await begun(storage, client=bad)

    assert CLIENT == await kept(storage, answer)


# Other versions


@pytest.mark.gen_test
async def test_client_data_that_cannot_be_read_are_left_out_alone(
    storage: Storage, raw: Raw
) -> None:
    answer = await begun(storage, client=CLIENT)
    await storage.end_answer(answer.id, storage.process, ending(TextBlock("x")))

    for strange in ("not data", [1], {"protocol": 7}, {"protocol": "p", "metadata": [{"k": 1}]}):
        raw.change("messages", answer.id, client=strange)
        found = await storage.message("alice", answer.id)
        assert (None, "x") == (found.client, found.text)


@pytest.mark.gen_test
async def test_a_store_of_the_first_stage_works_and_has_a_place_once_it_is_migrated(
    first: Place,
) -> None:
    storage = await first.open()
    answer = await begun(storage, client=CLIENT)
    await storage.end_answer(answer.id, storage.process, ending(TextBlock("x")))
    found = await storage.message("alice", answer.id)
    if first.url.startswith("sqlite"):
        assert found.client is None
        with pytest.raises(Outdated):
            await storage.change_client_metadata("alice", answer.id, {})
    else:
        assert CLIENT == found.client
    await storage.close()

    await migrate(first.url)

    storage = await first.open()
    assert CLIENT == await kept(storage, await begun(storage, client=CLIENT))
