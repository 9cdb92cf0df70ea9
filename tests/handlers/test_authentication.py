"""With `auth.mode = "keys"`: who has a key may enter, and for as long as it is good."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from app import application
from auth import api_keys
from handlers.authorization import Access
from handlers.base import BaseHandler
from model.messages import now
from tests.auth_servers import SECRET, AuthServers, live_reader, rechecked
from tests.faults import FaultyStorage
from tests.readers import Connection, Reader, call
from tests.serving import Serving
from tests.steps import JSON
from tests.storage.samples import api_key
from tests.upstreams import ScriptedUpstream

MODELS = ("GET", "/api/v1/models")
# With no look at the keys that are known while a test runs.
SELDOM = {"mode": "keys", "secret": SECRET, "recheck_seconds": 50}


@pytest.mark.gen_test
async def test_a_key_made_while_the_server_runs_opens_it(auth_servers: AuthServers) -> None:
    server = await auth_servers.open()
    alice = await auth_servers.create_key("alice")
    assert 200 == (await call(server.url, *MODELS, headers=alice.headers)).status
    lower = {"Authorization": f"bearer {alice.key}"}
    assert 200 == (await call(server.url, *MODELS, headers=lower)).status


@pytest.mark.slow
@pytest.mark.parametrize("header", [None, "", "Bearer", "Basic YWxpY2U6eA==", "Token x"])
@pytest.mark.gen_test
async def test_without_a_key_it_says_what_to_send(
    auth_servers: AuthServers, header: str | None
) -> None:
    server = await auth_servers.open()
    headers = {} if header is None else {"Authorization": header}
    refused = await call(server.url, *MODELS, headers=headers)
    code = refused.body["error"]["code"]
    assert 401 == refused.status
    if header == "Bearer":  # nothing after it
        assert "invalid_credentials" == code
    else:
        assert "credentials_required" == code
        assert 'Bearer realm="headrace"' == refused.headers["www-authenticate"]


@pytest.mark.gen_test
async def test_what_is_no_key_of_ours_opens_nothing(auth_servers: AuthServers) -> None:
    server = await auth_servers.open()
    alice = await auth_servers.create_key("alice")
    stranger = api_keys.make().text
    wrong = [
        stranger,
        alice.key[:-1],
        alice.key[:-1] + ("a" if alice.key[-1] != "a" else "b"),
        alice.key.upper(),
        f"hr_{alice.api_key_id}_{stranger.rpartition('_')[2]}",
        f"{alice.key}, Bearer {alice.key}",
        api_keys.digest(alice.key),
        "x" * 20_000,
        "é",
        "$gt",
    ]
    for text in wrong:
        refused = await call(server.url, *MODELS, headers={"Authorization": f"Bearer {text}"})
        assert (401, "invalid_credentials") == (refused.status, refused.body["error"]["code"])
        assert 'error="invalid_token"' in refused.headers["www-authenticate"]
    for path in (f"/api/v1/models?key={alice.key}", f"/api/v1/models?ticket={alice.key}"):
        assert 401 == (await call(server.url, "GET", path)).status
    cookie = {"Cookie": f"key={alice.key}; Authorization=Bearer {alice.key}"}
    assert 401 == (await call(server.url, *MODELS, headers=cookie)).status


@pytest.mark.gen_test
async def test_an_expired_key_is_told_from_a_wrong_one(auth_servers: AuthServers) -> None:
    server = await auth_servers.open()
    made = api_keys.make()
    over = now() - timedelta(seconds=1)
    key_storage = await auth_servers.key_storage()
    await key_storage.create_api_key(
        api_key(made.id, digest=api_keys.digest(made.text), expires_at=over)
    )
    refused = await call(server.url, *MODELS, headers={"Authorization": f"Bearer {made.text}"})
    assert (401, "expired_credentials") == (refused.status, refused.body["error"]["code"])
    good = await auth_servers.create_key("alice", days=1)
    assert 200 == (await call(server.url, *MODELS, headers=good.headers)).status


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
@pytest.mark.gen_test
async def test_signs_of_life_are_for_everybody(auth_servers: AuthServers, path: str) -> None:
    server = await auth_servers.open()
    assert 200 == (await call(server.url, "GET", path)).status


@pytest.mark.gen_test
async def test_a_proxy_another_host_and_another_origin_are_nothing_special(
    auth_servers: AuthServers,
) -> None:
    server = await auth_servers.open()
    alice = await auth_servers.create_key("alice")
    for extra in (
        {"X-Forwarded-For": "203.0.113.9", "Via": "1.1 proxy"},
        {"Host": "chat.example.org"},
        {"Origin": "https://example.org"},
    ):
        answered = await call(server.url, *MODELS, headers=alice.headers | extra)
        assert 200 == answered.status
        assert "access-control-allow-origin" not in answered.headers


@pytest.mark.gen_test
async def test_a_listed_origin_may_send_its_key(auth_servers: AuthServers) -> None:
    page = {"Origin": "https://app.example.org"}
    server = await auth_servers.open(cors={"allow_origins": [page["Origin"]]})
    asked = await call(server.url, "OPTIONS", "/api/v1/chat", headers=page)  # without a key
    assert (204, page["Origin"]) == (asked.status, asked.headers["access-control-allow-origin"])
    assert "Authorization" in asked.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in asked.headers
    refused = await call(server.url, *MODELS, headers=page)
    assert (401, page["Origin"]) == (
        refused.status,
        refused.headers["access-control-allow-origin"],
    )
    assert "WWW-Authenticate" in refused.headers["access-control-expose-headers"]


# Revoking


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_revoked_key_opens_nothing_within_a_look_and_other_keys_do(
    auth_servers: AuthServers, store: FaultyStorage
) -> None:
    server = await auth_servers.open()
    alice, again = await auth_servers.create_key("alice"), await auth_servers.create_key("alice")
    connection = await Connection.open(server.url)
    assert 200 == (await connection.call(*MODELS, headers=alice.headers)).status

    await auth_servers.revoke(alice)
    await rechecked(store)

    refused = await connection.call(*MODELS, headers=alice.headers)
    assert (401, "invalid_credentials") == (refused.status, refused.body["error"]["code"])
    assert 200 == (await connection.call(*MODELS, headers=again.headers)).status
    connection.close()


@pytest.mark.gen_test
async def test_revoking_closes_open_streams_and_nobody_elses(
    auth_servers: AuthServers, upstream: ScriptedUpstream, providers: dict[str, Any]
) -> None:
    server = await auth_servers.open(providers=providers)
    alice, bob = await auth_servers.create_key("alice"), await auth_servers.create_key("bob")
    upstream.tokens("Hel", "lo")
    theirs = await Reader.ask(server.url, headers=alice.headers)
    others = await Reader.ask(server.url, headers=bob.headers)
    await theirs.text("Hello")
    await others.text("Hello")

    await auth_servers.revoke(alice)
    async with asyncio.timeout(5):
        with pytest.raises(asyncio.IncompleteReadError):  # cut, without an end of any kind
            await theirs.end()
        await upstream.closed.wait()  # and nobody pays on

    assert 1 == server.event_streams.open_count
    upstream.tokens(" you")
    upstream.finish()
    await others.end()
    assert "Hello you" == others.so_far
    back = await call(
        server.url, "GET", f"/api/v1/answers/{theirs.answer_id}/events", headers=alice.headers
    )
    assert 401 == back.status


@pytest.mark.slow
@pytest.mark.gen_test
async def test_revoking_ends_one_who_waits_for_a_whole_answer(
    auth_servers: AuthServers, upstream: ScriptedUpstream, providers: dict[str, Any]
) -> None:
    server = await auth_servers.open(providers=providers)
    alice = await auth_servers.create_key("alice")
    upstream.tokens("Hel")
    question = {"content": "hi"}
    headers = alice.headers | JSON
    waiting = asyncio.create_task(
        call(server.url, "POST", "/api/v1/chat", question, headers=headers)
    )
    async with asyncio.timeout(5):
        await upstream.request()
        await auth_servers.revoke(alice)
        with pytest.raises(asyncio.IncompleteReadError):
            await waiting


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_stream_whose_key_runs_out_is_closed_as_well(
    auth_servers: AuthServers, upstream: ScriptedUpstream, providers: dict[str, Any]
) -> None:
    server = await auth_servers.open(providers=providers)
    made = api_keys.make()
    soon_over = now() + timedelta(seconds=1)
    key_storage = await auth_servers.key_storage()
    await key_storage.create_api_key(
        api_key(made.id, digest=api_keys.digest(made.text), expires_at=soon_over)
    )
    upstream.tokens("Hel")
    reader = await Reader.ask(server.url, headers={"Authorization": f"Bearer {made.text}"})
    await reader.text("Hel")
    async with asyncio.timeout(5):
        with pytest.raises(asyncio.IncompleteReadError):
            await reader.end()


@pytest.mark.slow
@pytest.mark.parametrize("store_url", ["mongo"], indirect=True)
@pytest.mark.gen_test
async def test_every_process_learns_of_a_revocation(
    auth_servers: AuthServers, upstream: ScriptedUpstream, providers: dict[str, Any]
) -> None:
    here, there = (
        await auth_servers.open(providers=providers),
        await auth_servers.open(providers=providers),
    )
    alice = await auth_servers.create_key("alice")
    reader = await live_reader(here, alice, upstream)
    path = f"/api/v1/answers/{reader.answer_id}/events"
    follower = await Reader.open(there.url, "GET", path, headers=alice.headers)
    await follower.text("Hel")

    await auth_servers.revoke(alice)
    async with asyncio.timeout(5):
        for stream in (reader, follower):
            with pytest.raises(asyncio.IncompleteReadError):
                await stream.end()
    for server in (here, there):
        assert 401 == (await call(server.url, *MODELS, headers=alice.headers)).status


# Acting for others


@pytest.mark.slow
@pytest.mark.gen_test
async def test_an_admin_asks_for_whom_they_name_and_nobody_else_may(
    auth_servers: AuthServers,
) -> None:
    server = await auth_servers.open()
    admin, alice = (
        await auth_servers.create_key("ops", admin=True),
        await auth_servers.create_key("李雷"),
    )
    made = await call(server.url, "POST", "/api/v1/conversations", {}, headers=alice.headers)
    path = f"/api/v1/conversations/{made.body['id']}"

    assert 404 == (await call(server.url, "GET", path, headers=admin.headers)).status
    as_alice = admin.headers | {"Headrace-User": "李雷"}
    for headers, user, may in (
        (alice.headers, "李雷", False),
        (admin.headers, "ops", True),
        (as_alice, "李雷", True),
    ):
        me = await call(server.url, "GET", "/api/v1/me", headers=headers)
        assert (user, may) == (me.body["user"], me.body["admin"])
    assert 200 == (await call(server.url, "GET", path, headers=as_alice)).status
    refused = await call(server.url, "GET", path, headers=alice.headers | {"Headrace-User": "ops"})
    assert (403, "admin_only") == (refused.status, refused.body["error"]["code"])
    for strange in ("", "x" * 257):
        bad = await call(
            server.url, "GET", path, headers=admin.headers | {"Headrace-User": strange}
        )
        assert (400, "invalid_user") == (bad.status, bad.body["error"]["code"])


@pytest.mark.slow
@pytest.mark.parametrize("values", [("alice", "bob"), ("alice", "alice"), ("alice", ""), ("", "")])
@pytest.mark.gen_test
async def test_two_users_at_once_are_no_user(
    auth_servers: AuthServers, values: tuple[str, str]
) -> None:
    server = await auth_servers.open()
    admin, alice = (
        await auth_servers.create_key("ops", admin=True),
        await auth_servers.create_key("alice"),
    )
    twice = dict(zip(("Headrace-User", "headrace-user"), values, strict=True))

    refused = await call(server.url, "GET", "/api/v1/me", headers=admin.headers | twice)
    assert (400, "invalid_user") == (refused.status, refused.body["error"]["code"])
    refused = await call(server.url, "GET", "/api/v1/me", headers=alice.headers | twice)
    assert (403, "admin_only") == (refused.status, refused.body["error"]["code"])


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_user_may_have_a_comma_in_their_name(auth_servers: AuthServers) -> None:
    server = await auth_servers.open()
    admin = await auth_servers.create_key("ops", admin=True)
    headers = admin.headers | {"Headrace-User": "alice,bob"}
    me = await call(server.url, "GET", "/api/v1/me", headers=headers)
    assert "alice,bob" == me.body["user"]


@pytest.mark.slow
@pytest.mark.gen_test
async def test_two_keys_at_once_open_nothing(auth_servers: AuthServers) -> None:
    server = await auth_servers.open()
    alice, bob = await auth_servers.create_key("alice"), await auth_servers.create_key("bob")
    for other in (bob.key, alice.key, ""):
        twice = alice.headers | {"authorization": f"Bearer {other}"}
        refused = await call(server.url, *MODELS, headers=twice)
        assert (401, "invalid_credentials") == (refused.status, refused.body["error"]["code"])


class Figures(BaseHandler):
    """A route as operators have them."""

    access = Access.ADMINS

    def get(self) -> None:
        self.write_json({"for": self.user})


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_route_for_admins_is_for_admins(
    auth_servers: AuthServers, serve: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(application, "ROUTES", [(r"/figures", Figures)])
    server = await auth_servers.open()
    admin, alice = (
        await auth_servers.create_key("ops", admin=True),
        await auth_servers.create_key("alice"),
    )
    figures = ("GET", "/figures")
    assert {"for": "ops"} == (await call(server.url, *figures, headers=admin.headers)).body
    refused = await call(server.url, *figures, headers=alice.headers)
    assert (403, "admin_only") == (refused.status, refused.body["error"]["code"])
    assert 401 == (await call(server.url, *figures)).status
    open_to_this_machine = await serve.start(file="another.db")
    assert {"for": "local"} == (await call(open_to_this_machine.url, *figures)).body


# While the store is away


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_key_that_nobody_knows_yet_waits_for_the_store_and_is_not_refused(
    auth_servers: AuthServers, store: FaultyStorage
) -> None:
    server = await auth_servers.open()
    alice = await auth_servers.create_key("alice")
    store.fail("api_keys")
    refused = await call(server.url, *MODELS, headers=alice.headers)
    assert (503, "storage_unavailable") == (refused.status, refused.body["error"]["code"])
    assert "retry-after" in refused.headers
    store.heal()
    assert 200 == (await call(server.url, *MODELS, headers=alice.headers)).status


@pytest.mark.slow
@pytest.mark.gen_test
async def test_an_event_source_whose_key_cannot_be_checked_is_told_to_come_back(
    auth_servers: AuthServers, store: FaultyStorage
) -> None:
    server = await auth_servers.open()
    alice = await auth_servers.create_key("alice")
    store.fail("api_keys")
    path = "/api/v1/answers/a-b/events"
    reader = await Reader.open(server.url, "GET", path, headers=alice.headers)
    assert (200, None, 1) == (reader.status, await reader.next(), len(reader.retries))


@pytest.mark.slow
@pytest.mark.gen_test
async def test_known_keys_open_through_an_outage_but_not_for_ever_and_streams_go_on(
    auth_servers: AuthServers,
    store: FaultyStorage,
    upstream: ScriptedUpstream,
    providers: dict[str, Any],
    expect_log: Any,
) -> None:
    server = await auth_servers.open(providers=providers)
    alice = await auth_servers.create_key("alice")
    reader = await live_reader(server, alice, upstream)
    store.fail("api_keys")
    await rechecked(store)
    assert 200 == (await call(server.url, *MODELS, headers=alice.headers)).status

    async with asyncio.timeout(10):  # twenty looks that fail
        while (await call(server.url, *MODELS, headers=alice.headers)).status != 503:
            await rechecked(store)

    upstream.tokens("lo")
    await reader.text("Hello")
    expect_log("headrace.auth", "API keys cannot be rechecked")
    store.heal()
    assert 200 == (await call(server.url, *MODELS, headers=alice.headers)).status


@pytest.mark.slow
@pytest.mark.gen_test
async def test_many_requests_with_one_key_ask_the_store_once(
    auth_servers: AuthServers, store: FaultyStorage
) -> None:
    server = await auth_servers.open(auth=SELDOM)
    alice = await auth_servers.create_key("alice")
    asked = (call(server.url, *MODELS, headers=alice.headers) for _ in range(20))
    assert {200} == {each.status for each in await asyncio.gather(*asked)}
    assert 1 == store.calls.count("api_keys")
