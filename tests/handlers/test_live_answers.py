"""What runs of mine: a user's live answers, and the live answer of each conversation."""

from typing import Any

import pytest

from app.server import Server
from tests.auth_servers import AuthServers
from tests.readers import Reader, Response, call
from tests.serving import Serving
from tests.steps import JSON
from tests.upstreams import ScriptedUpstream

LIVE = "/api/v1/answers?status=live"


async def get(server: Server, path: str) -> Response:
    found = await call(server.url, "GET", path)
    assert 200 == found.status, found
    return found


@pytest.mark.slow
@pytest.mark.gen_test
async def test_what_runs_is_listed_and_named_by_its_conversation_until_it_ends(
    serve: Serving, with_store: dict[str, Any], upstream: ScriptedUpstream
) -> None:
    server = await serve.start(**with_store)
    assert {"data": [], "next": None} == (await get(server, LIVE)).body
    upstream.tokens("水到")
    reader = await Reader.ask(server.url, "q")
    await reader.text("水到")

    [running] = (await get(server, LIVE)).body["data"]

    path = f"/api/v1/conversations/{running['conversation_id']}"
    assert ("live", None, None) == (running["status"], running["ended_at"], running["usage"])
    [listed] = (await get(server, "/api/v1/conversations")).body["data"]
    assert running["id"] == listed["live_answer_id"]
    assert listed == (await get(server, path)).body
    changed = await call(server.url, "PATCH", path, {"title": "t"}, headers=JSON)
    assert running["id"] == changed.body["live_answer_id"]

    await call(server.url, "POST", f"/api/v1/answers/{running['id']}/stop")

    assert [] == (await get(server, LIVE)).body["data"]
    assert (await get(server, path)).body["live_answer_id"] is None


@pytest.mark.gen_test
async def test_pages_of_live_answers_lead_to_the_next(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    for _ in range(3):
        upstream.tokens("x")
        body = {"content": "q", "on_disconnect": "finish"}
        prefer = JSON | {"Prefer": "respond-async"}
        asked = await call(headrace.url, "POST", "/api/v1/chat", body, headers=prefer)
        assert 202 == asked.status, asked
        upstream.next_request()

    first = (await get(headrace, f"{LIVE}&limit=2")).body
    second = (await get(headrace, f"{LIVE}&limit=2&after={first['next']}")).body

    ids = [each["id"] for each in (*first["data"], *second["data"])]
    assert (2, 3, None) == (len(first["data"]), len(set(ids)), second["next"])


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", "invalid_status"),
        ("?status=complete", "invalid_status"),
        ("?status=live&limit=0", "invalid_limit"),
        ("?status=live&after=x", "invalid_cursor"),
    ],
)
@pytest.mark.gen_test
async def test_other_lists_are_refused(headrace: Server, query: str, code: str) -> None:
    refused = await call(headrace.url, "GET", f"/api/v1/answers{query}")
    assert (400, code) == (refused.status, refused.code)


@pytest.mark.gen_test
async def test_nobody_sees_what_runs_of_others(
    auth_servers: AuthServers, upstream: ScriptedUpstream, providers: dict[str, Any]
) -> None:
    server = await auth_servers.open(providers=providers)
    alice, bob = await auth_servers.create_key("alice"), await auth_servers.create_key("bob")
    upstream.tokens("secret")
    prefer = alice.headers | JSON | {"Prefer": "respond-async"}
    await call(server.url, "POST", "/api/v1/chat", {"content": "q"}, headers=prefer)

    for holder, count in ((alice, 1), (bob, 0)):
        found = await call(server.url, "GET", LIVE, headers=holder.headers)
        assert count == len(found.body["data"])
