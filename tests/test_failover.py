"""The database goes away while answers stream: an election, a freeze, ten crashes."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import framing
from tests.launching import HEARTBEAT_SECONDS, LEASE_SECONDS, Fleet, Launched, Launcher
from tests.mongod import Mongod, ReplicaSet, Stored, replica_set
from tests.readers import Reader, Response, call
from tests.steps import JSON, new_conversation
from tests.upstreams import Request, ScriptedUpstream

pytestmark = pytest.mark.slow

# Longer than a restart takes, or an election: with the old primary frozen the others were seen to
# follow it for 18 s before they acknowledged anything.
LONG_LEASE = 60

KILLS = 10
# Every so often it stays away until somebody's question was refused; else they wait and are kept.
LONG_OUTAGE_EVERY = 5

Asked = asyncio.Task[Response]


@pytest.fixture
def three(tmp_path: Path) -> Iterator[ReplicaSet]:
    """Three nodes, each of which can be elected."""
    with replica_set(tmp_path, 3) as started:
        yield started


@pytest.fixture
def single(tmp_path: Path) -> Iterator[ReplicaSet]:
    with replica_set(tmp_path) as started:
        yield started


@pytest.fixture
def database(request: pytest.FixtureRequest) -> str:
    """Where the servers of this test keep their conversations, in whichever set it has."""
    name = "three" if "three" in request.fixturenames else "single"
    replicas: ReplicaSet = request.getfixturevalue(name)
    return replicas.url("headrace")


@pytest.fixture
def fleet(launcher: Launcher, database: str, upstream: ScriptedUpstream) -> Fleet:
    return Fleet(launcher, database, upstream)


@pytest.fixture
def stored(database: str) -> Iterator[Stored]:
    with Stored.at(database) as looking:
        yield looking


# One question, asked until it is answered


def asking(server: Launched, question: str, key: str, path: str = "/api/v1/chat") -> Asked:
    headers = {"Idempotency-Key": key, **JSON}
    return asyncio.create_task(
        call(server.url, "POST", path, {"content": question}, headers=headers)
    )


async def answered(
    server: Launched,
    question: str,
    key: str,
    path: str = "/api/v1/chat",
    refused: asyncio.Event | None = None,
) -> dict[str, Any]:
    """The answer, however often it takes to ask; `refused` is set if that is more than once."""
    while (response := await asking(server, question, key, path)).status != 200:
        assert is_refused_for_now(response), response
        if refused is not None:
            refused.set()
    answer: dict[str, Any] = response.body
    return answer


def is_refused_for_now(response: Response) -> bool:
    code = response.body["error"]["code"]
    return (503, "storage_unavailable") == (response.status, code) and (
        "retry-after" in response.headers
    )


def echo(upstream: ScriptedUpstream) -> None:
    """Have every question answered by its own words."""

    def act(request: Request) -> None:
        words = request.json["messages"][-1]["content"]
        request.send(framing.piece(request.dialect, request.next_piece(), words))

    upstream.add(act)
    upstream.finish()


# The primary is lost


@pytest.mark.gen_test(timeout=90)
async def test_a_primary_is_killed_tokens_flow_on_and_all_is_stored_after_the_election(
    fleet: Fleet, three: ReplicaSet, upstream: ScriptedUpstream, stored: Stored
) -> None:
    server = await fleet.serve(lease_seconds=LONG_LEASE)
    upstream.tokens("before")
    reader = await Reader.ask(server.url, "kept?")
    await reader.text("before")
    primary = await asyncio.to_thread(three.primary)
    primary.kill()
    await goes_on_without(primary, server, reader, upstream, stored)


@pytest.mark.gen_test(timeout=120)
async def test_a_primary_freezes_and_when_it_wakes_up_it_has_lost_nothing(
    fleet: Fleet, three: ReplicaSet, upstream: ScriptedUpstream, stored: Stored
) -> None:
    server = await fleet.serve(lease_seconds=LONG_LEASE)
    upstream.tokens("before")
    reader = await Reader.ask(server.url, "kept?")
    await reader.text("before")
    primary = await asyncio.to_thread(three.primary)
    primary.freeze()
    await goes_on_without(primary, server, reader, upstream, stored)

    primary.thaw()
    await asyncio.to_thread(three.level)
    assert primary is not await asyncio.to_thread(three.primary)
    assert "before, without" == text_of(await answered(server, "and now?", "now"))
    await asyncio.to_thread(three.level)
    with Stored.at(f"mongodb://{primary.address}/headrace?directConnection=true") as woken:
        assert [stored.message(each) for each in ids(reader)] == [
            woken.message(each) for each in ids(reader)
        ]
        assert stored.count("messages") == woken.count("messages")


async def goes_on_without(
    primary: Mongod,
    server: Launched,
    reader: Reader,
    upstream: ScriptedUpstream,
    stored: Stored,
) -> None:
    upstream.tokens(", without")
    await reader.text("before, without")
    meanwhile = asking(server, "meanwhile", "m")
    upstream.finish()

    assert "complete" == (await reader.end())["status"]
    question, answer = (stored.message(each) for each in ids(reader))
    assert [{"type": "text", "text": "kept?"}] == question["blocks"]
    assert ("complete", reader.so_far) == (answer["status"], text_of(answer))
    response = await meanwhile
    assert response.status == 200 or is_refused_for_now(response)  # 200: the election was quicker
    assert "before, without" == text_of(await answered(server, "meanwhile", "m"))
    assert "before, without" == text_of(await answered(server, "afterwards", "a"))


def text_of(message: dict[str, Any]) -> str:
    return "".join(block["text"] for block in message["blocks"])


def ids(reader: Reader) -> list[str]:
    """Of the question and its answer."""
    start = reader.seen[0].data
    return [start["question_id"], start["answer_id"]]


# The only server crashes, again and again


class Client:
    """Asks one question after the other in one conversation, each until it is answered."""

    def __init__(self, name: str, server: Launched, path: str) -> None:
        self.path = f"{path}/messages"
        self.told: dict[str, dict[str, Any]] = {}  # answers, by question
        self._name = name
        self._server = server
        self.enough = False

    async def run(self, progress: asyncio.Semaphore, refused: asyncio.Event) -> None:
        while not self.enough:
            question = f"{self._name}{len(self.told)}"
            self.told[question] = await answered(
                self._server, question, question, self.path, refused
            )
            progress.release()


@pytest.mark.gen_test(timeout=240)
async def test_ten_crashes_of_the_database_lose_nothing_that_was_acknowledged(
    fleet: Fleet, single: ReplicaSet, upstream: ScriptedUpstream, stored: Stored
) -> None:
    server = await fleet.serve(lease_seconds=LONG_LEASE)
    echo(upstream)
    clients = [Client(name, server, await new_conversation(server)) for name in "abcd"]
    progress, refused = asyncio.Semaphore(0), asyncio.Event()
    async with asyncio.TaskGroup() as running:
        for client in clients:
            running.create_task(client.run(progress, refused))
        for kill in range(KILLS):
            for _ in range(2 * len(clients)):
                await progress.acquire()
            single.nodes[0].kill()
            if kill % LONG_OUTAGE_EVERY == LONG_OUTAGE_EVERY - 1:
                refused.clear()
                await refused.wait()
            single.nodes[0].start()
        for client in clients:
            client.enough = True

    told = sum(len(client.told) for client in clients)
    assert told == sum(request.answered for request in upstream.requests)
    assert 0 == stored.count("messages", status="live")
    for client in clients:
        assert client.told == await kept(server, client.path)
        await answered(server, "not busy", client.path, client.path)


async def kept(server: Launched, path: str) -> dict[str, dict[str, Any]]:
    """The conversation's whole answers, by question; no question stands there twice.

    A try that failed while the database was away stays beside the one that answered its question,
    so that a question and its answers may lie on different pages.
    """
    messages: list[dict[str, Any]] = []
    before = ""
    while True:
        page = (await call(server.url, "GET", f"{path}?limit=50{before}")).body
        messages = page["data"] + messages
        if page["next"] is None:
            break
        before = f"&before={page['next']}"
    questions = {each["id"]: text_of(each) for each in messages if each["role"] == "user"}
    assert len(questions) == len(set(questions.values()))
    answers: dict[str, dict[str, Any]] = {}
    for answer in messages:
        if answer["role"] == "assistant" and answer["status"] == "complete":
            question = questions[answer["parent_id"]]
            assert question == text_of(answer)
            assert question not in answers
            answers[question] = answer
    return answers


# An outage longer than a lease


@pytest.mark.gen_test(timeout=60)
async def test_an_outage_longer_than_a_lease_ends_nobodys_answer(
    fleet: Fleet, single: ReplicaSet, upstream: ScriptedUpstream, stored: Stored
) -> None:
    owner, other = await fleet.two()
    upstream.tokens("before")
    reader = await Reader.ask(owner.url)
    await reader.start()
    back = await Reader.come_back(other.url, reader.answer_id)
    await back.text("before")
    await reader.text("before")
    single.nodes[0].freeze()
    await beats(reader, back, leases=2)
    upstream.tokens(", during")
    await reader.text("before, during")
    single.nodes[0].thaw()
    await back.text("before, during")
    await beats(reader, back, leases=2)  # for as long as sweepers have to wait, and longer

    upstream.tokens(", after")
    upstream.finish()
    assert await reader.end() == await back.end()
    assert "complete" == reader.seen[-1].data["status"]
    assert "before, during, after" == reader.so_far == back.so_far
    assert "its process died" not in fleet.log(owner) + fleet.log(other)


async def beats(*readers: Reader, leases: int) -> None:
    """Read signs of life for so long, and nothing else."""
    for reader in readers:
        until = reader.beats + leases * LEASE_SECONDS / HEARTBEAT_SECONDS
        assert await reader.next(until_beats=until) is None
        assert until == reader.beats
