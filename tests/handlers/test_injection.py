"""A store's own language in what people send: it is text there and nothing else, in both stores."""

import json
from typing import Any
from urllib.parse import quote

import pytest
from tornado.ioloop import IOLoop

from app.server import Server
from tests.readers import call
from tests.serving import Serving
from tests.steps import JSON
from tests.upstreams import ScriptedUpstream

# Operators as text, and what ends a string or a statement in SQL.
PHRASES = [
    '{"$gt": ""}',
    '{"$ne": null}',
    "[$ne]",
    "$where",
    "$$NOW",
    "$user",
    "a.b",
    "a.$[].b",
    "';sleep(9);'",
    "' OR '1'='1",
    '"; DROP TABLE messages; --',
    "%",
    "_" * 32,
    ".*",
    "{{7*7}}",
    "${7*7}",
    "../../healthz",
    "null",
    "0",
]
OBJECTS = [{"$gt": ""}, {"$ne": None}, {"$regex": ".*"}, {"$where": "1"}, ["$gt"], True, 0, 1.5]


@pytest.fixture(params=["sqlite", "mongo"])
def server(
    request: pytest.FixtureRequest,
    io_loop: IOLoop,
    serve: Serving,
    providers: Any,
    upstream: ScriptedUpstream,
) -> Server:
    """With one conversation and its answer, which is nobody's to find by a pattern."""
    upstream.tokens("a")
    upstream.finish()
    given: dict[str, Any] = {"providers": providers, "limits": {"questions_per_minute": 0}}
    if request.param == "mongo":
        given["storage"] = {"url": request.getfixturevalue("mongo_url")}

    async def start() -> Server:
        started: Server = await serve.start(**given)
        asked = await call(started.url, "POST", "/api/v1/chat", {"content": "q"}, headers=JSON)
        assert 200 == asked.status
        return started

    begun: Server = io_loop.run_sync(start)
    return begun


async def listed(server: Server) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await call(server.url, "GET", "/api/v1/conversations")).body[
        "data"
    ]
    return found


@pytest.mark.slow
@pytest.mark.gen_test
async def test_an_id_is_an_id(server: Server) -> None:
    before = await listed(server)
    for phrase in PHRASES:
        name = quote(phrase, safe="")
        for method, path, body in (
            ("GET", f"/api/v1/conversations/{name}", None),
            ("PATCH", f"/api/v1/conversations/{name}", {"title": "x"}),
            ("DELETE", f"/api/v1/conversations/{name}", None),
            ("GET", f"/api/v1/conversations/{name}/messages", None),
            ("POST", f"/api/v1/conversations/{name}/messages", {"content": "q"}),
            ("GET", f"/api/v1/answers/{name}/events", None),
            ("GET", f"/api/v1/answers/{before[0]['id']}-{name}/events", None),
            ("POST", f"/api/v1/answers/{name}/stop", None),
            ("POST", "/api/v1/chat", {"content": "q", "conversation_id": phrase}),
        ):
            refused = await call(server.url, method, path, body)
            assert (404, "not_found") == (refused.status, refused.body["error"]["code"]), path
    assert before == await listed(server)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_place_in_a_list_is_one_that_a_list_gave_out(server: Server) -> None:
    [kept] = await listed(server)
    for phrase in PHRASES:
        cursor = quote(phrase, safe="")
        for path in (
            f"/api/v1/conversations?after={cursor}",
            f"/api/v1/conversations/{kept['id']}/messages?before={cursor}",
        ):
            refused = await call(server.url, "GET", path)
            assert (400, "invalid_cursor") == (refused.status, refused.body["error"]["code"])
        for headers in ({"Last-Event-ID": phrase}, {}):
            path = f"/api/v1/answers/{kept['id']}-x/events?after={cursor}"
            refused = await call(server.url, "GET", path, headers=headers)
            assert refused.status == (404 if phrase == "0" else 400)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_words_are_kept_as_they_are(server: Server) -> None:
    for phrase in PHRASES:
        body = {
            "title": phrase,
            "system": phrase,
            "model": "openai/m",
            "metadata": {phrase: phrase, "": phrase},
        }
        made = await call(server.url, "POST", "/api/v1/conversations", body)
        assert (201, body) == (made.status, {name: made.body[name] for name in body})
        path = f"/api/v1/conversations/{made.body['id']}"
        headers = {"Idempotency-Key": phrase, "X-Request-Id": phrase, **JSON}
        asked = await call(
            server.url, "POST", f"{path}/messages", {"content": phrase}, headers=headers
        )
        assert 200 == asked.status
        question, _ = (await call(server.url, "GET", f"{path}/messages")).body["data"]
        assert [{"type": "text", "text": phrase}] == question["blocks"]
        changed = await call(server.url, "PATCH", path, {"title": phrase * 2, "metadata": {}})
        assert (phrase * 2, {}) == (changed.body["title"], changed.body["metadata"])
    assert 1 + len(PHRASES) == len(await listed(server))


@pytest.mark.slow
@pytest.mark.parametrize("thing", OBJECTS, ids=json.dumps)
@pytest.mark.gen_test
async def test_what_should_be_a_word_is_no_object(server: Server, thing: object) -> None:
    before = await listed(server)
    path = f"/api/v1/conversations/{before[0]['id']}"
    for method, where, body in (
        ("POST", "/api/v1/chat", {"content": thing}),
        ("POST", "/api/v1/chat", {"content": [{"type": "text", "text": thing}]}),
        ("POST", "/api/v1/chat", {"content": "q", "conversation_id": thing}),
        ("POST", "/api/v1/chat", {"content": "q", "model": thing}),
        ("POST", "/api/v1/chat", {"content": "q", "system": thing}),
        ("POST", "/api/v1/chat", {"content": "q", "stop": [thing]}),
        ("POST", "/api/v1/conversations", {"title": thing}),
        ("POST", "/api/v1/conversations", {"metadata": {"k": thing}}),
        ("PATCH", path, {"title": thing}),
        ("PATCH", path, {"$set": thing}),
        ("PATCH", path, {"user": "root"}),
    ):
        refused = await call(server.url, method, where, body)
        assert (400, "invalid_body") == (refused.status, refused.body["error"]["code"]), body
    assert before == await listed(server)
