"""What only this stage can read is not stored while a process of the first stage lives."""

from collections.abc import Awaitable, Callable

import pytest

from app.server import Server
from auth.principal import LOCAL_USER
from handlers.errors import to_error_response
from model.blocks import ToolResultBlock
from relay.ask_request import AskRequest
from relay.errors import Upgrading
from tests.fleet_steps import (
    asked_again,
    conversation,
    last_message,
    next_question_is_answered,
    read_elsewhere,
)
from tests.image_provider import DATA, THOUGHT, ImageProvider
from tests.launching import LEASE_SECONDS
from tests.mongod import Stored
from tests.readers import Reader, call
from tests.rolling.stages import (
    DATA_SHOWN,
    LONG_LEASE,
    PARTS,
    QUESTION_SHOWN,
    THOUGHT_SHOWN,
    Stages,
    asked_whole,
    blocks_read,
    contents,
    turns,
)
from tests.serving import Serving
from tests.steps import JSON, messages_of
from tests.upstreams import ScriptedUpstream

pytestmark = pytest.mark.slow


@pytest.mark.gen_test(timeout=60)
async def test_an_image_is_refused_and_not_stored_until_no_process_of_the_first_stage_lives(
    stages: Stages,
    start_here: Callable[[], Awaitable[Server]],
    sources: list[ImageProvider],
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
        AskRequest(**{**further, "parts": (ToolResultBlock("c1", "42"),)}),
    ):
        with pytest.raises(Upgrading) as refusal:
            await server.relay.ask(request)
        refused = to_error_response(refusal.value)
        assert refused is not None
        assert (503, "upgrading", 5) == (refused.status, refused.code, refused.retry_after)
    assert before == contents(stored)
    assert ([], 0) == (sources[0].prompts, len(server.relay.live_answers))
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
    owner, other = await stages.with_image_provider(), await stages.new()
    upstream.next_request()
    upstream.tokens("A d")
    again = f"/api/v1/answers/{answer.id}/regenerate"
    reader = await Reader.open(owner.url, "POST", again)
    back = await read_elsewhere(other, reader, "A d")
    await owner.kill()

    assert "interrupted" == (await back.end())["status"]
    assert ("A d", "6-end") == (back.so_far, back.seen[-1].id)
    assert 1 == await stages.logged(f"its process died answer={reader.answer_id}", other)
    assert DATA_SHOWN in [seen.data.get("data") for seen in back.seen]
    asked, _, killed = await messages_of(other, conversation(reader))
    assert QUESTION_SHOWN == asked["blocks"]
    assert (reader.answer_id, "interrupted") == (killed["id"], killed["status"])
    assert [THOUGHT_SHOWN, {"type": "text", "text": "A d"}] == killed["blocks"]
    next_question_is_answered(upstream, "again")
    assert "again" == await asked_again(other.url, reader)
    seen, *rest = [content for _, content in turns(upstream.requests[2])]
    assert (["text", "image_url"], ["A d", "go on"]) == ([part["type"] for part in seen], rest)


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
    old, new = await stages.old(lease_seconds=LONG_LEASE), await stages.with_image_provider()
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
