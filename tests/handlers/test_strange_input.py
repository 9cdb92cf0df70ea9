"""What comes in is hostile: headers, bodies and bytes that two servers would read differently."""

import logging
from pathlib import Path

import pytest

from app.server import Server
from tests.readers import Reader, call
from tests.serving import Serving
from tests.steps import JSON, LATER, messages_of, sending
from tests.upstreams import ScriptedUpstream


@pytest.mark.slow
@pytest.mark.parametrize("origin", ["http://[", "http://[::1", "http://]", "//", "%"])
@pytest.mark.gen_test
async def test_an_origin_that_is_no_address_is_refused_like_any_other(
    headrace: Server, origin: str
) -> None:
    refused = await call(headrace.url, "GET", "/api/v1/models", headers={"Origin": origin})
    assert (403, "foreign_origin") == (refused.status, refused.body["error"]["code"])


@pytest.mark.slow
@pytest.mark.parametrize("limit", ["9" * 5000, "%D9%A3", "%2B3", "3_0", "1e1", "-1", "0x3", "%00"])
@pytest.mark.gen_test
async def test_a_limit_that_is_no_small_number_is_refused(headrace: Server, limit: str) -> None:
    refused = await call(headrace.url, "GET", f"/api/v1/conversations?limit={limit}")
    assert (400, "invalid_limit") == (refused.status, refused.body["error"]["code"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "raw",
    [
        b'{"content": "x", "max_tokens": 1e30}',
        b'{"content": "x", "max_tokens": 0}',
        b'{"content": "x", "max_tokens": true}',
        b'{"content": "x", "temperature": 1e400}',
        b'{"content": "x", "temperature": NaN}',
        b'{"content": "x", "top_p": Infinity}',
        b'{"content": "x", "top_p": 0}',
        b'{"content": "x", "stop": ["a", "b", "c", "d", "e"]}',
        b'{"content": "x", "stop": [""]}',
        b'{"content": "x", "stop": "END"}',
        b'{"content": "x", "on_disconnect": {"grace": -1}}',
        b'{"content": "x", "on_disconnect": {"grace": 3601}}',
        b'{"content": "x", "on_disconnect": {"grace": "1"}}',
        b'{"content": "x", "on_disconnect": {"grace": 1, "more": 1}}',
        b'{"content": "x", "model": ""}',
        b'{"content": "x", "conversation_id": 7}',
        b'{"content": "x"} {}',
        b'\xef\xbb\xbf{"content": "x"}',
        b'{"content": "\xed\xa0\xbd"}',
        b'{"content": ' + b"[" * 100_000,
        b'{"x": ' + b'{"a":' * 100_000,
        b'{"content": [{"type": "text", "text": "x", "more": ' + b"[" * 100_000,
    ],
)
@pytest.mark.gen_test
async def test_a_strange_body_is_refused_before_anything_is_kept(
    headrace: Server, upstream: ScriptedUpstream, raw: bytes
) -> None:
    refused = await call(headrace.url, "POST", "/api/v1/chat", raw=raw)
    assert 400 == refused.status
    listed = await call(headrace.url, "GET", "/api/v1/conversations")
    assert ([], []) == (listed.body["data"], upstream.requests)


@pytest.mark.gen_test
async def test_an_error_names_the_field_and_does_not_repeat_its_value(headrace: Server) -> None:
    for raw in (
        b'{"content": "x", "on_disconnect": "canary"}',
        b'{"content": [{"type": "canary"}]}',
    ):
        refused = await call(headrace.url, "POST", "/api/v1/chat", raw=raw)
        assert "canary" not in str(refused.body)


@pytest.mark.gen_test
async def test_any_character_comes_back_as_it_was_sent(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    text = "\x00\x01\x1f\x7f\x85\u2028\u2029\ufeff\uffff👨‍👩‍👧\U0010ffff$.\\\"'"
    metadata = {text: text, "$where": "1", "": "", "a.b": ""}
    body = {"title": text, "system": text, "metadata": metadata}
    made = await call(headrace.url, "POST", "/api/v1/conversations", body)
    assert (201, body) == (made.status, {key: made.body[key] for key in body})
    path = f"/api/v1/conversations/{made.body['id']}"
    upstream.tokens(*text)
    upstream.finish()
    reader = await Reader.open(headrace.url, "POST", f"{path}/messages", {"content": text})
    await reader.text(text)
    await reader.end()
    asked = (await upstream.request()).json["messages"]
    assert [("system", text), ("user", text)] == [(each["role"], each["content"]) for each in asked]
    blocks = [{"type": "text", "text": text}]
    assert [blocks, blocks] == [message["blocks"] for message in await messages_of(headrace, path)]
    assert made.body["metadata"] == (await call(headrace.url, "GET", path)).body["metadata"]


HALVES = [
    (rb"\ud83d", "\ufffd"),
    (rb"cut \ud83d", "cut \ufffd"),
    (rb"\uDE00 cut", "\ufffd cut"),
    (rb"\ud83d\uD83D\uDe00", "\ufffd😀"),
    (rb"\ud83d\ude00\ude00", "😀\ufffd"),
    (rb"\ude00\ud83d", "\ufffd\ufffd"),
    (rb"\ud83d\u0041\n", "\ufffdA\n"),
    (rb"\ud83d\\ude00", "\ufffd\\ude00"),  # an escaped backslash, and letters
    (rb"\\ud83d\ud83d", "\\ud83d\ufffd"),
    (rb"\\\ud83d\\\\ud83d", "\\\ufffd\\\\ud83d"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("raw", "text"), HALVES)
@pytest.mark.gen_test
async def test_half_an_emoji_costs_nothing_but_itself(
    headrace: Server, upstream: ScriptedUpstream, raw: bytes, text: str
) -> None:
    body = b'{"title": "_", "system": "_", "metadata": {"_": "_"}}'.replace(b"_", raw)
    made = await call(headrace.url, "POST", "/api/v1/conversations", raw=body)
    path = f"/api/v1/conversations/{made.body['id']}"
    changed = await call(headrace.url, "PATCH", path, raw=body)
    upstream.tokens("a")
    upstream.finish()
    question = b'{"content": "_", "stop": ["_"]}'.replace(b"_", raw)
    parts = b'{"content": [{"type": "text", "text": "_"}], "system": "_"}'.replace(b"_", raw)
    for each in (question, parts):
        asked = await call(headrace.url, "POST", f"{path}/messages", headers=JSON, raw=each)
        assert 200 == asked.status

    kept = {"title": text, "system": text, "metadata": {text: text}}
    for told in (made, changed):
        assert kept == {name: told.body[name] for name in kept}
    sent = [(await upstream.request(number)).json for number in range(2)]
    assert [text] == sent[0]["stop"]
    for each in sent:
        assert ("system", text) == (each["messages"][0]["role"], each["messages"][0]["content"])
        assert ("user", text) == (each["messages"][-1]["role"], each["messages"][-1]["content"])
    questions = [each for each in await messages_of(headrace, path) if each["role"] == "user"]
    assert [text, text] == ["".join(b["text"] for b in each["blocks"]) for each in questions]


@pytest.mark.gen_test
async def test_a_half_is_one_question_under_its_key_and_passes_no_bound(headrace: Server) -> None:
    async def ask(raw: bytes, **headers: str) -> tuple[int, str]:
        asked = await call(headrace.url, "POST", "/api/v1/chat", headers=LATER | headers, raw=raw)
        error = asked.body.get("error")
        return asked.status, asked.body["answer_id"] if error is None else error["code"]

    key = {"Idempotency-Key": "k"}
    assert await ask(rb'{"content": "\ud83d"}', **key) == await ask(
        rb'{"content": "\ufffd"}', **key
    )
    for raw, told in (
        (rb'{"content": "%b"}' % (rb"\ud83d" * 174_763), (413, "body_too_large")),
        (rb'{"title": "\ud83d"}', (400, "invalid_body")),
        (b'{"content": "\\ud83d\0"}', (400, "invalid_json")),
        (rb'{"content": "\ud83d}', (400, "invalid_json")),
        (b'{"content": "\\ud83d\xed\xa0\xbd"}', (400, "invalid_json")),
        (rb'{"content": "\ud83"}', (400, "invalid_json")),
    ):
        assert told == await ask(raw)
    title = rb'{"title": "%b"}' % (rb"\ud83d" * 201)
    long = await call(headrace.url, "POST", "/api/v1/conversations", raw=title)
    assert (400, "invalid_body") == (long.status, long.body["error"]["code"])


@pytest.mark.slow
@pytest.mark.parametrize("end", ["\nERROR headrace.relay forged", "\n", "\r", "\x9b2J", "\x1b[2J"])
@pytest.mark.gen_test
async def test_a_model_that_nobody_has_cannot_write_lines_into_the_log(
    headrace: Server, upstream: ScriptedUpstream, caplog: pytest.LogCaptureFixture, end: str
) -> None:
    caplog.set_level(logging.INFO, "headrace")
    upstream.finish()
    body = {"content": "q", "model": f"openai/m{end}"}

    refused = await call(headrace.url, "POST", "/api/v1/chat", body, headers=JSON)

    assert (400, "invalid_body") == (refused.status, refused.body["error"]["code"])
    (line,) = (record.getMessage() for record in caplog.records)
    assert line.isprintable()
    assert [] == upstream.requests


@pytest.mark.slow
@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("text/event-stream;q=0, application/json", "application/json"),
        ("application/json;q=0, text/event-stream", "text/event-stream"),
        ("TEXT/EVENT-STREAM", "text/event-stream"),
        ("text/*", "text/event-stream"),
        ("application/*;q=0.5", "application/json"),
    ],
)
@pytest.mark.gen_test
async def test_a_form_that_is_not_wanted_is_not_sent(
    headrace: Server, upstream: ScriptedUpstream, accept: str, kind: str
) -> None:
    upstream.finish()
    headers = {"Accept": accept}
    answer = await call(headrace.url, "POST", "/api/v1/chat", {"content": "q"}, headers=headers)
    assert kind == answer.headers["content-type"].partition(";")[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    "prefer", ["respond-async", "Respond-Async", "wait=10, respond-async", "respond-async; x=1"]
)
@pytest.mark.gen_test
async def test_a_preference_is_understood_however_it_is_written(
    headrace: Server, upstream: ScriptedUpstream, prefer: str
) -> None:
    upstream.finish()
    headers = {"Prefer": prefer}
    answer = await call(headrace.url, "POST", "/api/v1/chat", {"content": "q"}, headers=headers)
    assert 202 == answer.status


_HEAD = b"POST /api/v1/chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
_CHUNKED = b'10\r\n{"content": "q"}\r\n0\r\n\r\n'


@pytest.mark.slow
@pytest.mark.parametrize(
    "request_bytes",
    [
        _HEAD + b"Content-Length: 16\r\nTransfer-Encoding: chunked\r\n\r\n" + _CHUNKED,
        _HEAD + b'Content-Length: 16\r\nContent-Length: 17\r\n\r\n{"content": "q"} ',
        _HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + _CHUNKED,
        _HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n" + _CHUNKED,
        _HEAD + b'Content-Length: +16\r\n\r\n{"content": "q"}',
        _HEAD + b'Content-Length: 0x10\r\n\r\n{"content": "q"}',
        _HEAD + b"Transfer-Encoding: chunked\r\n\r\n+10\r\n" + _CHUNKED[4:],
        _HEAD + b'Content-Length : 16\r\n\r\n{"content": "q"}',
        _HEAD + b'X: a\r\n\x00Content-Length: 16\r\n\r\n{"content": "q"}',
        _HEAD + b'Host: example.org\r\nContent-Length: 16\r\n\r\n{"content": "q"}',
    ],
)
@pytest.mark.gen_test
async def test_a_request_that_two_servers_would_read_differently_is_refused(
    headrace: Server, upstream: ScriptedUpstream, request_bytes: bytes
) -> None:
    stream, writer = await sending(headrace, request_bytes)
    head = await stream.readuntil(b"\r\n")
    writer.close()
    assert int(head.split()[1]) in (400, 403)
    listed = await call(headrace.url, "GET", "/api/v1/conversations")
    assert ([], []) == (listed.body["data"], upstream.requests)


@pytest.mark.gen_test
async def test_an_allowed_page_can_read_why_it_was_refused(serve: Serving) -> None:
    page = {"Origin": "https://app.example.org"}
    server = await serve.start(
        cors={"allow_origins": [page["Origin"]]}, limits={"max_body_bytes": 100}
    )
    for method, path, body, status in (
        ("GET", "/api/v1/nothing", None, 404),
        ("PUT", "/api/v1/conversations", {}, 405),
        ("POST", "/api/v1/chat", {}, 400),
        ("POST", "/api/v1/chat", {"content": "x" * 120}, 413),
        ("GET", "/api/v1/conversations/%ff", None, 400),
        ("GET", "/api/v1/answers/none/events", None, 404),
    ):
        refused = await call(server.url, method, path, body, headers=page)
        assert (status, page["Origin"], "Origin") == (
            refused.status,
            refused.headers["access-control-allow-origin"],
            refused.headers["vary"],
        )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/api/v1/conversations", {"GET", "HEAD", "POST", "OPTIONS"}),
        ("TRACE", "/api/v1/conversations/x", {"GET", "HEAD", "PATCH", "DELETE", "OPTIONS"}),
        ("GET", "/api/v1/chat", {"POST", "OPTIONS"}),
    ],
)
@pytest.mark.gen_test
async def test_a_method_that_a_path_does_not_take_is_told_those_it_takes(
    headrace: Server, method: str, path: str, allowed: set[str]
) -> None:
    refused = await call(headrace.url, method, path)
    asked = await call(headrace.url, "OPTIONS", path)

    assert (405, 204) == (refused.status, asked.status)
    for response in (refused, asked):
        assert allowed == set(response.headers["allow"].split(", "))


@pytest.mark.gen_test
async def test_every_code_that_is_sent_is_in_the_documentation(headrace: Server) -> None:
    documented = (Path(__file__).parents[2] / "docs/api.md").read_text("utf-8")
    for method, path in (
        ("GET", "/api/v1/conversations/%ff"),
        ("GET", "/api/v1/conversations?after=%ff"),
        ("PUT", "/api/v1/chat"),
        ("GET", "/api/v1/nothing"),
    ):
        refused = await call(headrace.url, method, path)
        assert f"`{refused.body['error']['code']}`" in documented


_DEEP = b"[" * 3000 + b"]" * 3000


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("path", "raw", "code"),
    [
        (
            "/v1/chat/completions",
            b'{"model": "openai/m", "messages": [{"role": "user", "content": "x"}], "x": "\xff"}',
            "invalid_json",
        ),
        ("/v1/chat/completions", b'{"model": "openai/m", "messages": %b}', "invalid_body"),
        ("/v1/chat/completions", b'{"model": "openai/m", "x": %b}', "invalid_body"),
        ("/v1/responses", b'{"input": "x", "prompt": %b}', "invalid_body"),
        (
            "/ai-sdk/chat",
            b'{"id": "c", "messages": [{"role": "user", "parts": %b}]}',
            "invalid_body",
        ),
        (
            "/ag-ui",
            b'{"threadId": "t", "runId": "r", "messages": [{}], "state": %b}',
            "invalid_body",
        ),
        ("/api/v1/chat", b'{"content": "x", "extra": {"x": %b}}', "invalid_body"),
    ],
)
async def test_what_nobody_can_decode_is_refused_in_every_protocol(
    headrace: Server, path: str, raw: bytes, code: str
) -> None:
    body = raw % _DEEP if b"%b" in raw else raw

    refused = await call(headrace.url, "POST", path, raw=body, headers=JSON)

    assert (400, code) == (refused.status, refused.code)


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("path", "param", "code"),
    [
        ("/input_items?limit=00000001", "limit", "invalid_limit"),
        ("?stream=true&starting_after=00000000001", "starting_after", "invalid_position"),
    ],
)
async def test_numbers_in_queries_of_responses_are_short(
    headrace: Server, upstream: ScriptedUpstream, path: str, param: str, code: str
) -> None:
    upstream.tokens("hello")
    upstream.finish()
    asked = await call(headrace.url, "POST", "/v1/responses", {"model": "openai/m", "input": "x"})

    refused = await call(headrace.url, "GET", f"/v1/responses/{asked.body['id']}{path}{'9' * 5000}")

    assert (400, code) == (refused.status, refused.code)
    assert param == refused.body["error"]["param"]
