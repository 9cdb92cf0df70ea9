"""The items of a question, as OpenAI's SDKs for Python and npm list them."""

from typing import Any

import pytest

from app.server import Server
from tests.clients.openai_sdk import INPUT, INSTRUCTIONS, QUESTION, async_client
from tests.clients.qwen import MODEL, thinks_and_answers
from tests.clients.scripts import Scripts
from tests.upstreams import ScriptedUpstream

SCRIPT = "openai_responses.js"
ASK: Any = {"model": MODEL, "instructions": INSTRUCTIONS, "input": INPUT}


@pytest.mark.gen_test
async def test_what_was_asked_is_listed(headrace: Server, upstream: ScriptedUpstream) -> None:
    thinks_and_answers(upstream)

    async with async_client(headrace.url) as sdk:
        made = await sdk.responses.create(**ASK)
        items = [item async for item in sdk.responses.input_items.list(made.id)]

    [question] = items
    assert QUESTION in question.to_json()


@pytest.mark.slow
@pytest.mark.gen_test
async def test_by_npm_what_was_asked_is_listed(
    headrace: Server, upstream: ScriptedUpstream, node: Scripts
) -> None:
    thinks_and_answers(upstream)

    [question] = await node.run(SCRIPT, url=headrace.url, way="items", ask=ASK)

    assert QUESTION == question["content"][0]["text"]
