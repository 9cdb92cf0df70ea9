"""Servers tell receivers of answers that ended: once, again until it is accepted, and no others."""

import asyncio
import base64
import time
from types import SimpleNamespace
from typing import Any

import pytest

from tests.faults import FaultyStorage
from tests.readers import Reader, call
from tests.scraping import scrape
from tests.serving import Serving
from tests.steps import JSON
from tests.upstreams import ScriptedUpstream
from tests.webhook_receiver import Receiver, is_signed
from tests.webhooks.steps import QUESTION, answered, none_waits
from webhooks import posting, sender

Providers = dict[str, dict[str, Any]]


@pytest.mark.gen_test
async def test_an_answer_that_ended_is_told_once(
    serve: Serving,
    providers: Providers,
    upstream: ScriptedUpstream,
    receiver: Receiver,
    store: FaultyStorage,
) -> None:
    server = await serve.start(providers=providers, webhooks=[receiver.settings()])
    upstream.tokens("你好")
    upstream.finish()

    answer_id = await answered(server)
    (received,) = await receiver.requests(1)
    await none_waits(store, receiver)

    assert is_signed(received)
    assert f"evt_{answer_id}" == received.id
    assert {
        "id": f"evt_{answer_id}",
        "object": "event",
        "type": "response.completed",
        "data": {"id": f"resp_{answer_id}"},
        "created_at": int(received.headers["webhook-timestamp"]),
    } == received.event | {"created_at": int(received.headers["webhook-timestamp"])}
    assert abs(received.event["created_at"] - time.time()) < 10
    assert 1 == len(receiver.received)


@pytest.mark.gen_test
async def test_every_ending_has_its_event(
    serve: Serving, providers: Providers, upstream: ScriptedUpstream, receiver: Receiver
) -> None:
    server = await serve.start(providers=providers, webhooks=[receiver.settings()])

    upstream.tokens("a")
    upstream.finish("length")
    await answered(server)
    upstream.next_request()
    upstream.fail(400, {"error": {"message": "no"}})
    failed = await call(server.url, "POST", "/api/v1/chat", QUESTION, headers=JSON)
    assert failed.status >= 400
    upstream.next_request()
    upstream.tokens("b")
    reader = await Reader.ask(server.url)
    await reader.text("b")
    await call(server.url, "POST", f"/api/v1/answers/{reader.answer_id}/stop")
    upstream.next_request()
    upstream.tokens("c")
    left = await Reader.ask(server.url, on_disconnect="cancel")
    await left.text("c")
    left.close()

    events = [each.event["type"] for each in await receiver.requests(4)]
    assert {
        "response.incomplete": 1,
        "response.failed": 2,
        "response.cancelled": 1,
    } == {name: events.count(name) for name in events}


@pytest.mark.gen_test
async def test_a_webhook_is_told_of_the_events_that_it_names(
    serve: Serving,
    providers: Providers,
    upstream: ScriptedUpstream,
    receiver: Receiver,
    other: Receiver,
) -> None:
    hooks = [receiver.settings(events=["response.failed"]), other.settings()]
    server = await serve.start(providers=providers, webhooks=hooks)
    upstream.tokens("a")
    upstream.finish()
    await answered(server)
    upstream.next_request()
    upstream.fail(400, {"error": {"message": "no"}})
    await call(server.url, "POST", "/api/v1/chat", QUESTION, headers=JSON)

    await other.requests(2)
    (received,) = await receiver.requests(1)

    assert "response.failed" == received.event["type"]


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
@pytest.mark.gen_test
async def test_what_is_not_accepted_is_sent_again_signed_anew_under_its_id(
    serve: Serving,
    providers: Providers,
    upstream: ScriptedUpstream,
    receiver: Receiver,
    store: FaultyStorage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [1_000_000_000.0]
    monkeypatch.setattr(posting, "time", SimpleNamespace(time=lambda: clock[0]))
    receiver.status = 500
    server = await serve.start(providers=providers, webhooks=[receiver.settings()])
    upstream.tokens("a")
    upstream.finish()
    await answered(server)

    await receiver.requests(1)
    clock[0] += 600
    await receiver.requests(3)
    clock[0] = time.time()
    receiver.status = 204
    await none_waits(store, receiver)

    first, *others = receiver.received
    assert {(first.id, first.body)} == {(each.id, each.body) for each in others}
    assert "1000000000" == first.headers["webhook-timestamp"]
    assert "1000000600" == others[1].headers["webhook-timestamp"]
    assert first.headers["webhook-signature"] != others[1].headers["webhook-signature"]
    assert is_signed(others[-1])


@pytest.mark.usefixtures("quick")
@pytest.mark.gen_test
async def test_a_receiver_that_was_down_is_told_when_it_is_back(
    serve: Serving,
    providers: Providers,
    upstream: ScriptedUpstream,
    receiver: Receiver,
    store: FaultyStorage,
) -> None:
    server = await serve.start(providers=providers, webhooks=[receiver.settings()])
    await receiver.stop()
    upstream.tokens("a")
    upstream.finish()
    told = {await answered(server) for _ in range(20)}

    await receiver.start()
    await none_waits(store, receiver)

    assert {f"evt_{answer_id}" for answer_id in told} == {each.id for each in receiver.received}


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_receiver_that_wants_to_be_left_alone_is(
    serve: Serving,
    providers: Providers,
    upstream: ScriptedUpstream,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sender, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(sender, "POLL_SECONDS", 0.01)
    receiver.respond = lambda: b"HTTP/1.1 429 x\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"
    server = await serve.start(providers=providers, webhooks=[receiver.settings()])
    upstream.tokens("a")
    upstream.finish()
    await answered(server)

    first, second = await receiver.requests(2)

    assert second.at - first.at >= 0.99


@pytest.mark.gen_test
async def test_a_receiver_that_hangs_delays_neither_answers_nor_other_webhooks(
    serve: Serving,
    providers: Providers,
    upstream: ScriptedUpstream,
    receiver: Receiver,
    other: Receiver,
) -> None:
    receiver.is_silent = True
    hooks = [receiver.settings(), other.settings()]
    server = await serve.start(providers=providers, webhooks=hooks)
    upstream.tokens("a")
    upstream.finish()

    for _ in range(20):
        await answered(server)
    await other.requests(20)

    assert sender.AT_A_TIME == len(await receiver.requests(sender.AT_A_TIME))
    assert sender.AT_A_TIME == receiver.connections


@pytest.mark.gen_test
async def test_what_waits_for_a_place_is_sent_as_soon_as_there_is_one(
    serve: Serving,
    providers: Providers,
    upstream: ScriptedUpstream,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sender, "POLL_SECONDS", 600)
    monkeypatch.setattr(sender, "FIRST_PAUSE", 600)
    receiver.is_silent = True
    server = await serve.start(providers=providers, webhooks=[receiver.settings()])
    upstream.tokens("a")
    upstream.finish()
    asked = [await answered(server) for _ in range(sender.AT_A_TIME + 2)]
    await receiver.requests(sender.AT_A_TIME)
    receiver.is_silent = False

    receiver.cut()

    received = await receiver.requests(len(asked))
    assert {f"evt_{answer_id}" for answer_id in asked} == {each.id for each in received}


@pytest.mark.usefixtures("quick")
@pytest.mark.gen_test
async def test_after_a_day_an_event_is_dropped_with_a_line_and_a_count(
    serve: Serving,
    providers: Providers,
    upstream: ScriptedUpstream,
    receiver: Receiver,
    store: FaultyStorage,
    monkeypatch: pytest.MonkeyPatch,
    expect_log: Any,
) -> None:
    expect_log("headrace.webhooks", r"event for a webhook dropped .*reason=http_500 answer=")
    receiver.status = 500
    server = await serve.start(providers=providers, webhooks=[receiver.settings()])
    upstream.tokens("a")
    upstream.finish()
    await answered(server)
    await receiver.requests(2)

    monkeypatch.setattr(sender, "LIFETIME", sender.LIFETIME * 0)
    await none_waits(store, receiver)

    seen = await scrape(server.url)
    name = receiver.url.split("/")[2]
    assert 1 == seen.value("webhook_deliveries_total", webhook=name, result="dropped")
    assert 0 == seen.value("webhook_deliveries_total", webhook=name, result="sent")


@pytest.mark.usefixtures("quick")
@pytest.mark.gen_test
async def test_a_receiver_that_is_gone_is_not_asked_again(
    serve: Serving,
    providers: Providers,
    upstream: ScriptedUpstream,
    receiver: Receiver,
    store: FaultyStorage,
    expect_log: Any,
) -> None:
    expect_log("headrace.webhooks", "event for a webhook dropped .*reason=http_410")
    receiver.status = 410
    server = await serve.start(providers=providers, webhooks=[receiver.settings()])
    upstream.tokens("a")
    upstream.finish()

    await answered(server)
    await none_waits(store, receiver)

    assert 1 == len(receiver.received)


@pytest.mark.usefixtures("quick")
@pytest.mark.gen_test
async def test_metrics_count_what_is_sent_what_fails_and_what_waits(
    serve: Serving,
    providers: Providers,
    upstream: ScriptedUpstream,
    receiver: Receiver,
    store: FaultyStorage,
) -> None:
    server = await serve.start(providers=providers, webhooks=[receiver.settings()])
    name = receiver.url.split("/")[2]
    before = await scrape(server.url)
    assert [0, 0, 0, 0] == [
        before.value("webhook_deliveries_waiting", webhook=name),
        *(
            before.value("webhook_deliveries_total", webhook=name, result=result)
            for result in ("sent", "failed", "dropped")
        ),
    ]
    receiver.status = 503
    upstream.tokens("a")
    upstream.finish()

    await answered(server)
    async with asyncio.timeout(5):
        while not (await scrape(server.url)).value("webhook_deliveries_waiting", webhook=name):
            pass
    await receiver.requests(2)
    receiver.status = 200
    await none_waits(store, receiver)
    async with asyncio.timeout(5):
        while (await scrape(server.url)).value("webhook_deliveries_waiting", webhook=name):
            pass

    after = await scrape(server.url)
    assert 1 == after.value("webhook_deliveries_total", webhook=name, result="sent")
    assert 1 <= (after.value("webhook_deliveries_total", webhook=name, result="failed") or 0)


@pytest.mark.gen_test
async def test_a_server_that_stops_tells_of_the_answers_that_it_ends(
    serve: Serving, providers: Providers, upstream: ScriptedUpstream, receiver: Receiver
) -> None:
    server = await serve.start(providers=providers, webhooks=[receiver.settings()])
    upstream.tokens("a")
    reader = await Reader.ask(server.url)
    await reader.text("a")

    await serve.stop(server)

    (received,) = receiver.received
    assert ("response.failed", f"evt_{reader.answer_id}") == (
        received.event["type"],
        received.id,
    )


@pytest.mark.gen_test
async def test_a_server_that_stops_waits_for_no_receiver_and_the_next_one_tells_at_once(
    serve: Serving,
    providers: Providers,
    upstream: ScriptedUpstream,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sender, "_CLOSE_SECONDS", 0.1)
    receiver.is_silent = True
    hooks = [receiver.settings()]
    server = await serve.start(providers=providers, webhooks=hooks)
    upstream.tokens("a")
    upstream.finish()
    answer_id = await answered(server)
    await receiver.requests(1)

    await serve.stop(server)
    receiver.is_silent = False
    await serve.start(providers=providers, webhooks=hooks)

    assert [f"evt_{answer_id}"] * 2 == [each.id for each in await receiver.requests(2, 2)]


@pytest.mark.usefixtures("quick")
@pytest.mark.gen_test
async def test_a_changed_secret_signs_what_waits(
    serve: Serving, providers: Providers, upstream: ScriptedUpstream, receiver: Receiver
) -> None:
    receiver.status = 401
    old = "whsec_" + base64.b64encode(bytes(32)).decode()
    server = await serve.start(providers=providers, webhooks=[receiver.settings(secret=old)])
    upstream.tokens("a")
    upstream.finish()
    await answered(server)
    (first,) = await receiver.requests(1)
    assert not is_signed(first)
    assert is_signed(first, old)
    await serve.stop(server)

    receiver.status = 200
    await serve.start(providers=providers, webhooks=[receiver.settings()])

    assert is_signed((await receiver.requests(2, 30))[1])


@pytest.mark.gen_test
async def test_a_completion_that_is_stored_is_told_and_others_are_not(
    serve: Serving, providers: Providers, upstream: ScriptedUpstream, receiver: Receiver
) -> None:
    server = await serve.start(providers=providers, webhooks=[receiver.settings()])
    upstream.tokens("a")
    upstream.finish()
    asked = {"model": "openai/m", "messages": [{"role": "user", "content": "hi"}]}

    _, stored = [
        await call(server.url, "POST", "/v1/chat/completions", asked | {"store": is_stored})
        for is_stored in (False, True)
    ]
    await receiver.requests(1)
    await serve.stop(server)  # which sends what is left

    assert 200 == stored.status
    answer_id = stored.body["id"].removeprefix("chatcmpl-")
    assert [f"evt_{answer_id}"] == [each.id for each in receiver.received]


@pytest.mark.gen_test
async def test_a_store_that_fails_delays_and_loses_nothing(
    serve: Serving,
    providers: Providers,
    upstream: ScriptedUpstream,
    receiver: Receiver,
    store: FaultyStorage,
    expect_log: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sender, "POLL_SECONDS", 0.05)
    expect_log("headrace.webhooks", "deliveries to webhooks are not read from the store")
    server = await serve.start(providers=providers, webhooks=[receiver.settings()])
    store.fail("claim_deliveries", times=3)
    upstream.tokens("a")
    upstream.finish()

    answer_id = await answered(server)

    assert f"evt_{answer_id}" == (await receiver.requests(1))[0].id


@pytest.mark.gen_test
async def test_without_webhooks_nothing_is_stored_and_no_client_is_made(
    serve: Serving, providers: Providers, upstream: ScriptedUpstream, store: FaultyStorage
) -> None:
    server = await serve.start(providers=providers)
    upstream.tokens("a")
    upstream.finish()

    await answered(server)

    assert "claim_deliveries" not in store.calls
    assert "webhook" not in " ".join((await scrape(server.url)).names)
