"""A question in, a provider's stream out, the conversation kept."""

import asyncio
import json
from typing import Any

import pytest

from app.server import Server
from tests.auth_servers import AuthServers
from tests.readers import Reader, call
from tests.serving import Serving
from tests.steps import post, sending
from tests.upstreams import ScriptedUpstream


@pytest.mark.gen_test
async def test_tokens_arrive_as_they_come_and_the_conversation_is_kept(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("你", "好")
    reader = await Reader.ask(headrace.url, "问候")
    start = await reader.start()
    await reader.text("你好")  # before the upstream has said anything of an end
    upstream.tokens("！")
    upstream.finish()
    end = await reader.end()

    assert ("complete", "stop") == (end["status"], end["finish_reason"])
    assert {"input_tokens": 7, "output_tokens": 11} == end["usage"]
    assert "3-end" == reader.seen[-1].id
    path = f"/api/v1/conversations/{start['conversation_id']}"
    question, answer = (await call(headrace.url, "GET", f"{path}/messages")).body["data"]
    assert ("user", [{"type": "text", "text": "问候"}]) == (question["role"], question["blocks"])
    assert [{"type": "text", "text": "你好！"}] == answer["blocks"]
    assert (start["question_id"], start["answer_id"]) == (question["id"], answer["id"])
    assert ("complete", end["usage"]) == (answer["status"], answer["usage"])
    assert "问候" == (await call(headrace.url, "GET", path)).body["title"]


@pytest.mark.gen_test
async def test_every_stream_has_the_headers_that_keep_it_flowing(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.finish()
    reader = await Reader.ask(headrace.url)
    expected = {
        "content-type": "text/event-stream; charset=utf-8",
        "cache-control": "no-cache, no-transform",
        "x-accel-buffering": "no",
        "connection": "keep-alive",
    }
    assert expected.items() <= reader.headers.items()
    assert "content-encoding" not in reader.headers


@pytest.mark.gen_test
async def test_reasoning_and_text_are_blocks_of_their_own(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.reasoning("hm")
    upstream.tokens("yes")
    upstream.finish()
    reader = await Reader.ask(headrace.url)
    await reader.end()
    deltas = [(seen.id, seen.data) for seen in reader.seen if seen.event == "delta"]
    assert [("2", {"reasoning": "hm"}), ("5", {"text": "yes"})] == deltas


@pytest.mark.gen_test
async def test_tool_calls_come_with_their_names_and_arguments(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.sample("openai-tools.sse")
    reader = await Reader.ask(headrace.url)
    end = await reader.end()
    calls: dict[int, dict[str, str]] = {}
    for seen in reader.seen:
        if "tool_call" in seen.data:
            piece = seen.data["tool_call"]
            call_so_far = calls.setdefault(piece["index"], {**piece, "arguments": ""})
            call_so_far["arguments"] += piece["arguments"]
    assert "tool_calls" == end["finish_reason"]
    assert [("get_weather", '{"city":"北京"}'), ("get_time", '{"tz":"Asia/Shanghai"}')] == [
        (entry["name"], entry["arguments"]) for entry in calls.values()
    ]


@pytest.mark.gen_test
async def test_a_line_that_some_clients_would_cut_stays_one_line(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    text = "a\nb\r\u2028c\u2029d\u0085e 👨‍👩‍👧"
    upstream.tokens(text)
    upstream.finish()
    reader = await Reader.ask(headrace.url)
    await reader.text(text)
    raw = json.dumps(reader.seen[1].data)
    assert "\u2028" not in raw


@pytest.mark.gen_test
async def test_the_question_takes_knobs_history_and_system_prompt_along(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("one")
    upstream.finish()
    first = await Reader.ask(headrace.url, "q1", system="Be brief.")
    await first.end()
    path = f"/api/v1/conversations/{first.seen[0].data['conversation_id']}/messages"
    knobs = {"temperature": 0.5, "top_p": 0.9, "max_tokens": 10, "stop": ["END"]}
    second = await Reader.open(headrace.url, "POST", path, {"content": "q2", **knobs})
    await second.end()
    asked = (await upstream.request(1)).json
    assert [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "q1"},
        {"role": "assistant", "content": "one"},
        {"role": "user", "content": "q2"},
    ] == asked["messages"]
    assert knobs.items() <= asked.items()


@pytest.mark.gen_test
async def test_a_whole_number_may_be_written_with_a_point(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.finish()
    await (await Reader.ask(headrace.url, max_tokens=10.0)).end()
    sent = (await upstream.request()).json["max_tokens"]
    assert (10, int) == (sent, type(sent))


@pytest.mark.gen_test
async def test_history_is_the_newest_that_fits_and_begins_with_a_question(
    serve: Serving, providers, upstream: ScriptedUpstream
) -> None:
    server = await serve.start(providers=providers, context={"max_chars": 30})
    upstream.tokens("a" * 10)
    upstream.finish()
    conversation = None
    for number in range(4):
        body = {"conversation_id": conversation} if conversation else {}
        reader = await Reader.ask(server.url, str(number) * 10, **body)
        await reader.end()
        conversation = reader.seen[0].data["conversation_id"]
    asked = (await upstream.request(3)).json["messages"]
    # The last answer and its question fit beside the new question; the answer before does not.
    assert ["2" * 10, "a" * 10, "3" * 10] == [message["content"] for message in asked]


@pytest.mark.gen_test
async def test_json_is_the_whole_message_once_it_ended(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("a", "b")
    upstream.finish()
    headers = {"Accept": "application/json"}
    answer = await call(headrace.url, "POST", "/api/v1/chat", {"content": "q"}, headers=headers)
    assert (200, "complete") == (answer.status, answer.body["status"])
    assert [{"type": "text", "text": "ab"}] == answer.body["blocks"]
    assert "owner" not in answer.body


@pytest.mark.gen_test
async def test_json_of_a_failed_answer_is_an_error_with_the_message_beside_it(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.fail(429, {"error": {"code": "rate_limit_exceeded", "message": "sk-secret"}})
    headers = {"Accept": "application/json"}
    answer = await call(headrace.url, "POST", "/api/v1/chat", {"content": "q"}, headers=headers)
    assert (503, "provider_rate_limited") == (answer.status, answer.body["error"]["code"])
    assert "failed" == answer.body["message"]["status"]
    assert "rate_limit_exceeded" == answer.body["error"]["provider_code"]
    assert "rate_limit_exceeded" == answer.body["message"]["error"]["provider_code"]
    assert "sk-secret" not in str(answer.body)


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("text/event-stream", "text/event-stream; charset=utf-8"),
        ("*/*", "text/event-stream; charset=utf-8"),
        ("text/event-stream, application/json;q=0.5", "text/event-stream; charset=utf-8"),
        ("application/json, text/plain, */*", "application/json; charset=utf-8"),
    ],
)
@pytest.mark.gen_test
async def test_accept_chooses_the_form(
    headrace: Server, upstream: ScriptedUpstream, accept: str, kind: str
) -> None:
    upstream.finish()
    answer = await call(
        headrace.url, "POST", "/api/v1/chat", {"content": "q"}, headers={"Accept": accept}
    )
    assert kind == answer.headers["content-type"]


@pytest.mark.gen_test
async def test_a_form_that_we_do_not_have_is_refused_before_anything_is_kept(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    refused = await call(
        headrace.url, "POST", "/api/v1/chat", {"content": "q"}, headers={"Accept": "image/png"}
    )
    listed = await call(headrace.url, "GET", "/api/v1/conversations")
    assert (406, [], []) == (refused.status, listed.body["data"], upstream.requests)


@pytest.mark.gen_test
async def test_respond_async_says_where_the_answer_can_be_read(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("a")
    headers = {"Prefer": "respond-async"}
    accepted = await call(headrace.url, "POST", "/api/v1/chat", {"content": "q"}, headers=headers)
    assert (202, "respond-async") == (accepted.status, accepted.headers["preference-applied"])
    reader = await Reader.open(headrace.url, "GET", accepted.body["events_url"])
    start = await reader.start()
    assert (
        start.items() >= {key: accepted.body[key] for key in ("answer_id", "question_id")}.items()
    )
    await reader.text("a")
    upstream.finish()
    assert "complete" == (await reader.end())["status"]


@pytest.mark.gen_test
async def test_who_never_comes_for_their_answer_has_abandoned_it(
    serve: Serving, providers, upstream: ScriptedUpstream
) -> None:
    server = await serve.start(providers=providers, relay={"attach_seconds": 0.05})
    upstream.tokens("a")
    headers = {"Prefer": "respond-async"}
    accepted = await call(server.url, "POST", "/api/v1/chat", {"content": "q"}, headers=headers)
    await upstream.closed.wait()
    reader = await Reader.open(server.url, "GET", accepted.body["events_url"])
    assert "abandoned" == (await reader.end())["status"]


@pytest.mark.gen_test
async def test_one_conversation_has_one_live_answer(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("a")
    reader = await Reader.ask(headrace.url)
    start = await reader.start()
    path = f"/api/v1/conversations/{start['conversation_id']}/messages"
    busy = await call(headrace.url, "POST", path, {"content": "again"})
    assert (409, "conversation_busy") == (busy.status, busy.body["error"]["code"])
    assert start["answer_id"] == busy.body["error"]["answer_id"]
    upstream.finish()
    await reader.end()
    assert 1 == len(upstream.requests)  # the refused question never left for the provider
    assert 200 == (await Reader.open(headrace.url, "POST", path, {"content": "again"})).status


@pytest.mark.slow
@pytest.mark.gen_test
async def test_fifty_questions_at_once_in_one_conversation_have_one_winner(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("a")
    made = await call(headrace.url, "POST", "/api/v1/conversations", {})
    path = f"/api/v1/conversations/{made.body['id']}/messages"
    readers = await asyncio.gather(
        *(Reader.open(headrace.url, "POST", path, {"content": str(n)}) for n in range(50))
    )
    assert {200: 1, 409: 49} == {
        status: sum(reader.status == status for reader in readers) for status in (200, 409)
    }
    upstream.finish()
    for reader in readers:
        reader.close()


@pytest.mark.gen_test
async def test_a_conversations_own_model_is_asked_unless_the_question_names_one(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.finish()
    made = await call(headrace.url, "POST", "/api/v1/conversations", {"model": "openai/own"})
    for body in ({}, {"model": "openai/other"}):
        reader = await Reader.ask(headrace.url, conversation_id=made.body["id"], **body)
        await reader.end()
    assert ["own", "other"] == [request.json["model"] for request in upstream.requests]


@pytest.mark.gen_test
async def test_an_http_1_0_clients_connection_is_closed_behind_the_answer(
    auth_servers: AuthServers, providers: Any, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("a")
    upstream.finish()
    server = await auth_servers.open(providers=providers)
    alice = await auth_servers.create_key("alice")
    question = post(b'{"content": "q"}', version="1.0", key=alice.key)
    stream, writer = await sending(server, question)
    response = await stream.read()  # which returns only when the other side closes
    assert response.endswith(b"\n\n")
    assert b'"status":"complete"' in response
    writer.close()
