"""Streams of real providers through a running server: what readers get, what is stored and
billed.
"""

import math
import re
from typing import Any

import pytest

from app.server import Server
from tests.providers.reported.case import STOPPED, Case, d, fin, sse
from tests.providers.reported.cases import CASES
from tests.readers import Reader, Response, call
from tests.serving import Serving
from tests.steps import JSON
from tests.upstreams import ScriptedUpstream

KEYS = {
    "openai": {},
    "dashscope": {"api_key": "sk-example"},
    "qianfan": {"api_key": "bce-v3/example"},
    "qianfan-v1": {"access_token": ""},
}


def configured(upstream: ScriptedUpstream, dialect: str, **settings: Any) -> dict[str, Any]:
    """The settings of a provider that is `upstream`, in a dialect."""
    keys = {**KEYS[dialect], **({"access_token": upstream.token} if "v1" in dialect else {})}
    address = upstream.base_url(dialect)
    return {dialect: {"dialect": dialect, "base_url": address, **keys, **settings}}


async def asked(server: Server, dialect: str) -> Response:
    body = {"content": "hi", "model": f"{dialect}/m"}
    answered: Response = await call(server.url, "POST", "/api/v1/chat", body, headers=JSON)
    return answered


def sent_id(call_id: str) -> str:
    """The id that the provider sent for a call, "" if Headrace made it up for want of one."""
    return "" if re.fullmatch(r"call_[0-9a-f]{32}", call_id) else call_id


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.gen_test
async def test_the_field_is_told_kept_and_billed_as_it_is_meant(
    serve: Serving, upstream: ScriptedUpstream, case: Case
) -> None:
    server = await serve.start(providers=configured(upstream, case.dialect))
    headers = {"Content-Type": "text/event-stream", **case.headers}
    named = {name.replace("-", "_"): value for name, value in headers.items()}
    upstream.fail(case.status, case.body, **named)

    answered = await asked(server, case.dialect)
    message = answered.body if case.ending == STOPPED else answered.body["message"]
    blocks = message["blocks"]

    assert case.text == "".join(each["text"] for each in blocks if each["type"] == "text")
    assert case.reasoning == "".join(each["text"] for each in blocks if each["type"] == "reasoning")
    calls = [each for each in blocks if each["type"] == "tool_call"]
    assert case.calls == tuple(
        (sent_id(each["id"]), each["name"], each["arguments"]) for each in calls
    )
    assert all(each["id"] for each in calls)
    if case.ending == STOPPED:
        assert (200, "complete", case.finish) == (
            answered.status,
            message["status"],
            message["finish_reason"],
        )
    else:
        error = answered.body["error"]
        assert ("failed", case.ending) == (message["status"], error["code"])
        assert case.retry_after == error.get("retry_after")
        seconds = None if case.retry_after is None else str(math.ceil(case.retry_after))
        assert seconds == answered.headers.get("retry-after")
    if 200 <= case.status < 300:  # it was taken in, and so it cost
        assert message["usage"]["input_tokens"] > 0


@pytest.mark.gen_test
async def test_a_stream_says_when_to_ask_again(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.fail(429, {"error": {"code": "rate_limit_exceeded"}}, Retry_After="20")
    reader = await Reader.ask(headrace.url)
    error = (await reader.end())["error"]

    assert (True, 20.0) == (error["retryable"], error["retry_after"])
    kept = await Reader.come_back(headrace.url, reader.answer_id)
    again = (await kept.end())["error"]
    assert (True, 20.0) == (again["retryable"], again["retry_after"])


@pytest.mark.slow
@pytest.mark.parametrize("dialect", KEYS)
@pytest.mark.gen_test
async def test_a_question_behind_a_failed_answer_is_asked_as_one_turn(
    serve: Serving, upstream: ScriptedUpstream, dialect: str
) -> None:
    server = await serve.start(providers=configured(upstream, dialect))
    upstream.fail(500, {})
    upstream.next_request()
    upstream.tokens("yes")
    upstream.finish()
    model = {"model": f"{dialect}/m"}
    failed = await call(
        server.url, "POST", "/api/v1/chat", {"content": "one", **model}, headers=JSON
    )
    path = f"/api/v1/conversations/{failed.body['message']['conversation_id']}/messages"
    answered = await call(server.url, "POST", path, {"content": "two", **model}, headers=JSON)

    assert 200 == answered.status
    sent = upstream.requests[-1].json
    messages = sent.get("messages") or sent["input"]["messages"]
    assert [{"role": "user", "content": "one\n\ntwo"}] == messages


class TestSwitches:
    """Servers that are almost like OpenAI's, and a setting for each."""

    @pytest.mark.gen_test
    async def test_stream_options_can_be_left_out(
        self, serve: Serving, upstream: ScriptedUpstream
    ) -> None:
        settings = configured(upstream, "openai", stream_options=False)
        server = await serve.start(providers=settings)
        upstream.raw(sse(d(content="a"), fin("stop")))
        upstream.end()

        assert 200 == (await asked(server, "openai")).status
        assert "stream_options" not in upstream.requests[0].json

    @pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
    @pytest.mark.gen_test
    async def test_the_token_limit_has_the_name_that_is_set(
        self, serve: Serving, upstream: ScriptedUpstream, name: str
    ) -> None:
        settings = configured(upstream, "openai", max_tokens_name=name)
        server = await serve.start(providers=settings)
        upstream.raw(sse(d(content="a"), fin("stop")))
        upstream.end()
        body = {"content": "hi", "max_tokens": 5}
        await call(server.url, "POST", "/api/v1/chat", body, headers=JSON)

        sent = upstream.requests[0].json
        assert {name: 5} == {key: value for key, value in sent.items() if "max" in key}

    @pytest.mark.gen_test
    async def test_done_can_be_the_end(self, serve: Serving, upstream: ScriptedUpstream) -> None:
        server = await serve.start(providers=configured(upstream, "openai", done_ends=True))
        upstream.raw(sse(d(content="a")))
        upstream.end()

        answered = await asked(server, "openai")
        assert ("complete", "stop") == (answered.body["status"], answered.body["finish_reason"])
