"""OpenAI's conversations, as its SDKs for Python and npm see them."""

from typing import Any

import openai
import pytest

from app.server import Server
from tests.clients.openai_sdk import INPUT, INSTRUCTIONS, async_client
from tests.clients.qwen import MODEL, TEXT, thinks_and_answers
from tests.clients.scripts import Scripts
from tests.upstreams import ScriptedUpstream

SCRIPT = "openai_responses.js"
ASK: Any = {"model": MODEL, "instructions": INSTRUCTIONS, "input": INPUT}


@pytest.mark.gen_test
async def test_a_conversation_has_what_was_said_in_it(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    thinks_and_answers(upstream)

    async with async_client(headrace.url) as sdk:
        talk = await sdk.conversations.create(metadata={"topic": "天气"})
        first = await sdk.responses.create(conversation=talk.id, **ASK)
        second = await sdk.responses.create(model=MODEL, input="明天呢？", conversation=talk.id)
        items = [item async for item in sdk.conversations.items.list(talk.id, order="asc")]
        updated = await sdk.conversations.update(talk.id, metadata={"topic": "再来"})
        found = await sdk.conversations.retrieve(talk.id)
        gone = await sdk.conversations.delete(talk.id)
        with pytest.raises(openai.NotFoundError):
            await sdk.conversations.retrieve(talk.id)

    assert first.conversation is not None
    assert [talk.id, TEXT] == [first.conversation.id, second.output_text]
    said = [item for item in items if item.type == "message"]
    assert ["user", "assistant", "user", "assistant"] == [item.role for item in said]
    assert {"topic": "再来"} == updated.metadata == found.metadata
    assert gone.deleted
    assert "明天呢？" in upstream.requests[1].body.decode()
    assert TEXT in upstream.requests[1].body.decode()


@pytest.mark.slow
@pytest.mark.gen_test
async def test_by_npm_a_conversation_has_what_was_said_in_it(
    headrace: Server, upstream: ScriptedUpstream, node: Scripts
) -> None:
    thinks_and_answers(upstream)

    talk = await node.run(SCRIPT, url=headrace.url, way="conversation", ask=ASK)

    assert {
        "same": True,
        "roles": ["user", "assistant"],
        "metadata": {"topic": "再来"},
        "deleted": True,
    } == talk
