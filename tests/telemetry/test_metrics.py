"""The metrics as Prometheus scrapes them, of real servers with real readers."""

import json
import time
from typing import Any

import pytest

from app.server import Server
from tests.auth_servers import AuthServers
from tests.faults import FaultyStorage
from tests.launching import Launcher
from tests.readers import Connection, Reader, call
from tests.scraping import scrape
from tests.serving import Serving
from tests.upstreams import ScriptedUpstream

MODEL = "openai/gpt-4o-mini"


@pytest.mark.gen_test
async def test_an_answer_is_counted_when_it_ends(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("one")
    reader = await Reader.ask(headrace.url)
    await reader.text("one")

    before = await scrape(headrace.url)
    upstream.finish(usage=(7, 2))
    end = await reader.end()
    after = await scrape(headrace.url)

    assert 0 == before.value("answers_total", model=MODEL, status="complete")
    assert (1, 1) == (before.value("live_answers"), before.value("readers"))
    assert 1 == before.value("upstream_connections", state="in_use")
    assert 1 == after.value("answers_total", model=MODEL, status="complete")
    assert 7 == after.value("tokens_total", model=MODEL, kind="input")
    assert 2 == after.value("tokens_total", model=MODEL, kind="output")
    assert 1 == after.value("first_token_seconds_count", model=MODEL)
    first_token_seconds = after.value("first_token_seconds_sum", model=MODEL)
    assert end["timing"]["first_token_ms"] == int(1000 * first_token_seconds)
    assert 1 == after.value("answer_seconds_count", model=MODEL)
    assert (0, 0) == (after.value("live_answers"), after.value("readers"))
    assert 0 == after.value("cancel_seconds_count")


@pytest.mark.gen_test
async def test_parts_of_usage_are_counted_where_the_provider_tells_of_them(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    read = {"cached_tokens": 30, "cache_write_tokens": 10}
    made = {"reasoning_tokens": 15}
    told = {"prompt_tokens": 50, "completion_tokens": 20, "total_tokens": 70}
    told |= {"prompt_tokens_details": read, "completion_tokens_details": made}
    upstream.tokens("one")
    upstream.raw(b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\n')
    upstream.raw(b'data: {"choices": [], "usage": %s}\n\n' % json.dumps(told).encode())
    upstream.raw(b"data: [DONE]\n\n")
    upstream.end()
    upstream.next_request()
    upstream.tokens("two")
    upstream.cut()

    reader = await Reader.ask(headrace.url)
    end = await reader.end()
    await (await Reader.ask(headrace.url)).end()
    scraped = await scrape(headrace.url)
    path = f"/api/v1/conversations/{reader.seen[0].data['conversation_id']}/messages"
    kept = (await call(headrace.url, "GET", path)).body["data"][-1]

    usage = {"input_tokens": 50, "output_tokens": 20, "cached_tokens": 30}
    usage |= {"cache_written_tokens": 10, "reasoning_tokens": 15}
    assert usage == end["usage"] == kept["usage"]
    parts = ("cached", "cache_written", "reasoning")
    assert [30, 10, 15] == [
        scraped.value("token_parts_total", model=MODEL, part=part) for part in parts
    ]
    assert 1 == scraped.value("uncertain_usage_total", model=MODEL, grade="estimated")


@pytest.mark.slow
@pytest.mark.gen_test
async def test_models_that_clients_think_up_make_no_series(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("x")
    upstream.finish()
    await (await Reader.ask(headrace.url, model="openai/first")).end()
    once = await scrape(headrace.url)
    for number in range(20):
        await (await Reader.ask(headrace.url, model=f"openai/m{number}")).end()
        assert 400 == (await Reader.ask(headrace.url, model=f"p{number}/m")).status

    many = await scrape(headrace.url)

    assert 21 == many.value("answers_total", model="other", status="complete")
    assert 20 == many.value("requests_refused_total", reason="unknown_model")
    assert {key for key in many.values if "unknown_model" not in str(key)} == once.values.keys()


@pytest.mark.gen_test
async def test_what_a_provider_refuses_is_counted_by_its_code(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.fail(429, {"error": {"code": "rate_limit_exceeded"}})
    await (await Reader.ask(headrace.url)).end()

    told = await scrape(headrace.url)

    assert 1 == told.value("upstream_errors_total", provider="openai", code="provider_rate_limited")
    assert 1 == told.value("answers_total", model=MODEL, status="failed")


@pytest.mark.gen_test
async def test_a_reader_who_leaves_shows_how_long_the_upstream_took_to_close(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("half")
    reader = await Reader.ask(headrace.url)
    await reader.text("half")
    reader.close()
    await upstream.closed.wait()
    await headrace.relay.idle()

    told = await scrape(headrace.url)

    assert 1 == told.value("answers_total", model=MODEL, status="abandoned")
    assert 1 == told.value("cancel_seconds_count")
    seconds = told.value("cancel_seconds_sum")
    assert seconds is not None
    assert 0 < seconds < 1


@pytest.mark.gen_test
async def test_a_store_that_takes_nothing_shows_as_backlog_and_delay(
    serve: Serving,
    providers: dict[str, Any],
    upstream: ScriptedUpstream,
    store: FaultyStorage,
) -> None:
    store.fail("append_chunks")
    server = await serve.start(providers=providers, relay={"checkpoint_seconds": 0.05})
    upstream.tokens("你好")
    reader = await Reader.ask(server.url)
    await reader.text("你好")
    await store.called("append_chunks", times=2)

    behind = await scrape(server.url)
    store.heal()
    while (kept := await scrape(server.url)).value("checkpoint_backlog_chars"):
        pass  # each look is a request

    assert 2 == behind.value("checkpoint_backlog_chars")
    delay = behind.value("checkpoint_delay_seconds")
    assert delay is not None
    assert delay >= 0.05
    assert 0 == kept.value("checkpoint_delay_seconds")
    assert 1 == kept.value("lease_held")
    upstream.finish()
    await reader.end()


@pytest.mark.gen_test
async def test_endings_that_are_not_stored_yet_are_counted(
    serve: Serving,
    providers: dict[str, Any],
    upstream: ScriptedUpstream,
    store: FaultyStorage,
) -> None:
    relay = {"checkpoint_seconds": 0.05, "lease_seconds": 0.3}
    server = await serve.start(providers=providers, relay=relay)
    store.fail("end_answer")
    upstream.tokens("x")
    upstream.finish()
    assert "interrupted" == (await (await Reader.ask(server.url)).end())["status"]

    told = await scrape(server.url)

    assert 1 == told.value("late_endings")
    assert 1 == told.value("answers_total", model=MODEL, status="interrupted")


@pytest.mark.slow
@pytest.mark.gen_test
async def test_an_answer_that_is_followed_from_another_process_is_counted_there(
    serve: Serving, providers: dict[str, Any], upstream: ScriptedUpstream, mongo_url: str
) -> None:
    shared = {"storage": {"url": mongo_url}, "providers": providers}
    owner, other = await serve.start(**shared), await serve.start(**shared)
    upstream.tokens("half")
    reader = await Reader.ask(owner.url)
    await reader.text("half")
    back = await Reader.come_back(other.url, reader.answer_id)
    await back.start()

    told = await scrape(other.url)

    assert (0, 1, 1) == (
        told.value("live_answers"),
        told.value("followed_answers"),
        told.value("readers"),
    )
    upstream.finish()
    await back.end()


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_loop_that_is_held_up_shows_as_lag(headrace: Server) -> None:
    time.sleep(0.6)  # noqa: ASYNC251 -- holding up the loop is the point
    while not (told := await scrape(headrace.url)).value("event_loop_lag_seconds_count"):
        pass  # each look is a request

    lag = told.value("event_loop_lag_seconds_sum")

    assert lag is not None
    assert lag > 0.3


@pytest.mark.parametrize("way", ["reuse_port", "listener"])
@pytest.mark.gen_test
async def test_a_port_that_is_shared_has_no_metrics_but_those_of_its_own_listener(
    serve: Serving, way: str
) -> None:
    settings: dict[str, Any] = {"metrics": {"port": 0}}
    if way == "reuse_port":
        settings["reuse_port"] = True
    server = await serve.start(**settings)

    elsewhere = await call(server.url, "GET", "/metrics")
    assert server.metrics_url is not None
    told = await scrape(server.metrics_url)

    assert (404, "metrics_elsewhere") == (elsewhere.status, elsewhere.body["error"]["code"])
    assert 1 == told.value("requests_refused_total", reason="metrics_elsewhere")
    beside = await call(server.metrics_url.removesuffix("/metrics"), "GET", "/api/v1/models")
    assert 404 == beside.status


@pytest.mark.gen_test
async def test_connections_that_are_too_many_are_counted(serve: Serving) -> None:
    server = await serve.start(limits={"connections": 1}, metrics={"port": 0})
    first = await Connection.open(server.url)
    await first.call("GET", "/healthz")

    refused = await call(server.url, "GET", "/api/v1/models")
    assert server.metrics_url is not None
    told = await scrape(server.metrics_url)

    assert 503 == refused.status
    assert (1, 1) == (told.value("connections"), told.value("connections_refused_total"))


@pytest.mark.gen_test
async def test_a_shared_port_without_a_listener_says_what_to_set(serve: Serving) -> None:
    server = await serve.start(reuse_port=True)

    told = await call(server.url, "GET", "/metrics")

    assert (404, "metrics_elsewhere") == (told.status, told.body["error"]["code"])
    assert "metrics.port" in told.body["error"]["message"]


@pytest.mark.gen_test
async def test_where_keys_are_asked_for_they_take_an_admins(auth_servers: AuthServers) -> None:
    server = await auth_servers.open()
    user, admin = (
        await auth_servers.create_key("alice"),
        await auth_servers.create_key("root", admin=True),
    )

    told = [
        await call(server.url, "GET", "/metrics", headers=headers)
        for headers in ({}, user.headers, admin.headers)
    ]

    assert [401, 403, 200] == [each.status for each in told]


@pytest.mark.gen_test
async def test_what_a_proxy_forwards_gets_no_metrics(headrace: Server) -> None:
    told = await call(headrace.url, "GET", "/metrics", headers={"X-Forwarded-For": "192.0.2.1"})

    assert 403 == told.status


@pytest.mark.slow
@pytest.mark.gen_test
async def test_each_process_on_one_port_is_a_target_of_its_own(
    launcher: Launcher, mongo_url: str
) -> None:
    base = f'port = {{}}\nreuse_port = true\n[storage]\nurl = "{mongo_url}"\n'
    launcher.settings.write_text(base.format(0))
    first, url = await launcher.serve(HEADRACE_METRICS__PORT="0")
    launcher.settings.write_text(base.format(url.rpartition(":")[2]))
    second, _ = await launcher.serve(HEADRACE_METRICS__PORT="0")
    targets = [_target(launcher.log(process)) for process in (first, second)]

    for number in range(40):  # whichever takes them
        await call(url, "GET", f"/nowhere{number}")
    told = [await scrape(target) for target in targets]

    assert targets[0] != targets[1]
    counts = [each.value("requests_refused_total", reason="not_found") or 0 for each in told]
    assert 40 == sum(counts)
    port = targets[0].removesuffix("/metrics").rpartition(":")[2]
    said = await launcher.refused("--config", str(launcher.settings), HEADRACE_METRICS__PORT=port)
    assert "metrics.port" in said
    assert 1 == said.count("\n")


def _target(log: str) -> str:
    return next(line for line in log.splitlines() if "metrics at " in line).rpartition(" ")[2]
