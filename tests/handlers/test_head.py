"""HEAD answers what GET would, less the body, on every path; of a stream, at once."""

import asyncio

import pytest

from app.server import Server
from tests.faults import FaultyStorage
from tests.readers import Connection, Reader, Response, call
from tests.serving import Serving
from tests.steps import LATER, sending, until
from tests.upstreams import ScriptedUpstream

# What differs from one response to the next, or says how a body is framed.
_OF_ONE_RESPONSE = {"x-request-id", "date", "content-length", "transfer-encoding"}


def _alike(response: Response) -> tuple[int, dict[str, str]]:
    headers = {
        name: value for name, value in response.headers.items() if name not in _OF_ONE_RESPONSE
    }
    return response.status, headers


async def _asked_twice(url: str, path: str, **headers: str) -> tuple[Response, str]:
    """GET's response and the Content-Length of HEAD; the rest of HEAD's response has to be the
    same.
    """
    connection = await Connection.open(url)
    head = await connection.call("HEAD", path, headers=headers)
    again = await connection.call("GET", path, headers=headers)  # nothing of a body was in between
    connection.close()
    assert _alike(head) == _alike(again)
    return again, head.headers.get("content-length", "none")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/healthz", 200),
        ("/api/v1/models", 200),
        ("/api/v1/me", 200),
        ("/readyz", 200),
        ("/metrics", 200),
        ("/api/v1/conversations", 200),
        ("/api/v1/conversations?limit=x", 400),
        ("/api/v1/conversations/none", 404),
        ("/api/v1/conversations/none/messages", 404),
        ("/api/v1/answers/none/events", 404),
        ("/api/v1/answers/none/events?after=x", 400),
        ("/api/v1/chat", 405),
        ("/api/v1/answers/none/stop", 405),
        ("/api/openapi.json", 200),
        ("/api/docs", 200),
        ("/nowhere", 404),
        ("/assets/none.js", 404),
    ],
)
@pytest.mark.gen_test
async def test_it_is_the_same_without_the_body(headrace: Server, path: str, status: int) -> None:
    got, length = await _asked_twice(headrace.url, path)

    assert status == got.status
    assert int(length) > 0
    if path != "/metrics":  # whose figures have changed by then, and so their digits
        assert int(length) == got.length


@pytest.mark.gen_test
async def test_numbers_have_it_on_a_port_of_their_own_too(serve: Serving) -> None:
    beside = (await serve.start(metrics={"port": 0})).metrics_url
    assert beside is not None

    head = await call(beside.removesuffix("/metrics"), "HEAD", "/metrics")

    assert 200 == head.status
    assert int(head.headers["content-length"]) > 0


@pytest.mark.gen_test
async def test_leaving_before_it_is_answered_is_no_error(
    store: FaultyStorage, headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("Hello")
    upstream.finish()
    reader = await Reader.ask(headrace.url)
    await reader.end()
    reader.close()
    path = f"/api/v1/answers/{reader.answer_id}/events"
    gate = store.hold("message")
    head = f"HEAD {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    _, writer = await sending(headrace, head)
    await gate.reached.wait()

    writer.close()
    await until(lambda: headrace.acceptor.connections == 0)
    gate.open.set()

    await until(lambda: not headrace.open_requests.count)  # and no traceback in the log


@pytest.mark.gen_test
async def test_of_a_live_stream_it_says_the_headers_and_ends(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("half")
    reader = await Reader.ask(headrace.url)
    await reader.text("half")
    path = f"/api/v1/answers/{reader.answer_id}/events"

    head = await call(headrace.url, "HEAD", path)

    assert (200, "text/event-stream; charset=utf-8") == (head.status, head.headers["content-type"])
    assert head.headers.keys().isdisjoint({"content-length", "transfer-encoding"})
    assert 1 == headrace.event_streams.open_count
    upstream.tokens(" more")
    await reader.text("half more")  # nobody left by it
    upstream.finish()
    await reader.end()
    for position, status in ((None, 200), ("4", 200), ("9-end", 204)):
        named = {} if position is None else {"Last-Event-ID": position}
        assert status == (await call(headrace.url, "HEAD", path, headers=named)).status
    assert 1 == len(upstream.requests)


@pytest.mark.gen_test
async def test_of_an_answer_that_waits_for_its_first_reader_it_is_none(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("kept")
    asked = await call(headrace.url, "POST", "/api/v1/chat", {"content": "q"}, headers=LATER)

    assert 200 == (await call(headrace.url, "HEAD", asked.body["events_url"])).status

    reader = await Reader.come_back(headrace.url, asked.body["answer_id"])
    await reader.text("kept")
    upstream.finish()
    assert "complete" == (await reader.end())["status"]


@pytest.mark.gen_test
async def test_the_connection_goes_on_behind_it(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("a")
    upstream.finish()
    reader = await Reader.ask(headrace.url)
    await reader.end()
    connection = await Connection.open(headrace.url)

    async with asyncio.timeout(5):
        for _ in range(3):
            path = f"/api/v1/answers/{reader.answer_id}/events"
            assert 200 == (await connection.call("HEAD", path)).status
            assert 200 == (await connection.call("GET", "/healthz")).status
    connection.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/healthz", "GET, HEAD, OPTIONS"),
        ("/api/v1/chat", "POST, OPTIONS"),
        ("/api/v1/conversations/x", "GET, HEAD, DELETE, PATCH, OPTIONS"),
        ("/api/v1/answers/x/events", "GET, HEAD, OPTIONS"),
        ("*", "GET, HEAD, POST, DELETE, PATCH, OPTIONS"),
    ],
)
@pytest.mark.gen_test
async def test_what_a_path_takes_is_told(headrace: Server, path: str, allowed: str) -> None:
    asked = await call(headrace.url, "OPTIONS", path)

    assert (204, allowed) == (asked.status, asked.headers["allow"])
    if path != "*":
        refused = await call(headrace.url, "PUT", path)
        assert (405, allowed) == (refused.status, refused.headers["allow"])
