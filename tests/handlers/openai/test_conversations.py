"""OpenAI's conversations and their items, as the `openai` package reads them."""

from collections.abc import Iterator

import openai
import pytest
from openai.types.responses import ResponseFunctionToolCallItem
from tornado.ioloop import IOLoop

from app.server import Server
from tests.readers import call
from tests.upstreams import ScriptedUpstream

MODEL = "openai/gpt-4o-mini"


@pytest.fixture
def client(headrace: Server, io_loop: IOLoop) -> Iterator[openai.AsyncOpenAI]:
    opened = openai.AsyncOpenAI(base_url=f"{headrace.url}/v1", api_key="sk-any", max_retries=0)
    yield opened
    io_loop.run_sync(opened.close)


async def said(
    client: openai.AsyncOpenAI, upstream: ScriptedUpstream, conversation_id: str, *texts: str
) -> None:
    """Have questions asked in the conversation, each with an answer."""
    for text in texts:
        upstream.reasoning("Hm")
        upstream.tokens(f"{text} 答")
        upstream.finish()
        upstream.next_request()
        await client.responses.create(model=MODEL, input=text, conversation=conversation_id)


@pytest.mark.gen_test
async def test_a_conversation_is_made_changed_and_deleted(client: openai.AsyncOpenAI) -> None:
    made = await client.conversations.create(metadata={"topic": "水"})
    assert ({"topic": "水"}, "conversation") == (made.metadata, made.object)
    assert made == await client.conversations.retrieve(made.id)

    changed = await client.conversations.update(made.id, metadata={"a": "b"})

    assert {"a": "b"} == changed.metadata
    assert changed == await client.conversations.retrieve(made.id)
    gone = await client.conversations.delete(made.id)
    assert (made.id, True, "conversation.deleted") == (gone.id, gone.deleted, gone.object)
    with pytest.raises(openai.NotFoundError):
        await client.conversations.retrieve(made.id)


@pytest.mark.slow
@pytest.mark.parametrize("limit", [1, 2, 4, 100])
@pytest.mark.gen_test
async def test_all_items_are_paged_in_either_order(
    client: openai.AsyncOpenAI, upstream: ScriptedUpstream, limit: int
) -> None:
    made = await client.conversations.create()
    assert [] == [item async for item in client.conversations.items.list(made.id)]
    await said(client, upstream, made.id, "one", "two", "three")

    down = [item async for item in client.conversations.items.list(made.id, limit=limit)]
    up = [item async for item in client.conversations.items.list(made.id, limit=limit, order="asc")]

    assert ["message", "reasoning", "message"] * 3 == [item.type for item in up]
    assert up == down[::-1]
    texts = [item.content[0].text for item in up if item.type == "message"]
    assert ["one", "one 答", "two", "two 答", "three", "three 答"] == texts
    for item in up:
        assert item == await client.conversations.items.retrieve(item.id, conversation_id=made.id)


@pytest.mark.gen_test
async def test_a_call_and_its_output_are_items(
    client: openai.AsyncOpenAI, upstream: ScriptedUpstream
) -> None:
    made = await client.conversations.create()
    upstream.tool_call(0, "call_1", "look", '{"at": "水"}')
    upstream.finish("tool_calls")
    upstream.next_request()
    await client.responses.create(model=MODEL, input="q", conversation=made.id)
    upstream.tokens("ok")
    upstream.finish()
    upstream.next_request()
    output = {"type": "function_call_output", "call_id": "call_1", "output": "seen"}
    await client.responses.create(model=MODEL, input=[output], conversation=made.id)

    items = [item async for item in client.conversations.items.list(made.id, order="asc")]

    assert ["message", "function_call", "function_call_output", "message"] == [
        item.type for item in items
    ]
    assert isinstance(items[1], ResponseFunctionToolCallItem)
    assert ('{"at": "水"}', "call_1") == (items[1].arguments, items[1].call_id)


@pytest.mark.gen_test
async def test_what_cannot_be_done_is_refused_by_name(
    client: openai.AsyncOpenAI, headrace: Server, upstream: ScriptedUpstream
) -> None:
    item = {"type": "message", "role": "user", "content": "x"}
    with pytest.raises(openai.BadRequestError) as refused:
        await client.conversations.create(items=[item])  # type: ignore[list-item]
    assert ("unsupported_parameter", "items") == (refused.value.code, refused.value.param)
    made = await client.conversations.create()
    with pytest.raises(openai.APIStatusError) as missing:
        await client.conversations.items.create(made.id, items=[item])  # type: ignore[list-item]
    assert 405 == missing.value.status_code
    await said(client, upstream, made.id, "one")
    newest = await call(headrace.url, "GET", f"/v1/conversations/{made.id}/items?limit=1")
    beside = f"{newest.body['data'][0]['id']}0"  # of a message that is there
    for query, code in (
        ("limit=0", "invalid_limit"),
        ("order=up", "invalid_order"),
        ("after=x", "invalid_cursor"),
        ("after=msg_0_0", "invalid_cursor"),
        ("order=asc&after=msg_0_0", "invalid_cursor"),
        (f"after={beside}", "invalid_cursor"),
        (f"order=asc&after={beside}", "invalid_cursor"),
    ):
        found = await call(headrace.url, "GET", f"/v1/conversations/{made.id}/items?{query}")
        assert (400, code) == (found.status, found.code), query
    for missing_id in ("msg_0_0", "x", "msg__"):
        with pytest.raises(openai.NotFoundError):
            await client.conversations.items.retrieve(missing_id, conversation_id=made.id)
