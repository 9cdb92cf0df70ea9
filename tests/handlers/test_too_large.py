"""More than a document of MongoDB's holds: 413, nothing is kept, and the conversation goes on."""

from typing import Any

import pytest
from tornado.ioloop import IOLoop

from app.server import Server
from tests.mongod import Stored
from tests.readers import call
from tests.serving import Serving
from tests.steps import JSON, messages_of, new_conversation
from tests.upstreams import ScriptedUpstream

# Past 16 MB in UTF-8, where the limits let it pass: an operator may have raised them.
LONG = "文" * 6_000_000
LIMITS = {
    "max_question_chars": 30_000_000,
    "max_body_bytes": 60_000_000,
    "max_bodies_bytes": 200_000_000,
}


@pytest.fixture
def server(
    io_loop: IOLoop, serve: Serving, mongo_url: str, providers: dict[str, dict[str, Any]]
) -> Server:
    settings = {"storage": {"url": mongo_url}, "providers": providers, "limits": LIMITS}
    started: Server = io_loop.run_sync(lambda: serve.start(**settings))
    return started


@pytest.mark.slow
@pytest.mark.parametrize(
    "body",
    [
        {"content": LONG},
        {"content": "q", "system": LONG},
        {"content": "q" * 9_000_000 + LONG[:3_000_000]},
    ],
    ids=["question", "system prompt", "both kinds of characters"],
)
@pytest.mark.gen_test(timeout=60)
async def test_a_question_that_no_document_holds_is_refused_for_good_and_not_kept(
    server: Server, upstream: ScriptedUpstream, mongo_url: str, body: dict[str, str]
) -> None:
    key = {"Idempotency-Key": "k"}

    refused = await call(server.url, "POST", "/api/v1/chat", body, headers=JSON | key)

    assert (413, "too_large") == (refused.status, refused.body["error"]["code"])
    assert "retry-after" not in refused.headers
    assert [] == upstream.requests
    with Stored.at(mongo_url) as stored:
        for collection in ("conversations", "messages", "idempotency_keys"):
            assert 0 == stored.count(collection)
    upstream.tokens("x")
    upstream.finish()
    asked = await call(server.url, "POST", "/api/v1/chat", {"content": "q"}, headers=JSON | key)
    assert 200 == asked.status  # the key stands for nothing yet


@pytest.mark.slow
@pytest.mark.gen_test(timeout=60)
async def test_in_a_conversation_it_leaves_all_as_it_was(
    server: Server, upstream: ScriptedUpstream
) -> None:
    path = await new_conversation(server)

    asked = await call(server.url, "POST", f"{path}/messages", {"content": LONG}, headers=JSON)
    changed = await call(server.url, "PATCH", path, {"system": LONG})

    assert (413, 413) == (asked.status, changed.status)
    assert [] == await messages_of(server, path)
    assert None is (await call(server.url, "GET", path)).body["system"]
    assert 200 == (await call(server.url, "GET", "/readyz")).status
    upstream.tokens("x")
    upstream.finish()
    asked = await call(server.url, "POST", f"{path}/messages", {"content": "q"}, headers=JSON)
    assert 200 == asked.status  # nothing is busy
