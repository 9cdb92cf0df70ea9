"""What one user may have under way at a time: requests and streams, each with a bound."""

from typing import Any

import pytest

from settings import Settings
from tests.auth_servers import AuthServers
from tests.faults import FaultyStorage
from tests.handlers.test_unsent_responses import answered, silent_clients
from tests.readers import Reader, Response, call
from tests.serving import Serving
from tests.steps import until
from tests.upstreams import ScriptedUpstream

LIST = "/api/v1/conversations"


async def refusal(reader: Reader) -> str:
    """The code of an error in place of a stream."""
    assert 429 == reader.status
    assert "2" == reader.headers["retry-after"]
    length = int(reader.headers["content-length"])
    body = (await reader.stream.readexactly(length)).decode()
    reader.close()
    return body.split('"code":"')[1].split('"')[0]


def said(response: Response) -> tuple[int, str]:
    return response.status, response.body["error"]["code"]


@pytest.mark.gen_test
async def test_no_more_streams_are_opened_than_a_user_may_have_and_nothing_is_asked_for_them(
    serve: Serving, providers: Any, upstream: ScriptedUpstream, store: FaultyStorage
) -> None:
    server = await serve.start(providers=providers, limits={"streams_per_user": 3})
    upstream.tokens("a")
    readers = [await Reader.ask(server.url) for _ in range(2)]
    for reader in readers:
        await reader.text("a")
    readers.append(await Reader.come_back(server.url, readers[0].answer_id))
    store.calls.clear()

    asked = await refusal(await Reader.ask(server.url))
    read = await refusal(await Reader.come_back(server.url, readers[0].answer_id))

    assert ("too_many_streams", "too_many_streams") == (asked, read)
    assert not {"ask", "message", "answer_status"} & set(store.calls)
    assert 2 == len(upstream.requests)
    assert 200 == (await call(server.url, "GET", LIST)).status
    readers[2].close()
    await until(lambda: server.event_streams.open_count == 2)
    again = await Reader.come_back(server.url, readers[0].answer_id)
    await again.text("a")


@pytest.mark.gen_test
async def test_no_more_requests_are_answered_at_a_time_than_a_user_may_have_and_streams_are_none(
    serve: Serving, providers: Any, upstream: ScriptedUpstream, store: FaultyStorage
) -> None:
    server = await serve.start(providers=providers, limits={"requests_per_user": 1})
    upstream.tokens("a")
    readers = [await Reader.ask(server.url) for _ in range(3)]
    gate = store.hold("conversations")
    async with silent_clients(server) as clients:
        clients.ask(LIST)
        await gate.reached.wait()

        refused = await call(server.url, "GET", "/api/v1/me")

        assert (429, "too_many_requests") == said(refused)
        assert "2" == refused.headers["retry-after"]
        assert 200 == (await call(server.url, "GET", "/healthz")).status
        gate.open.set()
        for reader in readers:
            reader.close()
        await server.open_requests.wait_for_none(timeout=5)
    assert 200 == (await call(server.url, "GET", "/api/v1/me")).status


@pytest.mark.gen_test
async def test_a_response_that_nobody_takes_is_under_way_until_its_client_leaves(
    serve: Serving, providers: Any, upstream: ScriptedUpstream
) -> None:
    server = await serve.start(providers=providers, limits={"requests_per_user": 1})
    conversation_id, _ = await answered(server, upstream, "x" * 90_000)
    path = f"/api/v1/conversations/{conversation_id}/messages"

    async with silent_clients(server) as clients:
        clients.ask(path)
        await clients.all_wait()
        assert (429, "too_many_requests") == said(await call(server.url, "GET", "/api/v1/me"))

    await server.open_requests.wait_for_none(timeout=5)
    assert 0 == server.relay.unsent_budget.held
    assert 200 == (await call(server.url, "GET", "/api/v1/me")).status


@pytest.mark.gen_test
async def test_a_request_is_counted_off_however_it_ends(
    serve: Serving, providers: Any, upstream: ScriptedUpstream, store: FaultyStorage
) -> None:
    limits = {"requests_per_user": 1, "streams_per_user": 1}
    server = await serve.start(providers=providers, limits=limits)

    for _ in range(2):
        assert 404 == (await call(server.url, "GET", f"{LIST}/nothing")).status
        assert 404 == (await call(server.url, "GET", "/api/v1/answers/nothing/events")).status
        assert 400 == (await call(server.url, "POST", LIST, {"nothing": 1})).status
        upstream.tokens("a")
        upstream.finish()
        assert 200 == (await call(server.url, "POST", "/api/v1/chat", {"content": "q"})).status
        reader = await Reader.ask(server.url)
        await reader.end()
        reader.close()
        async with silent_clients(server) as clients:
            gate = store.hold("conversations")
            clients.ask(LIST)
            await gate.reached.wait()
        gate.open.set()
        await server.open_requests.wait_for_none(timeout=5)
    assert 200 == (await call(server.url, "GET", "/api/v1/me")).status


@pytest.mark.slow
@pytest.mark.gen_test
async def test_each_user_has_limits_of_their_own_and_an_admin_asks_on_theirs(
    auth_servers: AuthServers, providers: Any, upstream: ScriptedUpstream
) -> None:
    server = await auth_servers.open(providers=providers, limits={"streams_per_user": 1})
    alice, bob = await auth_servers.create_key("alice"), await auth_servers.create_key("bob")
    admin = await auth_servers.create_key("root", admin=True)
    for_alice = admin.headers | {"Headrace-User": "alice"}
    upstream.tokens("a")

    first = await Reader.ask(server.url, headers=for_alice)
    assert "too_many_streams" == await refusal(await Reader.ask(server.url, headers=alice.headers))
    theirs = await Reader.ask(server.url, headers=bob.headers)
    own = await Reader.ask(server.url, headers=admin.headers)

    assert [200] * 3 == [first.status, theirs.status, own.status]
    for reader in (first, theirs, own):
        reader.close()


def test_the_defaults_allow_a_person_with_many_tabs_and_a_backend() -> None:
    limits = Settings().limits
    assert limits.answers_per_user < limits.requests_per_user < limits.streams_per_user
    assert limits.connections == 10 * limits.streams_per_user
