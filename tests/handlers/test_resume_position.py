"""The position from which a reader resumes is found in the same way for all clients and routes."""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine
from tornado.ioloop import IOLoop

from app.server import Server
from handlers.errors import ApiError
from handlers.resume_position import ResumePosition, resume_position
from tests.readers import Reader, call
from tests.serving import Serving
from tests.steps import JSON, LATER, messages_of, new_conversation
from tests.upstreams import ScriptedUpstream

KEY = {"Idempotency-Key": "8e03978e"}
QUESTION = {"content": "hi", "on_disconnect": "finish"}


def saying(query: str = "", *headers: tuple[str, str]) -> HTTPServerRequest:
    """A request with these."""
    received = HTTPHeaders({"Host": "localhost"})
    for name, value in headers:
        received.add(name, value)
    line = RequestStartLine("GET", f"/{query}", "HTTP/1.1")
    return HTTPServerRequest(start_line=line, headers=received)


def as_header(text: str) -> str:
    """As Tornado gives a header whose bytes are UTF-8."""
    return text.encode().decode("latin-1")


LAST = "Last-Event-ID"


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (saying(), ResumePosition()),
        (saying("?after=34"), ResumePosition(34)),
        (saying("?after=34-end"), ResumePosition(34, ended=True)),
        (saying("?lastEventId=34"), ResumePosition(34)),
        (saying("?lastEventID=34"), ResumePosition(34)),
        (saying("?Last-Event-ID=34"), ResumePosition(34)),
        (saying("?last_event_id=34"), ResumePosition(34)),
        (saying("?evs_preamble=&evs_last_event_id=34"), ResumePosition(34)),
        (saying("", (LAST, "34")), ResumePosition(34)),
        (saying("", ("last-event-id", "007")), ResumePosition(7)),
        # What comes from the stream counts, and not what the address was opened with.
        (saying("?after=34&lastEventId=50"), ResumePosition(50)),
        (saying("?lastEventId=50&after=99"), ResumePosition(50)),
        (saying("?after=99&lastEventId=98", (LAST, "50")), ResumePosition(50)),
        (saying("?lastEventId=1&lastEventId=5"), ResumePosition(5)),
        (saying("?lastEventId=1&last_event_id=5"), ResumePosition(5)),
        # An app's header and its library's: `fetch` and XMLHttpRequest join them to one.
        (saying("", (LAST, "12, 34")), ResumePosition(34)),
        (saying("", (LAST, "12"), (LAST, "34-end")), ResumePosition(34, ended=True)),
        # What says nothing is passed over.
        (saying("?after="), ResumePosition()),
        (saying("?after"), ResumePosition()),
        (saying("?after=%20&lastEventId="), ResumePosition()),
        (saying("?after=34", (LAST, "")), ResumePosition(34)),
        (saying("?after=&lastEventId=34", (LAST, "")), ResumePosition(34)),
        (saying("?lastEventId=&after=34"), ResumePosition(34)),
        (saying("", (LAST, "34,")), ResumePosition(34)),
        (saying("?lastEvent=x&lasteventidx=y&afterwards=z"), ResumePosition()),
    ],
)
def test_what_a_request_says(request_: HTTPServerRequest, expected: ResumePosition) -> None:
    assert expected == resume_position(request_)


NO_IDS = ["x", "-1", "+3", "1e1", "0x3", "3_0", "34-END", "34-", "-end", "9" * 10, "٣", "null"]


@pytest.mark.parametrize("no_id", NO_IDS)
def test_what_is_no_id_is_refused_wherever_it_stands(no_id: str) -> None:
    header = as_header(no_id)

    for request in (
        saying("", (LAST, header)),
        saying("?after=3", (LAST, f"3, {header}")),
        saying(f"?after={quote(no_id)}", (LAST, "3")),
        saying(f"?after=3&lastEventId={quote(no_id)}"),
    ):
        with pytest.raises(ApiError) as refused:
            resume_position(request)
        assert "invalid_position" == refused.value.code


@pytest.mark.parametrize("query", ["%00", "%ff", "3%00", "3%0A", "undefined"])
def test_nothing_that_was_sent_is_taken_for_something_else(query: str) -> None:
    for name in ("after", "lastEventId"):
        with pytest.raises(ApiError, match="id of an event"):
            resume_position(saying(f"?{name}={query}"))


class Asked(NamedTuple):
    """A question that was asked under a key, how far its answer is, and where to come back to."""

    url: str
    path: str  # of the POST that asked it
    body: dict[str, Any]
    answer_id: str
    end: Callable[[], Awaitable[None]]

    async def post(self, query: str = "", **headers: str) -> Reader:
        """Send the same POST again, with a position."""
        sent = {**KEY, **_named(headers)}
        return await Reader.open(self.url, "POST", self.path + query, self.body, headers=sent)

    async def get(self, query: str = "", **headers: str) -> Reader:
        """Read its events."""
        path = f"/api/v1/answers/{self.answer_id}/events{query}"
        return await Reader.open(self.url, "GET", path, headers=_named(headers))


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


Ask = Callable[[str], Awaitable[Asked]]


@pytest.fixture(params=["here", "elsewhere"])
def ask(
    request: pytest.FixtureRequest,
    io_loop: IOLoop,
    serve: Serving,
    providers: dict[str, Any],
    upstream: ScriptedUpstream,
) -> Ask:
    """Ask by chat, messages or regenerate, and read 'Hello'; come back there or elsewhere."""
    settings: dict[str, Any] = {"providers": providers, "relay": {"checkpoint_seconds": 0.05}}
    is_elsewhere = request.param == "elsewhere"
    if is_elsewhere:
        settings["storage"] = {"url": request.getfixturevalue("mongo_url")}

    async def start() -> list[Server]:
        return [await serve.start(**settings) for _ in range(1 + is_elsewhere)]

    servers: list[Server] = io_loop.run_sync(start)

    async def path_for(route: str) -> str:
        if route == "chat":
            return "/api/v1/chat"
        if route == "messages":
            return f"{await new_conversation(servers[0])}/messages"
        upstream.finish()
        upstream.next_request()
        first = await call(servers[0].url, "POST", "/api/v1/chat", QUESTION, headers=JSON)
        return f"/api/v1/answers/{first.body['id']}/regenerate"

    async def asked(route: str) -> Asked:
        path = await path_for(route)
        body = {"on_disconnect": "finish"} if route == "regenerate" else QUESTION
        upstream.tokens("Hel", "lo")
        reader = await Reader.open(servers[0].url, "POST", path, body, headers=KEY)
        await reader.text("Hello")

        async def end() -> None:
            upstream.finish()
            await reader.end()

        return Asked(servers[-1].url, path, body, reader.answer_id, end)

    return asked


@pytest.mark.slow
@pytest.mark.parametrize("live", [True, False], ids=["live", "ended"])
@pytest.mark.parametrize("route", ["chat", "messages", "regenerate"])
@pytest.mark.gen_test
async def test_every_door_goes_on_behind_a_position_however_it_is_said(
    ask: Ask, upstream: ScriptedUpstream, route: str, live: bool
) -> None:
    asked = await ask(route)
    if not live:
        await asked.end()

    back = [
        await come(*query, **header)
        for come in (asked.post, asked.get)
        for query, header in (
            ([], {"Last_Event_ID": "3"}),
            (["?after=3"], {}),
            (["?lastEventId=3"], {}),
            (["?after=1&lastEventId=3"], {"Last_Event_ID": ""}),
        )
    ]
    if live:
        await asked.end()
    for reader in back:
        await reader.end()

    for reader in back:
        assert 200 == reader.status
        assert ("start", asked.answer_id) == (reader.seen[0].event, reader.answer_id)
        assert ("lo", "5-end") == (reader.so_far, reader.seen[-1].id)
    assert (2 if route == "regenerate" else 1) == len(upstream.requests)


@pytest.mark.slow
@pytest.mark.parametrize("route", ["chat", "messages", "regenerate"])
@pytest.mark.gen_test
async def test_every_route_tells_who_has_seen_the_end_to_stop(ask: Ask, route: str) -> None:
    asked = await ask(route)
    await asked.end()

    for come in (asked.post, asked.get):
        for query, header in (("", {"Last_Event_ID": "5-end"}), ("?lastEventId=5-end", {})):
            assert 204 == (await come(query, **header)).status


@pytest.mark.slow
@pytest.mark.gen_test
async def test_every_door_replaces_what_was_never_kept(ask: Ask) -> None:
    asked = await ask("chat")
    await asked.end()

    for come in (asked.post, asked.get):
        ahead = await come(Last_Event_ID="99")
        await ahead.end()
        assert ["start", "reset", "end"] == [seen.event for seen in ahead.seen]


@pytest.mark.slow
@pytest.mark.parametrize("header", [{}, {"Last_Event_ID": ""}, {"Last_Event_ID": "0"}])
@pytest.mark.gen_test
async def test_who_says_no_position_reads_all_of_it(ask: Ask, header: dict[str, str]) -> None:
    asked = await ask("chat")
    await asked.end()

    for come in (asked.post, asked.get):
        for query in ("", "?after=", "?lastEventId="):
            reader = await come(query, **header)
            await reader.end()
            assert "Hello" == reader.so_far


@pytest.mark.slow
@pytest.mark.parametrize("no_id", NO_IDS)
@pytest.mark.gen_test
async def test_a_question_with_what_is_no_position_is_refused_before_anything_is_kept(
    headrace: Server, upstream: ScriptedUpstream, no_id: str
) -> None:
    path = await new_conversation(headrace)

    for headers in (KEY, {}, {**KEY, **JSON}, {**KEY, **LATER}):
        for query, more in (("", {LAST: no_id}), (f"?after={quote(no_id)}", {LAST: "3"})):
            for route in ("/api/v1/chat", f"{path}/messages"):
                sent = {**headers, **more}
                refused = await call(headrace.url, "POST", route + query, QUESTION, headers=sent)
                told = refused.status, refused.body["error"]["code"]
                assert (400, "invalid_position") == told

    listed = await call(headrace.url, "GET", "/api/v1/conversations")
    assert 1 == len(listed.body["data"])
    assert [] == await messages_of(headrace, path)
    assert [] == upstream.requests
    asked = await call(headrace.url, "POST", "/api/v1/chat", QUESTION, headers={**KEY, **LATER})
    assert 202 == asked.status  # nor did it use up its key


@pytest.mark.slow
@pytest.mark.parametrize("last", ["3", "99", "5-end"])
@pytest.mark.parametrize("key", [KEY, {}], ids=["new key", "no key"])
@pytest.mark.gen_test
async def test_an_answer_that_is_begun_now_is_read_from_its_beginning(
    headrace: Server, upstream: ScriptedUpstream, key: dict[str, str], last: str
) -> None:
    upstream.tokens("Hello")
    upstream.finish()

    reader = await Reader.ask(headrace.url, headers={**key, LAST: last})
    await reader.end()

    assert ["start", "delta", "end"] == [seen.event for seen in reader.seen]
    assert "Hello" == reader.so_far


@pytest.mark.gen_test
async def test_what_is_no_stream_is_whole_whatever_the_position(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("Hello")
    upstream.finish()
    await (await Reader.ask(headrace.url, headers=KEY)).end()

    for last in ("3", "5-end"):
        sent = {**KEY, LAST: last}
        url, body = headrace.url, {"content": "hi"}
        whole = await call(url, "POST", "/api/v1/chat", body, headers={**sent, **JSON})
        later = await call(url, "POST", "/api/v1/chat", body, headers={**sent, **LATER})
        assert (200, "Hello") == (whole.status, whole.body["blocks"][0]["text"])
        assert 202 == later.status
