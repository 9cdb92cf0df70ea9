"""`POST /v1/chat/completions` over HTTP: streams and whole answers, and how each of them ends."""

from collections.abc import Callable

import pytest

from app.server import Server
from handlers.wires.chat_completions import ChatCompletionsWire
from tests.handlers.openai.chat_steps import (
    DONE,
    MODEL,
    data_of,
    deltas,
    open_stream,
    refusal,
    streamed,
    whole,
)
from tests.readers import call
from tests.upstreams import ScriptedUpstream


@pytest.mark.gen_test
async def test_a_stream_is_chunks_of_one_completion(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("你好", "\u2028!")
    upstream.finish()

    *chunks, done = await streamed(headrace)

    assert DONE == done
    assert {("chat.completion.chunk", MODEL)} == {(c["object"], c["model"]) for c in chunks}
    assert 1 == len({(chunk["id"], chunk["created"]) for chunk in chunks})
    assert chunks[0]["id"].startswith("chatcmpl-")
    first, *texts, last = deltas(chunks)
    assert {"role": "assistant", "content": ""} == first
    assert "你好\u2028!" == "".join(text["content"] for text in texts)
    assert {} == last
    reasons = [chunk["choices"][0]["finish_reason"] for chunk in chunks]
    assert [None] * (len(chunks) - 1) + ["stop"] == reasons
    assert not any("usage" in chunk for chunk in chunks)


@pytest.mark.gen_test
async def test_a_whole_answer_is_a_completion(headrace: Server, upstream: ScriptedUpstream) -> None:
    upstream.tokens("Hel", "lo")
    upstream.finish()

    response = await whole(headrace)

    assert 200 == response.status
    body = response.body
    assert ("chat.completion", MODEL) == (body["object"], body["model"])
    (choice,) = body["choices"]
    assert {"role": "assistant", "content": "Hello", "refusal": None} == choice["message"]
    assert "stop" == choice["finish_reason"]
    usage = body["usage"]
    assert usage["prompt_tokens"] + usage["completion_tokens"] == usage["total_tokens"]


@pytest.mark.gen_test
async def test_a_stream_that_is_cut_ends_by_an_error(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("Hel")
    upstream.cut()

    data = await streamed(headrace)

    assert "stream_broken" == data[-1]["error"]["code"]
    assert DONE not in data
    assert not any(chunk["choices"][0]["finish_reason"] for chunk in data[:-1])


@pytest.mark.gen_test
async def test_a_whole_answer_that_is_cut_is_an_error(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("Hel")
    upstream.cut()

    response = await whole(headrace)

    assert (502, "stream_broken", None) == refusal(response)
    assert "true" == response.headers["x-should-retry"]


@pytest.mark.gen_test
async def test_a_bug_in_the_middle_of_a_stream_is_an_error(
    headrace: Server,
    upstream: ScriptedUpstream,
    monkeypatch: pytest.MonkeyPatch,
    expect_log: Callable[[str, str], None],
) -> None:
    def fail(*_: object) -> bytes:
        raise ArithmeticError

    expect_log("headrace.http", "request failed")
    stream = await open_stream(headrace)
    monkeypatch.setattr(ChatCompletionsWire, "growth", fail)
    upstream.tokens("Hel")
    upstream.finish()

    data = [each async for each in data_of(stream)]

    assert "internal_error" == data[-1]["error"]["code"]
    assert DONE not in data


@pytest.mark.gen_test
@pytest.mark.parametrize("path", ["/v1/embeddings", "/v1/chat/completions/x/y"])
async def test_what_is_not_there_is_refused_in_the_form_of_the_api(
    headrace: Server, path: str
) -> None:
    response = await call(headrace.url, "POST", path, {})

    assert (404, "not_found", None) == refusal(response)
    assert "not_found_error" == response.body["error"]["type"]


@pytest.mark.gen_test
async def test_leaving_cancels_and_nothing_is_kept(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("Hel")
    stream = await open_stream(headrace)
    asked = await upstream.request()

    stream.close()

    await asked.closed.wait()
    listed = await call(headrace.url, "GET", "/api/v1/conversations")
    assert [] == listed.body["data"]
