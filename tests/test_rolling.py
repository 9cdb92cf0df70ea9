"""A rolling restart: processes of the first stage and of this one share a database.

The first stage's code comes out of git, as it landed, and runs as processes of its own. One of them
starts first, so that the store is as that stage makes it.
"""

import asyncio
import json
import shutil
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import pytest

from auth.principal import LOCAL_USER
from handlers.errors import describe
from model.blocks import ImageBlock, ToolResultBlock
from relay.answer import Answer
from relay.ask_request import AskRequest
from relay.errors import Upgrading
from server import Server
from tests import framing, seeing
from tests.launching import CHECKPOINT_SECONDS, LEASE_SECONDS, Fleet, Launched, Launcher
from tests.mongod import Stored
from tests.readers import Reader, call
from tests.seeing import DATA, THOUGHT, Seeing
from tests.serving import Serving
from tests.steps import JSON, messages_of
from tests.test_processes import (
    asked_again,
    conversation,
    last_message,
    next_question_is_answered,
    read_elsewhere,
)
from tests.upstreams import ScriptedUpstream

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent

FIRST_STAGE = "7b1c2e59753d6dde7344cbcb8f7ea3eabb495014"

# The finish mark, with parts of usage that the first stage does not know.
FINISH = {
    "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
    "usage": {
        "prompt_tokens": 7,
        "completion_tokens": 11,
        "prompt_tokens_details": {"cached_tokens": 5},
        "completion_tokens_details": {"reasoning_tokens": 3},
    },
}

# Kinds that the first stage does not know: asked with, and as they are shown.
PARTS = (ImageBlock(url="https://example.org/cat.png"), ToolResultBlock("c1", "42"))
QUESTION_SHOWN = [
    {"type": "text", "text": "What is this?"},
    {"type": "image", "url": "https://example.org/cat.png"},
    {"type": "tool_result", "id": "c1", "text": "42"},
]
DATA_SHOWN = {"dialect": DATA.dialect, "model": DATA.model, "value": DATA.value}
THOUGHT_SHOWN = {"type": "reasoning", "text": THOUGHT, "data": DATA_SHOWN}

# All a question may say of its answer.
OPTIONS: dict[str, Any] = {
    "model": "openai/gpt-4o",
    "system": "Be brief.",
    "on_disconnect": {"grace": 30},
    "temperature": 0.5,
    "top_p": 0.9,
    "max_tokens": 100,
    "stop": ["\n"],
}

# AskRequest leaves something in one of these.
CONTENTS = ("conversations", "messages", "chunks", "idempotency_keys")

# A server in the test's own process is set as those of a fleet are.
TABLES = {
    "relay": {"checkpoint_seconds": CHECKPOINT_SECONDS, "lease_seconds": LEASE_SECONDS},
    "limits": {"questions_per_minute": 0},
}

# Of a process that gives it back: however slow the machine is, it lives until then.
LONG_LEASE = 60

each_way = pytest.mark.parametrize("owner_is", ["first stage", "second stage"])


@pytest.fixture(scope="session")
def first_stage(
    needs: Callable[[str], str],
    leave_out: Callable[[str, str], NoReturn],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The first stage's server.py, in a folder with the rest of its commit."""
    folder = tmp_path_factory.mktemp("first_stage")
    archive = folder / "checkout.zip"
    command = [needs("git"), "-C", str(ROOT), "archive", "--output", str(archive), FIRST_STAGE]
    archived = subprocess.run(command, capture_output=True, text=True, check=False)
    if archived.returncode:
        complaint = archived.stderr.strip()
        leave_out(f"needs commit {FIRST_STAGE} in git", f"clone all of it; git says: {complaint}")
    shutil.unpack_archive(archive, folder)
    return folder / "server.py"


class Stages(Fleet):
    """Servers of both stages on one database."""

    first_stage: Path

    async def old(self, **relay: float) -> Launched:
        """One more of the first stage."""
        return await self.serve(program=self.first_stage, **relay)

    async def new(self) -> Launched:
        """One more of this stage."""
        return await self.serve()

    async def seeing(self) -> Launched:
        """One more of this stage, which takes and gives what the first does not know."""
        return await self.serve(program=Path(seeing.__file__))

    async def both(self, owner_is: str) -> tuple[Launched, Launched]:
        """One of each: the owner, and the other."""
        old, new = await self.old(), await self.new()
        return (old, new) if owner_is == "first stage" else (new, old)

    async def like_owner(self, owner_is: str) -> Launched:
        """One more of the owner's stage."""
        return await (self.old() if owner_is == "first stage" else self.new())


@pytest.fixture
def stages(
    launcher: Launcher, mongo_url: str, upstream: ScriptedUpstream, first_stage: Path
) -> Stages:
    stages = Stages(launcher, mongo_url, upstream)
    stages.first_stage = first_stage
    return stages


@pytest.fixture
def stored(mongo_url: str) -> Iterator[Stored]:
    with Stored.at(mongo_url) as looking:
        yield looking


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch) -> list[Seeing]:
    """The providers of servers in the test's own process, which see."""
    built: list[Seeing] = []

    def build(*arguments: Any, **named: Any) -> Seeing:
        built.append(seeing.build_provider(*arguments, **named))
        return built[-1]

    monkeypatch.setattr("server.build_provider", build)
    return built


@pytest.fixture
def start_here(
    stages: Stages,  # whose database outlives this server
    serve: Serving,
    sources: list[Seeing],
    mongo_url: str,
    providers: dict[str, dict[str, Any]],
) -> Callable[[], Awaitable[Server]]:
    """Starts a server of this stage in the test's own process, which can ask with images."""
    return lambda: serve.start(providers=providers, storage={"url": mongo_url}, **TABLES)


def blocks_read(reader: Reader) -> list[tuple[str, str]]:
    """What came as deltas, in one piece for each block, however it was cut."""
    blocks: list[tuple[str, str]] = []
    for seen in reader.seen:
        if seen.event != "delta":
            continue
        ((kind, grown),) = seen.data.items()
        text = grown["arguments"] if kind == "tool_call" else grown
        if blocks and blocks[-1][0] == kind:
            text = blocks.pop()[1] + text
        blocks.append((kind, text))
    return blocks


def contents(stored: Stored) -> dict[str, list[Any]]:
    """All that is kept of conversations."""
    return {name: list(stored.database[name].find().sort("_id", 1)) for name in CONTENTS}


def turns(request: Any) -> list[tuple[str, str]]:
    """What the upstream was asked, role by role."""
    return [(turn["role"], turn["content"]) for turn in request.json["messages"]]


async def once_taken(server: Server, request: AskRequest) -> Answer:
    """Ask until it is not refused any more."""
    async with asyncio.timeout(20):
        while True:
            with suppress(Upgrading):
                return (await server.relay.ask(request)).answer


async def asked_whole(server: Server, request: AskRequest) -> Answer:
    """The answer, once it has ended."""
    answer = await once_taken(server, request)
    with server.relay.reader(answer) as reader:
        await reader.ended()
    return answer


# Beside each other


@each_way
@pytest.mark.gen_test
async def test_an_answer_is_followed_and_stopped_at_a_process_of_the_other_stage(
    stages: Stages, upstream: ScriptedUpstream, owner_is: str
) -> None:
    owner, other = await stages.both(owner_is)
    upstream.reasoning("嗯")
    upstream.tokens("你好", "👋")
    reader = await Reader.ask(owner.url)
    back = await read_elsewhere(other, reader, "你好👋")
    upstream.raw(framing.tool_call(0, "{}", "c1", "look"))
    upstream.tokens("，世界")
    for each in (reader, back):
        await each.text("你好👋，世界")
    stopped = await call(other.url, "POST", f"/api/v1/answers/{reader.answer_id}/stop")

    assert 202 == stopped.status
    assert ["stopped"] * 2 == [(await each.end())["status"] for each in (reader, back)]
    await upstream.closed.wait()
    assert "10-end" == reader.seen[-1].id
    assert reader.seen[-1] == back.seen[-1]
    assert [
        ("reasoning", "嗯"),
        ("text", "你好👋"),
        ("tool_call", "{}"),
        ("text", "，世界"),
    ] == blocks_read(reader)
    assert blocks_read(reader) == blocks_read(back)
    kept = await last_message(owner.url, conversation(reader))
    assert ["reasoning", "text", "tool_call", "text"] == [each["type"] for each in kept["blocks"]]
    assert kept == await last_message(other.url, conversation(reader))


@pytest.mark.gen_test
async def test_what_an_ended_answer_has_that_is_new_is_no_hindrance_to_the_first_stage(
    stages: Stages, upstream: ScriptedUpstream, stored: Stored
) -> None:
    old, new = await stages.old(), await stages.new()
    upstream.tokens("Hello")
    upstream.raw(b"data: %b\n\ndata: [DONE]\n\n" % json.dumps(FINISH).encode())
    upstream.end()
    upstream.next_request()
    upstream.fail(429, {"error": {"code": "rate_limit_exceeded"}}, Retry_After="7")
    complete = await Reader.ask(new.url)
    assert "complete" == (await complete.end())["status"]
    path = conversation(complete)
    failed = await Reader.open(new.url, "POST", f"{path}/messages", {"content": "and?"})
    assert "failed" == (await failed.end())["status"]

    one, other = (stored.message(reader.answer_id) for reader in (complete, failed))
    assert (5, 3) == (one["usage"]["cached_tokens"], one["usage"]["reasoning_tokens"])
    assert (True, 7) == (other["error"]["retryable"], other["error"]["retry_after"])
    assert [[200], [429]] == [
        [tried["http_status"] for tried in message["attempts"]] for message in (one, other)
    ]
    listed = await call(old.url, "GET", "/api/v1/conversations")
    assert [path] == [f"/api/v1/conversations/{each['id']}" for each in listed.body["data"]]
    _, shown, _, shown_failed = await messages_of(old, path)
    assert {"input_tokens": 7, "output_tokens": 11} == shown["usage"]
    assert "provider_rate_limited" == shown_failed["error"]["code"]
    for reader in (complete, failed):
        again = await Reader.come_back(old.url, reader.answer_id)
        assert reader.seen[-1].data["status"] == (await again.end())["status"]
        assert (reader.so_far, reader.seen[-1].id) == (again.so_far, again.seen[-1].id)

    next_question_is_answered(upstream, "from the old one")
    assert "from the old one" == await asked_again(old.url, complete)
    next_question_is_answered(upstream, "from the new one")
    assert "from the new one" == await asked_again(new.url, complete)
    asked = [("user", "hi"), ("assistant", "Hello"), ("user", "and?"), ("user", "go on")]
    assert asked == turns(upstream.requests[2])
    assert asked[-1:] == turns(upstream.requests[3])[-1:]
    assert [("assistant", "from the old one")] == turns(upstream.requests[3])[-2:-1]
    texts = [
        [block["text"] for message in await messages_of(each, path) for block in message["blocks"]]
        for each in (old, new)
    ]
    assert texts[0] == texts[1]
    assert "from the new one" == texts[0][-1]


@each_way
@pytest.mark.parametrize("options", [{}, OPTIONS], ids=["plain", "all options"])
@pytest.mark.gen_test
async def test_a_retry_at_a_process_of_the_other_stage_is_let_on_to_the_same_answer(
    stages: Stages,
    upstream: ScriptedUpstream,
    stored: Stored,
    owner_is: str,
    options: dict[str, Any],
) -> None:
    owner, other = await stages.both(owner_is)
    key = {"Idempotency-Key": "8e03978e"}
    upstream.tokens("Hel")
    reader = await Reader.ask(owner.url, headers=key, **options)
    await reader.text("Hel")
    again = await Reader.ask(other.url, headers=key, **options)
    await again.text("Hel")
    upstream.tokens("lo")
    upstream.finish()

    assert await reader.end() == await again.end()
    assert reader.answer_id == again.answer_id
    assert ("Hello", "5-end") == (again.so_far, again.seen[-1].id)
    for each in (owner, other):
        body = {"content": "hi", **options}
        retried = await call(each.url, "POST", "/api/v1/chat", body, headers={**key, **JSON})
        assert (200, reader.answer_id) == (retried.status, retried.body["id"])
        body["content"] = "something else"
        reused = await call(each.url, "POST", "/api/v1/chat", body, headers={**key, **JSON})
        assert (422, "idempotency_key_reused") == (reused.status, reused.body["error"]["code"])
    assert 1 == len(upstream.requests)
    assert (1, 2, 1) == tuple(
        stored.count(name) for name in ("conversations", "messages", "idempotency_keys")
    )


# Drained, and killed


@each_way
@pytest.mark.gen_test
async def test_an_answer_of_a_process_that_drains_is_read_to_its_end_at_the_other_stage(
    stages: Stages, upstream: ScriptedUpstream, owner_is: str
) -> None:
    owner, other = await stages.both(owner_is)
    upstream.tokens("你好")
    reader = await Reader.ask(owner.url, on_disconnect={"grace": 30})
    await reader.text("你好")
    reader.close()
    owner.terminate()
    back = await Reader.come_back(other.url, reader.answer_id, reader.seen[-1].id)
    upstream.tokens("，世界")
    await back.text("，世界")
    upstream.finish()

    assert "complete" == (await back.end())["status"]
    assert "5-end" == back.seen[-1].id
    assert 0 == await owner.process.wait()
    next_question_is_answered(upstream, "again")
    assert "again" == await asked_again(other.url, reader)
    assert ("assistant", "你好，世界") == turns(upstream.requests[1])[1]


@each_way
@pytest.mark.gen_test
async def test_kill_9_is_swept_up_by_the_other_stage_where_the_conversation_goes_on(
    stages: Stages, upstream: ScriptedUpstream, owner_is: str
) -> None:
    owner, other = await stages.both(owner_is)
    upstream.reasoning("嗯")
    upstream.tokens("half", "👋")
    upstream.raw(framing.tool_call(0, "{", "c1", "look"))
    reader = await Reader.ask(owner.url)
    back = await read_elsewhere(other, reader, "half👋")
    while back.seen[-1].id != "8":
        assert await back.next() is not None
    await owner.kill()

    assert "interrupted" == (await back.end())["status"]
    assert "8-end" == back.seen[-1].id
    assert 1 == stages.log(other).count(f"its process died answer={reader.answer_id}")
    kept = await last_message(other.url, conversation(reader))
    assert ("interrupted", True) == (kept["status"], kept["usage"]["estimated"])
    assert [
        {"type": "reasoning", "text": "嗯"},
        {"type": "text", "text": "half👋"},
        {"type": "tool_call", "id": "c1", "name": "look", "arguments": "{"},
    ] == kept["blocks"]
    third = await stages.like_owner(owner_is)
    assert kept == await last_message(third.url, conversation(reader))
    for each in (other, third):
        next_question_is_answered(upstream, "again")
        assert "again" == await asked_again(each.url, reader)
    asked = [("user", "hi"), ("assistant", "half👋"), ("user", "go on"), ("assistant", "again")]
    assert [*asked, ("user", "go on")] == turns(upstream.requests[2])


# What only the second stage can read


@pytest.mark.gen_test(timeout=60)
async def test_an_image_is_refused_and_not_stored_until_no_process_of_the_first_stage_lives(
    stages: Stages,
    start_here: Callable[[], Awaitable[Server]],
    sources: list[Seeing],
    upstream: ScriptedUpstream,
    stored: Stored,
) -> None:
    old, server = await stages.old(lease_seconds=2 * LEASE_SECONDS), await start_here()
    assert 1 == stored.count("processes", reads=None)
    made = (await call(old.url, "POST", "/api/v1/conversations", {})).body["id"]
    path = f"/api/v1/conversations/{made}"
    before = contents(stored)
    new = {"user": LOCAL_USER, "content": "What is this?", "parts": PARTS}
    further = {**new, "conversation_id": made}

    for request in (
        AskRequest(**new),
        AskRequest(**further),
        AskRequest(**further, idempotency_key="8e03978e"),
    ):
        with pytest.raises(Upgrading) as refusal:
            await server.relay.ask(request)
        refused = describe(refusal.value)
        assert refused is not None
        assert (503, "upgrading", 5) == (refused.status, refused.code, refused.retry_after)
    assert before == contents(stored)
    assert ([], 0) == (sources[0].prompts, server.relay.live)
    upstream.tokens("A cat.")
    upstream.finish()
    for url in (server.url, old.url):
        plain = await call(url, "POST", f"{path}/messages", {"content": "hi"}, headers=JSON)
        assert (200, "complete") == (plain.status, plain.body["status"])

    await old.kill()
    with pytest.raises(Upgrading):  # for all that is known it is alive
        await server.relay.ask(AskRequest(**further))
    answer = await asked_whole(server, AskRequest(**further, idempotency_key="8e03978e"))
    assert 1 == stored.alive()
    assert PARTS == sources[0].prompts[-1].turns[-1].blocks[1:]
    other = await stages.new()
    *_, asked, answered = await messages_of(other, path)
    assert QUESTION_SHOWN == asked["blocks"]
    assert (answer.id, "complete") == (answered["id"], answered["status"])
    assert [THOUGHT_SHOWN, {"type": "text", "text": "A cat."}] == answered["blocks"]


@pytest.mark.gen_test(timeout=60)
async def test_kill_9_of_a_process_that_answers_about_an_image_is_swept_up_by_another(
    stages: Stages,
    serve: Serving,
    start_here: Callable[[], Awaitable[Server]],
    upstream: ScriptedUpstream,
) -> None:
    old, server = await stages.old(), await start_here()
    old.terminate()
    await old.process.wait()
    upstream.tokens("A cat.")
    upstream.finish()
    request = AskRequest(user=LOCAL_USER, content="What is this?", parts=PARTS)
    answer = await asked_whole(server, request)
    await serve.stop(server)
    owner, other = await stages.seeing(), await stages.new()
    upstream.next_request()
    upstream.tokens("A d")
    again = f"/api/v1/answers/{answer.id}/regenerate"
    reader = await Reader.open(owner.url, "POST", again)
    back = await read_elsewhere(other, reader, "A d")
    await owner.kill()

    assert "interrupted" == (await back.end())["status"]
    assert ("A d", "6-end") == (back.so_far, back.seen[-1].id)
    assert 1 == stages.log(other).count(f"its process died answer={reader.answer_id}")
    assert DATA_SHOWN in [seen.data.get("data") for seen in back.seen]
    asked, _, killed = await messages_of(other, conversation(reader))
    assert QUESTION_SHOWN == asked["blocks"]
    assert (reader.answer_id, "interrupted") == (killed["id"], killed["status"])
    assert [THOUGHT_SHOWN, {"type": "text", "text": "A d"}] == killed["blocks"]
    next_question_is_answered(upstream, "again")
    assert "again" == await asked_again(other.url, reader)
    assert ["What is this?", "A d", "go on"] == [text for _, text in turns(upstream.requests[2])]


@pytest.mark.gen_test
async def test_a_process_of_the_first_stage_that_comes_back_keeps_an_image_from_being_asked_again(
    stages: Stages,
    start_here: Callable[[], Awaitable[Server]],
    upstream: ScriptedUpstream,
    stored: Stored,
) -> None:
    server = await start_here()
    upstream.tokens("A cat.")
    upstream.finish()
    request = AskRequest(user=LOCAL_USER, content="What is this?", parts=PARTS)
    answer = await asked_whole(server, request)
    old = await stages.old(lease_seconds=LONG_LEASE)
    again = f"/api/v1/answers/{answer.id}/regenerate"
    refused = await call(server.url, "POST", again, headers=JSON)

    assert (503, "upgrading") == (refused.status, refused.body["error"]["code"])
    assert "5" == refused.headers["retry-after"]
    assert 2 == stored.count("messages")
    old.terminate()
    await old.process.wait()
    taken = await call(server.url, "POST", again, headers=JSON)
    assert (200, "complete") == (taken.status, taken.body["status"])


@pytest.mark.gen_test
async def test_a_providers_data_is_dropped_until_no_process_of_the_first_stage_lives(
    stages: Stages, upstream: ScriptedUpstream, stored: Stored
) -> None:
    old, new = await stages.old(lease_seconds=LONG_LEASE), await stages.seeing()
    upstream.tokens("yes")
    reader = await Reader.ask(new.url)
    back = await read_elsewhere(old, reader, "yes")
    assert 0 == stored.count("chunks", **{"pieces.data.model": DATA.model})
    upstream.tokens("!")
    upstream.finish()

    assert await reader.end() == await back.end()
    assert [("reasoning", THOUGHT), ("text", "yes!")] == blocks_read(reader) == blocks_read(back)
    assert "6-end" == reader.seen[-1].id == back.seen[-1].id
    without = [{"type": "reasoning", "text": THOUGHT}, {"type": "text", "text": "yes!"}]
    assert without == stored.message(reader.answer_id)["blocks"]
    assert without == (await last_message(old.url, conversation(reader)))["blocks"]

    old.terminate()
    await old.process.wait()
    next_question_is_answered(upstream, "yes")
    further = f"{conversation(reader)}/messages"
    kept = await Reader.open(new.url, "POST", further, {"content": "go on"})
    assert "complete" == (await kept.end())["status"]
    assert "6-end" == kept.seen[-1].id
    assert [THOUGHT_SHOWN, {"type": "text", "text": "yes"}] == (
        await last_message(new.url, conversation(reader))
    )["blocks"]
    assert 1 == stored.count("messages", **{"blocks.data.model": DATA.model})


@pytest.mark.gen_test
async def test_a_migration_beside_processes_of_both_stages_disturbs_neither(
    stages: Stages, launcher: Launcher, upstream: ScriptedUpstream
) -> None:
    old, new = await stages.old(), await stages.new()
    upstream.tokens("Hel")
    readers = [await Reader.ask(each.url) for each in (old, new)]
    for reader in readers:
        await reader.text("Hel")
    migration = await launcher.start("--config", str(launcher.settings), "migrate")
    said, complaint = await migration.communicate()

    assert (0, b"") == (migration.returncode, complaint)
    assert said.startswith(b"changed: ")
    upstream.tokens("lo")
    upstream.finish()
    for reader, other in zip(readers, (new, old), strict=True):
        assert "complete" == (await reader.end())["status"]
        next_question_is_answered(upstream, "again")
        assert "again" == await asked_again(other.url, reader)
