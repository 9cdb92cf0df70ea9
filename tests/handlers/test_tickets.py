"""Tickets: an EventSource enters with one, again and again, and reads one answer with it."""

import asyncio
import time
from typing import Any

import pytest

from app.server import Server
from auth import tickets
from auth.principal import Principal
from auth.tickets import Tickets
from tests.auth_servers import SECRET, AuthServers, KeyHolder, live_reader, rechecked
from tests.faults import FaultyStorage
from tests.readers import Reader, call
from tests.upstreams import ScriptedUpstream


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """By how many seconds the tickets' clock is ahead."""
    ahead = [0.0]

    class Time:
        @staticmethod
        def time() -> float:
            return time.time() + ahead[0]

    monkeypatch.setattr(tickets, "time", Time)
    return ahead


async def ticket_url(server: Server, holder: KeyHolder, answer_id: str) -> str:
    path = f"/api/v1/answers/{answer_id}/ticket"
    given = await call(server.url, "POST", path, headers=holder.headers)
    assert 201 == given.status
    assert given.body["events_url"].endswith(f"?ticket={given.body['ticket']}")
    url: str = given.body["events_url"]
    return url


async def refused(server: Server, url: str) -> tuple[int, str]:
    answered = await call(server.url, "GET", url)
    return answered.status, answered.body["error"]["code"]


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_ticket_reads_its_answer_again_and_again(
    auth_servers: AuthServers, upstream: ScriptedUpstream, providers: dict[str, Any]
) -> None:
    server = await auth_servers.open(providers=providers)
    alice = await auth_servers.create_key("alice")
    live = await live_reader(server, alice, upstream)
    url = await ticket_url(server, alice, live.answer_id)
    for _ in range(2):
        reader = await Reader.open(server.url, "GET", url)
        await reader.text("Hel")
        reader.close()
    reader = await Reader.open(server.url, "GET", url, headers={"Last-Event-ID": "3"})
    upstream.tokens("lo")
    upstream.finish()
    await reader.end()
    assert "lo" == reader.so_far
    again = await Reader.open(server.url, "GET", url)
    await again.end()
    assert "Hello" == again.so_far
    stopped = await call(server.url, "GET", url, headers={"Last-Event-ID": "5-end"})
    assert 204 == stopped.status


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_ticket_opens_that_answers_events_and_nothing_else(
    auth_servers: AuthServers, upstream: ScriptedUpstream, providers: dict[str, Any]
) -> None:
    server = await auth_servers.open(providers=providers)
    alice = await auth_servers.create_key("alice")
    one = await live_reader(server, alice, upstream)
    upstream.next_request()
    other = await live_reader(server, alice, upstream)
    url = await ticket_url(server, alice, one.answer_id)
    ticket = url.partition("=")[2]

    elsewhere = url.replace(one.answer_id, other.answer_id)
    assert (401, "invalid_credentials") == await refused(server, elsewhere)
    for method, path in (
        ("POST", f"/api/v1/answers/{one.answer_id}/stop"),
        ("POST", f"/api/v1/answers/{one.answer_id}/ticket"),
        ("GET", "/api/v1/conversations"),
    ):
        no = await call(server.url, method, f"{path}?ticket={ticket}")
        assert (401, "credentials_required") == (no.status, no.body["error"]["code"])
        bearing = {"Authorization": f"Bearer {ticket}"}
        assert 401 == (await call(server.url, method, path, headers=bearing)).status


@pytest.mark.gen_test
async def test_a_ticket_is_good_for_a_minute_after_its_answers_end(
    auth_servers: AuthServers,
    upstream: ScriptedUpstream,
    providers: dict[str, Any],
    clock: list[float],
) -> None:
    server = await auth_servers.open(providers=providers)
    alice = await auth_servers.create_key("alice")
    live = await live_reader(server, alice, upstream)
    url = await ticket_url(server, alice, live.answer_id)
    clock[0] = 3600  # long, and the answer is live
    reader = await Reader.open(server.url, "GET", url)
    await reader.text("Hel")
    reader.close()
    clock[0] = 0
    upstream.finish()
    await live.end()
    for ahead, status in ((50, 200), (70, 401)):
        clock[0] = ahead
        assert status == (await call(server.url, "GET", url)).status
    assert (401, "ticket_expired") == await refused(server, url)
    late = await ticket_url(server, alice, live.answer_id)  # for one that ended long ago
    assert 200 == (await call(server.url, "GET", late)).status
    clock[0] += 70
    assert (401, "ticket_expired") == await refused(server, late)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_no_ticket_lives_for_longer_than_a_day(
    auth_servers: AuthServers,
    upstream: ScriptedUpstream,
    providers: dict[str, Any],
    clock: list[float],
) -> None:
    server = await auth_servers.open(providers=providers)
    alice = await auth_servers.create_key("alice")
    live = await live_reader(server, alice, upstream)
    url = await ticket_url(server, alice, live.answer_id)
    clock[0] = 24 * 3600 + 2
    assert (401, "ticket_expired") == await refused(server, url)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_revoking_the_key_ends_its_tickets_and_what_they_opened(
    auth_servers: AuthServers, upstream: ScriptedUpstream, providers: dict[str, Any]
) -> None:
    server = await auth_servers.open(providers=providers)
    alice = await auth_servers.create_key("alice")
    live = await live_reader(server, alice, upstream)
    url = await ticket_url(server, alice, live.answer_id)
    reader = await Reader.open(server.url, "GET", url)
    await reader.text("Hel")

    await auth_servers.revoke(alice)
    async with asyncio.timeout(5):
        with pytest.raises(asyncio.IncompleteReadError):
            await reader.end()
    assert (401, "invalid_credentials") == await refused(server, url)


@pytest.mark.slow
@pytest.mark.parametrize("store_url", ["mongo"], indirect=True)
@pytest.mark.gen_test
async def test_any_process_with_the_secret_takes_a_ticket(
    auth_servers: AuthServers, upstream: ScriptedUpstream, providers: dict[str, Any]
) -> None:
    here, there = (
        await auth_servers.open(providers=providers),
        await auth_servers.open(providers=providers),
    )
    alice = await auth_servers.create_key("alice")
    live = await live_reader(here, alice, upstream)
    reader = await Reader.open(there.url, "GET", await ticket_url(here, alice, live.answer_id))
    await reader.text("Hel")


@pytest.mark.slow
@pytest.mark.gen_test
async def test_what_is_no_ticket_of_ours_opens_nothing(
    auth_servers: AuthServers, upstream: ScriptedUpstream, providers: dict[str, Any]
) -> None:
    server = await auth_servers.open(providers=providers)
    alice = await auth_servers.create_key("alice")
    live = await live_reader(server, alice, upstream)
    url = await ticket_url(server, alice, live.answer_id)
    path, _, ticket = url.partition("=")
    payload, _, signature = ticket.partition(".")
    me = Principal("alice", api_key_id=alice.api_key_id)
    forged = [
        "",
        ".",
        payload,
        f".{signature}",
        f"{payload}.{signature[:-2]}",
        f"{payload}A.{signature}",
        f"{payload}.{signature}.{signature}",
        "%C3%A9.x",
        "%00",
        "x" * 5000,
        Tickets("another secret").issue(me, live.answer_id),
        Tickets(SECRET).issue(me, "another answer"),
        Tickets(SECRET).issue(Principal("alice"), live.answer_id),  # given to a token, not a key
        alice.key,
    ]
    for text in forged:
        assert (401, "invalid_credentials") == await refused(server, f"{path}={text}"), text


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_ticket_that_cannot_be_checked_for_now_has_its_holder_come_back(
    auth_servers: AuthServers,
    upstream: ScriptedUpstream,
    providers: dict[str, Any],
    store: FaultyStorage,
) -> None:
    here = await auth_servers.open(providers=providers)
    alice = await auth_servers.create_key("alice")
    live = await live_reader(here, alice, upstream)
    url = await ticket_url(here, alice, live.answer_id)
    await auth_servers.revoke(alice)
    await rechecked(store)
    bob = await auth_servers.create_key("bob")
    unknown = Tickets(SECRET).issue(Principal("bob", api_key_id=bob.api_key_id), live.answer_id)
    store.fail("api_keys")
    reader = await Reader.open(here.url, "GET", f"{url.partition('=')[0]}={unknown}")
    assert (200, None, 1) == (reader.status, await reader.next(), len(reader.retries))


@pytest.mark.gen_test
async def test_without_keys_tickets_are_given_and_none_is_needed(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("Hel")
    reader = await Reader.ask(headrace.url)
    await reader.text("Hel")
    given = await call(headrace.url, "POST", f"/api/v1/answers/{reader.answer_id}/ticket")
    for url in (given.body["events_url"], given.body["events_url"].partition("?")[0]):
        again = await Reader.open(headrace.url, "GET", url)
        await again.text("Hel")


def test_a_ticket_from_the_future_is_none(clock: list[float]) -> None:
    clock[0] = 3600
    future = Tickets(SECRET).issue(Principal("alice"), "a")
    clock[0] = 0
    with pytest.raises(tickets.InvalidCredentials):
        Tickets(SECRET).verify(future, "a")


@pytest.mark.parametrize("user", ["a", "李" * 256, '"\\\n', "🚀" * 256])
def test_whoever_may_be_a_user_gets_a_ticket_that_opens(user: str) -> None:
    principal = Principal(user, api_key_id="k" * 16)
    assert principal == Tickets(SECRET).verify(Tickets(SECRET).issue(principal, "a"), "a").principal
