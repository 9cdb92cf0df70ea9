"""Conversations as trees: siblings are kept, and the branch of each message is found."""

import asyncio
from random import Random

import pytest
from msgspec.structs import replace

from model.blocks import TextBlock
from model.growth import Chunk, Piece
from model.messages import Conversation, Message, Status
from relay.ask_request import AskRequest
from relay.context import history
from storage.contract import Storage
from storage.errors import Busy, NotFound
from storage.mongo import messages as mongo_messages
from storage.values import Page
from tests.relay.relays import LIMITS
from tests.storage.conftest import Commands, Place
from tests.storage.samples import ask, begun, beside, conversation, ending, key


async def said(storage: Storage, of: Conversation, parent_id: str | None) -> Message:
    """Have a question asked that goes on from `parent_id`, and answered; returns the answer."""
    answer = await ask(storage, of, parent_id=parent_id)
    await storage.end_answer(answer.id, storage.process, ending())
    return answer


async def said_again(storage: Storage, answer: Message) -> Message:
    """Have one more answer given beside `answer`."""
    again = beside(answer, owner=storage.process)
    await storage.ask(None, again, title="t", new=None)
    await storage.end_answer(again.id, storage.process, ending())
    return again


async def kept(storage: Storage) -> Conversation:
    """A conversation without messages."""
    of = conversation()
    await storage.create_conversation(of)
    return of


def ids(page: Page[Message]) -> list[str]:
    return [message.id for message in page.data]


# Asking


@pytest.mark.gen_test
async def test_one_more_answer_is_kept_behind_all_others_and_replaces_none(
    storage: Storage,
) -> None:
    of = await kept(storage)
    first = await said(storage, of, None)
    second = await said(storage, of, first.id)
    end = await storage.message("alice", first.id)

    again = beside(first, owner=storage.process)
    await storage.ask(None, again, title="t", new=None)

    page = await storage.messages("alice", of.id, limit=9, before=None)
    question = first.parent_id
    assert ids(page) == [question, first.id, second.parent_id, second.id, again.id]
    parents = [None, question, first.id, second.parent_id, question]
    assert [message.parent_id for message in page.data] == parents
    assert [0, 1, 2, 3, 4] == [message.ordinal for message in page.data]
    assert page.data[1] == end
    assert page.data[-1].status is Status.LIVE
    assert await storage.live_answer("alice", of.id) == again.id
    assert (await storage.conversation("alice", of.id)).updated_at == again.created_at


@pytest.mark.gen_test
async def test_one_more_answer_is_busy_while_another_is_live(storage: Storage) -> None:
    live = await begun(storage)
    again = beside(live, owner=storage.process)
    with pytest.raises(Busy) as refused:
        await storage.ask(None, again, title="t", new=None)
    assert refused.value.answer_id == live.id
    with pytest.raises(NotFound):
        await storage.message("alice", again.id)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_fifty_retries_of_one_more_answer_keep_it_once(storage: Storage) -> None:
    of = await kept(storage)
    first = await said(storage, of, None)
    again = beside(first, owner=storage.process)

    async def retry() -> None:
        await storage.ask(None, again, title="t", new=None, key=key(again))

    await asyncio.gather(*(retry() for _ in range(50)))
    await storage.end_answer(again.id, storage.process, ending(TextBlock("yes")))
    await retry()

    page = await storage.messages("alice", of.id, limit=9, before=None)
    assert ids(page) == [first.parent_id, first.id, again.id]
    assert page.data[-1].status is Status.COMPLETE
    found = await storage.idempotency_key("alice", key(again).id)
    assert found is not None
    assert found.answer_id == again.id


@pytest.mark.gen_test
async def test_of_fifty_racing_answers_to_one_question_one_is_kept(storage: Storage) -> None:
    of = await kept(storage)
    first = await said(storage, of, None)
    racing = [beside(first, owner=storage.process) for _ in range(50)]
    outcomes = await asyncio.gather(
        *(storage.ask(None, each, title="t", new=None) for each in racing), return_exceptions=True
    )
    assert 49 == sum(isinstance(each, Busy) for each in outcomes)
    page = await storage.messages("alice", of.id, limit=9, before=None)
    assert ids(page) == [first.parent_id, first.id, racing[outcomes.index(None)].id]


@pytest.mark.gen_test
async def test_a_deleted_conversation_takes_no_more_answers_and_leaves_no_branch(
    storage: Storage,
) -> None:
    of = await kept(storage)
    first = await said(storage, of, None)
    again = await said_again(storage, first)
    await storage.delete_conversation("alice", of.id)
    with pytest.raises(NotFound):
        await said_again(storage, first)
    for last in (None, again.id):
        with pytest.raises(NotFound):
            await storage.branch("alice", of.id, limit=9, last=last)
    for message_id in (first.id, again.id):
        with pytest.raises(NotFound):
            await storage.message("alice", message_id)


# Branches


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "links"), [(0, 1000), (1, 1000), (2, 1000), (3, 4)])
@pytest.mark.gen_test
async def test_the_branch_of_every_message_is_followed_to_its_beginning(
    storage: Storage, seed: int, links: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mongo_messages, "_MAX_LINKS", links)
    chance = Random(seed)
    of = await kept(storage)
    answers: list[Message] = []
    for _ in range(25):
        # Mostly on from the newest; else from anywhere, from nothing, or the same asked again.
        if answers and chance.random() < 0.3:
            answers.append(await said_again(storage, chance.choice(answers)))
            continue
        parents = [None, *(answer.id for answer in answers)]
        parent = parents[-1] if chance.random() < 0.6 else chance.choice(parents)
        answers.append(await said(storage, of, parent))
    page = await storage.messages("alice", of.id, limit=99, before=None)
    messages = {message.id: message for message in page.data}

    for message in page.data:
        expected = [message]
        while (parent_id := expected[0].parent_id) is not None:
            expected.insert(0, messages[parent_id])
        for limit in (1, 2, 3, 99):
            found: list[Message] = []
            last: str | None = message.id
            while last is not None:
                part = await storage.branch("alice", of.id, limit=limit, last=last)
                assert 1 <= len(part.data) <= limit
                found[:0] = part.data
                last = part.next
            assert found == expected
    newest = await storage.branch("alice", of.id, limit=99, last=None)
    assert newest == await storage.branch("alice", of.id, limit=99, last=answers[-1].id)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_page_of_a_branch_is_full_whatever_lies_in_between(storage: Storage) -> None:
    of = await kept(storage)
    first = await said(storage, of, None)
    for _ in range(5):
        await said_again(storage, first)
    last = await said(storage, of, first.id)
    page = await storage.branch("alice", of.id, limit=3, last=None)
    assert ids(page) == [first.id, last.parent_id, last.id]
    assert page.next == first.parent_id


@pytest.mark.gen_test
async def test_a_live_answer_comes_at_the_end_of_its_branch_as_it_was_checkpointed(
    storage: Storage,
) -> None:
    live = await begun(storage)
    await storage.append_chunks([Chunk(live.id, 0, (Piece(0, "text", "so far"),))])
    page = await storage.branch("alice", live.conversation_id, limit=1, last=None)
    assert page.data == (await storage.message("alice", live.id),)
    assert page.data[0].blocks == (TextBlock("so far"),)


@pytest.mark.gen_test
async def test_a_conversation_without_messages_has_an_empty_branch(storage: Storage) -> None:
    of = await kept(storage)
    assert await storage.branch("alice", of.id, limit=1, last=None) == Page((), None)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_branch_is_of_its_user_and_its_conversation_alone(storage: Storage) -> None:
    answer = await begun(storage)
    other = await begun(storage)
    theirs = await begun(storage, "bob")
    of = answer.conversation_id
    for user, conversation_id, last in (
        ("bob", of, None),
        ("bob", of, answer.id),
        ("bob", theirs.conversation_id, answer.id),
        ("alice", of, other.id),
        ("alice", of, theirs.id),
        ("alice", "no such conversation", None),
        ("alice", "no such conversation", answer.id),
        ("alice", of, f"{of}-"),
        ("alice", of, "\0"),
        ("alice", of, ""),
    ):
        with pytest.raises(NotFound):
            await storage.branch(user, conversation_id, limit=9, last=last)


# What MongoDB is asked for a page of one


async def interleaved(storage: Storage, exchanges: int) -> list[list[Message]]:
    """The answers of two branches that grew in turn."""
    of = await kept(storage)
    branches: list[list[Message]] = [[], []]
    for _ in range(exchanges):
        for branch in branches:
            branch.append(await said(storage, of, branch[-1].id if branch else None))
    return branches


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_branch_that_others_are_interleaved_with_is_read_in_a_handful_of_commands(
    mongo: Place, commands: Commands
) -> None:
    storage = await mongo.open()
    branches = await interleaved(storage, 30)

    for branch in branches:
        commands.sent.clear()
        of = branch[-1].conversation_id
        page = await storage.branch("alice", of, limit=50, last=branch[-1].id)

        expected = [each for answer in branch for each in (answer.parent_id, answer.id)]
        assert expected[-50:] == ids(page)
        assert expected[-51] == page.next
        assert 6 >= len(commands.sent)  # with the place of the one that is named


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_branch_that_nothing_lies_between_is_read_in_one_command_and_a_look(
    mongo: Place, commands: Commands
) -> None:
    storage = await mongo.open()
    of = await kept(storage)
    last = None
    for _ in range(10):
        last = (await said(storage, of, last)).id
    commands.sent.clear()

    page = await storage.branch("alice", of.id, limit=20, last=None)

    assert 20 == len(page.data)
    assert ["find", "find"] == [next(iter(command)) for command in commands.sent]


@pytest.mark.slow
@pytest.mark.gen_test
async def test_what_lies_between_is_read_without_its_texts(
    mongo: Place, commands: Commands
) -> None:
    storage = await mongo.open()
    first = (await interleaved(storage, 5))[0]
    commands.sent.clear()
    await storage.branch("alice", first[-1].conversation_id, limit=9, last=None)
    links = [each for each in commands.sent if each.get("limit") == mongo_messages._MAX_LINKS]
    assert [{"ordinal": 1, "parent_id": 1}] == [each["projection"] for each in links]


@pytest.mark.slow
@pytest.mark.gen_test
async def test_very_many_messages_in_between_are_passed_over_by_a_look_up(
    mongo: Place, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = await mongo.open()
    monkeypatch.setattr(mongo_messages, "_MAX_LINKS", 10)
    of = await kept(storage)
    first = await said(storage, of, None)
    other = None
    for _ in range(30):
        other = (await said(storage, of, other)).id
    last = await said(storage, of, first.id)
    commands.sent.clear()

    page = await storage.branch("alice", of.id, limit=4, last=None)

    assert [first.parent_id, first.id, last.parent_id, last.id] == ids(page)
    assert 7 >= len(commands.sent)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_question_costs_a_handful_of_reads_whatever_lies_between_its_history(
    mongo: Place, commands: Commands
) -> None:
    storage = await mongo.open()
    branches = await interleaved(storage, 30)
    answer = branches[0][-1]
    commands.sent.clear()

    found = await history(
        storage,
        AskRequest(user="alice", content="q", parent_id=answer.id),
        answer.conversation_id,
        model="p/m",
        kinds=lambda _: frozenset(),
        question_chars=1,
        limits=replace(LIMITS, context_chars=60_000, context_messages=50),
    )

    assert 50 // 2 == len(found.turns)  # the answers are without a word
    assert 10 >= len(commands.sent)
