"""Every answer ends in exactly one status, the true one, which is stored as readers received it."""

import asyncio
import logging

import pytest

from app.server import Server
from tests.readers import Reader, call
from tests.serving import Serving
from tests.upstreams import ScriptedUpstream


async def _failure(server: Server) -> tuple[str, str, str]:
    """Ask; the status, code and text that the reader got, which have to be what is stored."""
    reader = await Reader.ask(server.url)
    end = await reader.end()
    kept = await Reader.come_back(server.url, reader.answer_id)
    again = await kept.end()
    assert (end["status"], end["usage"], reader.so_far) == (
        again["status"],
        again["usage"],
        kept.so_far,
    )
    assert end["error"]["request_id"] == reader.headers["x-request-id"]
    return end["status"], end["error"]["code"], reader.so_far


@pytest.mark.slow
@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (401, {"error": {"code": "invalid_api_key"}}, "provider_unauthorized"),
        (429, {"error": {"code": "rate_limit_exceeded"}}, "provider_rate_limited"),
        (429, {"error": {"code": "insufficient_quota"}}, "provider_quota_exceeded"),
        (404, {"error": {"code": "model_not_found"}}, "model_not_found"),
        (500, b"<html>", "provider_overloaded"),
        (200, b"<html>", "provider_bad_response"),
        (200, {"error": {"code": "internal_error"}}, "provider_overloaded"),
    ],
)
@pytest.mark.gen_test
async def test_a_providers_no_is_told_by_its_code(
    headrace: Server, upstream: ScriptedUpstream, status: int, body: object, code: str
) -> None:
    upstream.fail(status, body)
    assert ("failed", code, "") == await _failure(headrace)


@pytest.mark.gen_test
async def test_an_upstream_that_breaks_off_never_makes_an_answer_complete(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("half")
    upstream.cut()
    assert ("failed", "stream_broken", "half") == await _failure(headrace)


@pytest.mark.gen_test
async def test_a_body_that_ends_properly_without_a_finish_mark_is_broken_too(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("half")
    upstream.raw(b"data: [DONE]\n\n")
    upstream.end()
    assert ("failed", "stream_broken", "half") == await _failure(headrace)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_an_answer_is_complete_by_its_finish_mark_even_if_the_body_stays_open(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.raw(
        b'data: {"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"stop"}]}\n\n'
    )
    reader = await Reader.ask(headrace.url)
    assert "complete" == (await reader.end())["status"]


@pytest.mark.gen_test
async def test_an_error_in_the_stream_keeps_what_came_before_it(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.sample("openai-error-midstream.sse")
    assert ("failed", "provider_overloaded", "已经输出一部分") == await _failure(headrace)


@pytest.mark.gen_test
async def test_a_provider_that_is_not_there(serve: Serving) -> None:
    nobody = {"dialect": "openai", "base_url": "http://127.0.0.1:9/v1"}
    server = await serve.start(providers={"nobody": nobody})
    assert ("failed", "provider_unreachable", "") == await _failure(server)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("timeouts", "tokens", "code"),
    [
        ({"first_token": 0.05}, [], "first_token_timeout"),
        ({"idle": 0.05}, ["a"], "idle_timeout"),
        ({"answer": 0.5}, ["a"], "answer_timeout"),
    ],
)
@pytest.mark.gen_test
async def test_each_timeout_has_its_own_code(
    serve: Serving, providers, upstream: ScriptedUpstream, timeouts, tokens, code
) -> None:
    server = await serve.start(providers=providers, timeouts=timeouts)
    upstream.silent()
    upstream.tokens(*tokens)
    assert ("failed", code, "".join(tokens)) == await _failure(server)
    assert upstream.closed.is_set()


@pytest.mark.gen_test
async def test_a_provider_may_have_its_own_timeout_for_the_first_token(
    serve: Serving, upstream: ScriptedUpstream
) -> None:
    provider = {"dialect": "ollama", "base_url": upstream.url, "first_token_timeout": 0.05}
    server = await serve.start(providers={"seed": provider})
    upstream.no_headers()
    assert ("failed", "first_token_timeout", "") == await _failure(server)


@pytest.mark.gen_test
async def test_a_model_may_take_its_time_to_be_loaded(
    serve: Serving, upstream: ScriptedUpstream
) -> None:
    provider = {"dialect": "ollama", "base_url": upstream.url}
    server = await serve.start(providers={"seed": provider}, timeouts={"first_token": 0.05})
    reader = await Reader.ask(server.url)
    await upstream.request()
    asyncio.get_running_loop().call_later(0.2, upstream.tokens, "a")
    await reader.text("a")
    upstream.finish()
    assert "complete" == (await reader.end())["status"]


@pytest.mark.gen_test
async def test_keep_alive_comments_are_no_first_token(
    serve: Serving, providers, upstream: ScriptedUpstream
) -> None:
    server = await serve.start(providers=providers, timeouts={"first_token": 0.1})
    for _ in range(50):
        upstream.raw(b": keep-alive\n\n")
    assert ("failed", "first_token_timeout", "") == await _failure(server)


@pytest.mark.gen_test
async def test_an_answer_past_its_bound_is_cut_and_what_fits_is_kept(
    serve: Serving, providers, upstream: ScriptedUpstream
) -> None:
    server = await serve.start(providers=providers, relay={"max_answer_chars": 10})
    upstream.tokens("12345", "67890", "x")
    assert ("failed", "answer_too_long", "1234567890") == await _failure(server)
    assert upstream.closed.is_set()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dialect", "settings"),
    [
        ("openai", {}),
        ("dashscope", {}),
        ("qianfan", {}),
        ("qianfan-v1", {"access_token": "24.scripted-token.0"}),
        ("anthropic", {"api_key": "sk-ant-example"}),
        ("ollama", {}),
        ("qianfan-v1", {"api_key": "ak", "secret_key": "sk"}),
    ],
)
@pytest.mark.gen_test
async def test_every_dialect_streams_stores_and_ends(
    serve: Serving, upstream: ScriptedUpstream, dialect: str, settings: dict[str, str]
) -> None:
    provider = {"dialect": dialect, "base_url": upstream.base_url(dialect), **settings}
    server = await serve.start(providers={"seed": provider})
    upstream.tokens("你", "好")
    reader = await Reader.ask(server.url, "问", model="seed/ERNIE-Speed-128K")
    await reader.text("你好")
    upstream.finish()
    end = await reader.end()
    assert ("complete", "stop", {"input_tokens": 7, "output_tokens": 11}) == (
        end["status"],
        end["finish_reason"],
        end["usage"],
    )
    kept = await Reader.come_back(server.url, reader.answer_id)
    await kept.end()
    assert "你好" == kept.so_far


@pytest.mark.gen_test
async def test_a_token_that_ran_out_is_renewed_and_the_question_asked_again(
    serve: Serving, upstream: ScriptedUpstream
) -> None:
    keys = {"api_key": "ak", "secret_key": "sk", "base_url": upstream.base_url("qianfan-v1")}
    server = await serve.start(providers={"ernie": {"dialect": "qianfan-v1", **keys}})
    upstream.tokens("a")
    upstream.finish()
    for _ in range(2):
        reader = await Reader.ask(server.url, model="ernie/ERNIE-Speed-128K")
        assert "complete" == (await reader.end())["status"]
        upstream.expire_token()
    assert (2, 3) == (len(upstream.token_requests), len(upstream.requests))


@pytest.mark.gen_test
async def test_no_words_and_no_keys_reach_the_log(
    serve: Serving, upstream: ScriptedUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "headrace")
    provider = {"dialect": "openai", "base_url": f"{upstream.url}/v1", "api_key": "sk-canary"}
    server = await serve.start(providers={"openai": provider})
    upstream.tokens("answer-canary")
    upstream.fail(500, {"error": {"message": "sk-canary question-canary"}})
    upstream.cut()
    reader = await Reader.ask(server.url, "question-canary", system="system-canary")
    await reader.end()
    await call(server.url, "GET", "/api/v1/conversations?after=query-canary")
    assert "Bearer sk-canary" == (await upstream.request()).headers["Authorization"]
    assert caplog.records
    assert "canary" not in caplog.text


@pytest.mark.gen_test
async def test_a_shutdown_interrupts_what_is_live_and_keeps_it(
    serve: Serving, providers, upstream: ScriptedUpstream
) -> None:
    server = await serve.start(providers=providers)
    upstream.tokens("half")
    reader = await Reader.ask(server.url)
    await reader.text("half")
    await serve.stop(server)
    assert "interrupted" == (await reader.end())["status"]
    assert upstream.closed.is_set()
    server = await serve.start(providers=providers)
    kept = await Reader.come_back(server.url, reader.answer_id)
    assert "interrupted" == (await kept.end())["status"]
    assert "half" == kept.so_far
