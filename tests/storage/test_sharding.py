"""Whatever a request has done in MongoDB names the shard that it is done on.

Seen in the commands that are sent, so that no query is left out.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from pymongo.database import Database

from model.messages import ClientData, Message, now
from storage.contract import Storage
from storage.errors import Busy, KeyTaken
from storage.mongo.schema import INDEXES, VALIDATORS
from storage.values import Changes, ClientAnswers, Deletion, Page
from tests.storage.conftest import Commands, Place
from tests.storage.samples import (
    api_key,
    ask,
    begun,
    beside,
    conversation,
    count,
    delivery,
    ending,
    exchange,
    key,
    stored_file,
    text_chunks,
    with_files,
)

SHARD_KEYS = {
    "conversations": "user",
    "messages": "conversation",
    "chunks": "conversation",
    "files": "conversation",
    "idempotency_keys": "_id",
    "api_keys": "_id",
    "counts": "_id",
    "deletions": "_id",
    "webhook_deliveries": "_id",
}

# Processes are few, and their collection stays whole.
WHOLE = {"processes"}

# What a process asks for itself, of all its users at once.
EXEMPT = {
    "share_counts": "what many users asked and spent, once a second for all of them",
    "answer_updates": "what it follows is of many conversations, and one poll serves them all",
    "append_chunks": "whether any of the conversations that it writes to is deleted",
    "next_deletion": "a sweep for whichever is due first",
    "purge_unasked_files": "a sweep for those that are old",
    "own_live_answers": "its own, whosever they are",
    "orphans": "a sweep over all live answers there are",
    "api_keys": "those of all its users, in one look",
    "list_api_keys": "an operator's list",
    "claim_deliveries": "those of one webhook, whosever answers they are about",
    "waiting_deliveries": "the same",
    "drop_deliveries": "a sweep for those that are to no webhook any more",
    "live_answers": "a user's answers of all conversations, of which each shard has some",
    "answers_of_protocol": "as live_answers",
    "live_answer_ids": "conversations of one page, in one look",
}

# Said once, to a server and not to a collection.
AT_THE_ENDS = {"open", "close", "ping", "report", "migrate"}

Operation = tuple[str, Callable[[], Awaitable[object]]]


def operations(storage: Storage) -> list[Operation]:
    """Every operation, as it is done for requests and each tick."""
    new = conversation()
    user, of = new.user, new.id
    question, answer = exchange(new, owner=storage.process)
    kept = key(answer)
    untitled, keyed = conversation(), conversation()
    keyed_question, keyed_answer = exchange(keyed, owner=storage.process)
    pictured, chatted = conversation(), conversation()
    chat = exchange(chatted, owner=storage.process, client=ClientData(protocol="p"))
    file = stored_file(pictured)
    end = ending()
    again = beside(answer, owner=storage.process)

    its_delivery = delivery(keyed_answer, "h")

    async def end_with_delivery() -> None:
        assert await storage.end_answer(keyed_answer.id, storage.process, end, [its_delivery])

    async def ask_first() -> None:
        await storage.ask(question, answer, title="t", new=new, key=kept)

    async def ask_with(**how: Any) -> None:
        held = key(keyed_answer)
        await storage.ask(keyed_question, keyed_answer, title="t", new=keyed, key=held, **how)

    async def ask_with_file() -> None:
        with_image, its_answer = exchange(pictured, owner=storage.process)
        await storage.ask(with_files(with_image, file), its_answer, title="t", new=pictured)

    async def ask_when_taken() -> None:
        with suppress(KeyTaken):
            await ask_with()

    async def ask_when_busy() -> None:
        with suppress(Busy):
            await ask(storage, new)

    return [
        ("create_conversation", lambda: storage.create_conversation(untitled)),
        ("ask", ask_first),
        ("ask", ask_first),  # again, which looks whether it was asked before
        ("ask", ask_when_taken),
        ("ask", lambda: ask_with(replaces=answer.id)),
        ("ask", lambda: ask(storage, untitled)),
        ("ask", lambda: begun(storage)),
        ("ask", ask_when_busy),
        ("store_file", lambda: storage.store_file(file)),
        ("ask", ask_with_file),
        ("file", lambda: storage.file(user, file.id)),
        ("discard_files", lambda: storage.discard_files(user, [file.id])),
        ("store_file", lambda: storage.store_file(stored_file(pictured))),
        ("purge_unasked_files", lambda: storage.purge_unasked_files(now())),
        ("purge", lambda: storage.purge(Deletion(pictured.id, user))),  # messages
        ("purge", lambda: storage.purge(Deletion(pictured.id, user))),  # files
        ("idempotency_key", lambda: storage.idempotency_key(user, kept.id)),
        ("conversation", lambda: storage.conversation(user, of)),
        ("conversations", lambda: storage.conversations(user, limit=1, after=None)),
        ("change_conversation", lambda: change(storage, user, of)),
        ("stored_bytes", lambda: storage.stored_bytes(user)),
        ("append_chunks", lambda: storage.append_chunks(text_chunks(answer.id, "a", "b")[1:])),
        ("message", lambda: storage.message(user, answer.id)),  # with a gap, so it is read again
        ("answer_status", lambda: storage.answer_status(user, answer.id)),
        ("messages", lambda: storage.messages(user, of, limit=1, before=None)),
        ("live_answer", lambda: storage.live_answer(user, of)),
        ("live_answers", lambda: storage.live_answers(user, limit=1)),
        ("live_answer_ids", lambda: storage.live_answer_ids(user, [of])),
        ("ask", lambda: storage.ask(*chat, title="t", new=chatted)),
        ("answers_of_protocol", lambda: list_answers(storage, user)),
        (
            "change_client_metadata",
            lambda: storage.change_client_metadata(user, chat[1].id, {"k": "v"}),
        ),
        ("end_answer", lambda: storage.end_answer(answer.id, storage.process, end)),
        ("end_answer", lambda: storage.end_answer(answer.id, storage.process, end)),
        ("end_answer", end_with_delivery),
        ("claim_deliveries", lambda: storage.claim_deliveries("h", limit=1, seconds=1)),
        ("retry_delivery", lambda: storage.retry_delivery(its_delivery, seconds=1)),
        ("finish_delivery", lambda: storage.finish_delivery(its_delivery)),
        ("waiting_deliveries", lambda: storage.waiting_deliveries("h")),
        ("drop_deliveries", lambda: storage.drop_deliveries(["h"], now())),
        ("live_answer", lambda: storage.live_answer(user, of)),
        ("ask", lambda: storage.ask(None, again, title="t", new=None)),
        ("branch", lambda: storage.branch(user, of, limit=1, last=None)),
        ("branch", lambda: storage.branch(user, of, limit=2, last=None)),  # past the first answer
        ("branch", lambda: storage.branch(user, of, limit=1, last=question.id)),
        ("delete_conversation", lambda: storage.delete_conversation(user, of)),
        ("next_deletion", storage.next_deletion),
        ("purge", lambda: storage.purge(Deletion(of, user))),  # messages
        ("purge", lambda: storage.purge(Deletion(of, user))),  # chunks
        ("purge", lambda: storage.purge(Deletion(of, user, again=True))),
        ("create_api_key", lambda: storage.create_api_key(api_key("k"))),
        ("create_api_key", lambda: storage.create_api_key(api_key("k"))),
        ("api_keys", lambda: storage.api_keys(["k", "l"])),
        ("list_api_keys", lambda: storage.list_api_keys(user, limit=1, after=None)),
        ("revoke_api_key", lambda: storage.revoke_api_key("k", now())),
        ("renew_lease", lambda: storage.renew_lease({})),
        ("unreadable", lambda: storage.unreadable({"image"})),
        ("peer_requests", storage.peer_requests),
        ("answer_updates", lambda: storage.answer_updates({keyed_answer.id: 0})),
        ("share_counts", lambda: storage.share_counts([count(user)])),
        ("own_live_answers", storage.own_live_answers),
        ("orphans", storage.orphans),
    ]


async def list_answers(storage: Storage, user: str) -> Page[Message]:
    return await storage.answers_of_protocol(user, ClientAnswers(protocol="p"), limit=1)


async def change(storage: Storage, user: str, of: str) -> None:
    await storage.change_conversation(user, of, Changes(title="t"), now())


def named(command: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """By what a command names documents: its filters, or the documents that it brings."""
    match next(iter(command)):
        case "find":
            return [command["filter"]]
        case "distinct" | "findAndModify":
            return [command["query"]]
        case "aggregate":
            return [command["pipeline"][0]["$match"]]
        case "insert":
            return list(command["documents"])
        case "update":
            return [update["q"] for update in command["updates"]]
        case "delete":
            return [deletion["q"] for deletion in command["deletes"]]
        case other:
            raise AssertionError(f"{other} is new: by what does it name documents?")


def astray(commands: Commands) -> list[Mapping[str, Any]]:
    """The commands that more shards than one would have to look at."""
    return [
        command
        for command in commands.sent
        if (shard_key := SHARD_KEYS.get(str(command[next(iter(command))])))
        and not all(isinstance(each.get(shard_key), str) for each in named(command))
    ]


@pytest.mark.slow
@pytest.mark.gen_test
async def test_each_command_of_a_request_goes_to_one_shard(
    mongo: Place, commands: Commands, database: Database[dict[str, Any]]
) -> None:
    storage = await mongo.open()
    past = datetime(2000, 1, 1, tzinfo=UTC)  # or it would not sweep: it has only just come
    database["processes"].update_one({}, {"$set": {"since": past}})
    done, strays = set(), {}
    for name, operation in operations(storage):
        commands.sent.clear()
        await operation()
        assert commands.sent, name
        done.add(name)
        if found := astray(commands):
            strays[name] = found
    assert strays.keys() == EXEMPT.keys()
    assert done | AT_THE_ENDS == Storage.__abstractmethods__


def test_every_collection_has_a_shard_key_or_stays_whole() -> None:
    assert set(VALIDATORS) == set(INDEXES) == set(SHARD_KEYS) | WHOLE


def test_unique_indexes_begin_with_the_shard_key() -> None:
    for name, shard_key in SHARD_KEYS.items():
        for index in INDEXES[name]:
            assert not index.get("unique") or next(iter(index["key"])) == shard_key, index["name"]
