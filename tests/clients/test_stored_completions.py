"""Completions that were asked to be stored, as OpenAI's Python SDK and its npm package see them."""

import openai
import pytest

from app.server import Server
from tests.clients.openai_sdk import MESSAGES, async_client
from tests.clients.qwen import MODEL, TEXT, thinks_and_answers
from tests.clients.scripts import Scripts
from tests.upstreams import ScriptedUpstream


@pytest.mark.gen_test
async def test_by_python_one_is_retrieved_listed_updated_and_deleted(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    thinks_and_answers(upstream)

    async with async_client(headrace.url) as sdk:
        kept = sdk.chat.completions
        made = await kept.create(
            model=MODEL, messages=MESSAGES, store=True, metadata={"topic": "天气"}
        )
        found = await kept.retrieve(made.id)
        updated = await kept.update(made.id, metadata={"topic": "再来"})
        listed = [each.id async for each in kept.list()]
        asked = [each async for each in kept.messages.list(made.id)]
        gone = await kept.delete(made.id)
        with pytest.raises(openai.NotFoundError):
            await kept.retrieve(made.id)

    assert TEXT == found.choices[0].message.content
    assert updated.metadata is not None
    assert {"topic", "conversation_id"} == updated.metadata.keys()
    assert "再来" == updated.metadata["topic"]
    assert [made.id] == listed
    assert "user" == asked[-1].role
    assert gone.deleted


@pytest.mark.slow
@pytest.mark.gen_test
async def test_by_npm_one_is_retrieved_listed_updated_and_deleted(
    headrace: Server, upstream: ScriptedUpstream, node: Scripts
) -> None:
    thinks_and_answers(upstream)

    ask = {"model": MODEL, "messages": MESSAGES}
    kept = await node.run("openai_chat.js", url=headrace.url, way="kept", ask=ask)

    assert {
        "text": TEXT,
        "topic": "再来",
        "listed": True,
        "deleted": True,
        "status": 404,
    } == kept
