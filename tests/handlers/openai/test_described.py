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

    called = {(method, path) for method, path, _ in described.seen}
    theirs = {path: each for path, each in DOCUMENT["paths"].items() if path[:4] == "/v1/"}
    assert called == {(method, path) for path, each in theirs.items() for method in each}
