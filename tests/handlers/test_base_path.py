"""A base path below a site: requests come with it and without, and every URL in a response has
it.
"""

import re
from typing import Any

import pytest

from app.server import Server
from tests.auth_servers import AuthServers
from tests.readers import Reader, call
from tests.serving import Serving
from tests.steps import JSON, LATER
from tests.upstreams import ScriptedUpstream

BASE = "/tools/chat"


@pytest.fixture
def headrace(io_loop: Any, serve: Serving, providers: dict[str, dict[str, Any]]) -> Server:
    server: Server = io_loop.run_sync(lambda: serve.start(providers=providers, base_path=BASE))
    return server


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    [
        *("/healthz", "/readyz", "/metrics", "/api/v1/me", "/api/v1/conversations?limit=1"),
        *("/api/openapi.json", "/api/docs", "/", "/c/x"),
    ],
)
@pytest.mark.gen_test
async def test_a_path_is_the_same_with_it_and_without(headrace: Server, path: str) -> None:
    with_it = await call(headrace.url, "GET", BASE + path)
    without = await call(headrace.url, "GET", path)

    assert with_it.status == without.status
    if path != "/metrics":  # which has counted the other
        assert with_it.body == without.body
    whole = f"http://localhost{BASE}{path}"
    assert with_it.status == (await call(headrace.url, "GET", whole)).status
    assert with_it.status == (await call(headrace.url, "HEAD", BASE + path)).status


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    [
        *(
            f"{BASE}ty/healthz",
            f"{BASE}{BASE}/healthz",
            "/tools/healthz",
            f"{BASE.upper()}/healthz",
        ),
        *(f"{BASE}//healthz", "/tools%2Fchat/healthz", f"/x{BASE}/healthz"),
    ],
)
@pytest.mark.gen_test
async def test_what_only_looks_like_it_is_not(headrace: Server, path: str) -> None:
    assert 404 == (await call(headrace.url, "GET", path)).status


@pytest.mark.parametrize("below", ["", BASE])
@pytest.mark.gen_test
async def test_every_address_that_is_said_has_it(
    headrace: Server, upstream: ScriptedUpstream, below: str
) -> None:
    api = f"{below}/api/v1"
    upstream.tokens("Hello")
    upstream.finish()

    made = await call(headrace.url, "POST", f"{api}/conversations", {})
    asked = await call(headrace.url, "POST", f"{api}/chat", {"content": "q"}, headers=LATER)
    answer = f"/api/v1/answers/{asked.body['answer_id']}"
    ticket = await call(headrace.url, "POST", f"{below}{answer}/ticket")

    assert f"{BASE}/api/v1/conversations/{made.body['id']}" == made.headers["location"]
    assert 200 == (await call(headrace.url, "GET", made.headers["location"])).status
    assert f"{BASE}{answer}/events" == asked.headers["location"] == asked.body["events_url"]
    assert ticket.body["events_url"].startswith(f"{BASE}{answer}/events?ticket=")
    for address in (asked.body["events_url"], ticket.body["events_url"]):
        reader = await Reader.open(headrace.url, "GET", address)
        assert "complete" == (await reader.end())["status"]


@pytest.mark.gen_test
async def test_a_ticket_opens_below_it(
    auth_servers: AuthServers, providers: dict[str, Any], upstream: ScriptedUpstream
) -> None:
    server = await auth_servers.open(providers=providers, base_path=BASE)
    alice = await auth_servers.create_key("alice")
    upstream.tokens("Hello")
    upstream.finish()
    chat = f"{BASE}/api/v1/chat"
    whole = await call(server.url, "POST", chat, {"content": "q"}, headers=alice.headers | JSON)

    path = f"{BASE}/api/v1/answers/{whole.body['id']}/ticket"
    ticket = await call(server.url, "POST", path, headers=alice.headers)

    assert 401 == (await call(server.url, "GET", path.replace("ticket", "events"))).status
    reader = await Reader.open(server.url, "GET", ticket.body["events_url"])
    assert "complete" == (await reader.end())["status"]


@pytest.mark.slow
@pytest.mark.gen_test
async def test_its_description_says_where_it_is(headrace: Server) -> None:
    described = await call(headrace.url, "GET", "/api/openapi.json")
    page = await call(headrace.url, "GET", "/api/docs")

    assert [{"url": BASE}] == described.body["servers"]
    headings = re.findall(r"<code>[A-Z]+ (\S+)</code>", page.body.decode())
    assert headings
    assert all(path.startswith(f"{BASE}/") for path in headings)


@pytest.mark.gen_test
async def test_without_the_last_slash_people_are_sent_on(headrace: Server) -> None:
    sent = await call(headrace.url, "GET", f"{BASE}?at=x")

    assert (308, f"{BASE}/?at=x") == (sent.status, sent.headers["location"])
    assert 405 == (await call(headrace.url, "POST", BASE)).status


@pytest.mark.gen_test
async def test_where_none_is_set_nothing_is_said_of_one(serve: Serving) -> None:
    server = await serve.start()
    made = await call(server.url, "POST", "/api/v1/conversations", {})

    assert made.headers["location"].startswith("/api/v1/")
    assert 404 == (await call(server.url, "GET", f"{BASE}/healthz")).status
