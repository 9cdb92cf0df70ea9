"""Responses of OpenAI's API, held against their description."""

import pytest

from app.server import Server
from tests.handlers.openai.chat_steps import PATH, asked, user
from tests.handlers.test_openapi import DOCUMENT, Described
from tests.upstreams import ScriptedUpstream


@pytest.mark.gen_test
async def test_real_responses_are_as_they_are_described(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    described = Described(headrace.url)
    upstream.reasoning("hm")
    upstream.tokens("Hello")
    upstream.finish()

    await described.call("post", PATH, PATH, asked())
    await described.call("post", PATH, PATH, asked({"role": "nobody"}))
    await described.call("post", PATH, PATH, asked(user("hi"), model="none/m"))
    await described.call("get", "/v1/models", "/v1/models")
    await described.call("get", "/v1/models/{model}", "/v1/models/openai%2Fm")
    await described.call("get", "/v1/models/{model}", "/v1/models/none")

    one, stored = (
        f"{PATH}/{{completion_id}}",
        await described.call("post", PATH, PATH, asked(store=True)),
    )
    path = f"{PATH}/{stored.body['id']}"
    await described.call("get", PATH, f"{PATH}?limit=1")
    await described.call("get", PATH, f"{PATH}?limit=0")
    await described.call("get", one, path)
    await described.call("get", one, f"{PATH}/none")
    await described.call("get", f"{one}/messages", f"{path}/messages")
    await described.call("post", one, path, {"metadata": {"a": "b"}})
    await described.call("delete", one, path)
    responses, response = "/v1/responses", "/v1/responses/{response_id}"
    given = await described.call("post", responses, responses, {"model": "openai/m", "input": "Hi"})
    path = f"{responses}/{given.body['id']}"
    await described.call("get", response, path)
    await described.call("get", response, f"{path}?stream=1")
    await described.call("get", f"{response}/input_items", f"{path}/input_items?limit=1")
    await described.call("post", f"{response}/cancel", f"{path}/cancel")
    await described.call("delete", response, path)
    await described.call("delete", response, path)
    conversations, one = "/v1/conversations", "/v1/conversations/{conversation_id}"
    items, item = f"{one}/items", f"{one}/items/{{item_id}}"
    made = await described.call("post", conversations, conversations, {"metadata": {"a": "b"}})
    path = f"{conversations}/{made.body['id']}"
    question = {"model": "openai/m", "input": "Hi", "conversation": made.body["id"]}
    await described.call("post", responses, responses, question)
    await described.call("get", one, path)
    await described.call("post", one, path, {"metadata": {"a": "c"}})
    listed = await described.call("get", items, f"{path}/items?limit=1")
    await described.call("get", items, f"{path}/items?limit=0")
    await described.call("get", item, f"{path}/items/{listed.body['last_id']}")
    await described.call("get", item, f"{path}/items/none")
    await described.call("delete", one, path)

    called = {(method, path) for method, path, _ in described.seen}
    theirs = {path: each for path, each in DOCUMENT["paths"].items() if path[:4] == "/v1/"}
    assert called == {(method, path) for path, each in theirs.items() for method in each}
