"""Headers that steer OpenAI's SDKs: what is left of limits, and whether to send a request again."""

from typing import Any

import pytest

from app.server import Server
from tests.handlers.openai.chat_steps import PATH, data_of, open_stream, refusal, user, whole
from tests.readers import call
from tests.serving import Serving
from tests.upstreams import ScriptedUpstream


@pytest.mark.gen_test
async def test_headers_tell_what_is_left(
    serve: Serving, providers: dict[str, Any], upstream: ScriptedUpstream
) -> None:
    limits = {"questions_per_minute": 2, "tokens_per_day": 1000}
    server = await serve.start(providers=providers, limits=limits)
    upstream.tokens("x")
    upstream.finish()

    first, second, refused = [await whole(server) for _ in range(3)]

    left = [r.headers["x-ratelimit-remaining-requests"] for r in (first, second, refused)]
    assert ["1", "0", "0"] == left
    assert "2" == first.headers["x-ratelimit-limit-requests"]
    assert first.headers["x-ratelimit-reset-requests"].endswith("s")
    assert "1000" == first.headers["x-ratelimit-limit-tokens"]
    assert (429, "too_many_questions", None) == refusal(refused)
    assert "rate_limit_error" == refused.body["error"]["type"]
    assert 0 < int(refused.headers["retry-after"]) <= 60
    assert "x-should-retry" not in refused.headers


@pytest.mark.gen_test
async def test_a_busy_conversation_is_not_asked_again(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("Hel")
    fields: dict[str, Any] = {"store": True, "metadata": {"conversation_id": "mine"}}
    stream = await open_stream(headrace, **fields)
    await upstream.request()

    refused = await whole(headrace, **fields)

    assert (409, "conversation_busy", None) == refusal(refused)
    assert "false" == refused.headers["x-should-retry"]
    stream.close()


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("status", "error", "expected", "retry"),
    [
        (429, {"code": "rate_limit_exceeded"}, (503, "provider_rate_limited", None), "true"),
        (429, {"code": "insufficient_quota"}, (503, "provider_quota_exceeded", None), "false"),
        (401, {"code": "invalid_api_key"}, (502, "provider_unauthorized", None), "false"),
    ],
)
async def test_what_a_provider_refuses_is_asked_again_if_that_may_help(
    headrace: Server,
    upstream: ScriptedUpstream,
    status: int,
    error: dict[str, str],
    expected: tuple[int, str, None],
    retry: str,
) -> None:
    upstream.fail(status, {"error": error})

    response = await whole(headrace)

    assert expected == refusal(response)
    assert retry == response.headers["x-should-retry"]


@pytest.mark.gen_test
async def test_a_stopped_answer_is_an_error_to_all_that_read_it(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("Hel")
    stream = await open_stream(headrace, store=True)
    data = data_of(stream)
    first = await anext(data)
    answer_id = first["id"].removeprefix("chatcmpl-")

    await call(headrace.url, "POST", f"/api/v1/answers/{answer_id}/stop")

    rest = [each async for each in data]
    assert "stopped" == rest[-1]["error"]["code"]
    kept = (await call(headrace.url, "GET", f"{PATH}/{first['id']}")).body
    assert "stopped" == kept["status"]


@pytest.mark.gen_test
@pytest.mark.parametrize(("given", "status"), [("finish", "complete"), ("cancel", "abandoned")])
async def test_the_header_says_what_leaving_means(
    headrace: Server, upstream: ScriptedUpstream, given: str, status: str
) -> None:
    upstream.tokens("Hel")
    headers = {"Headrace-On-Disconnect": given}
    stream = await open_stream(headrace, user("q"), headers=headers, store=True)
    first = await anext(data_of(stream))
    asked = await upstream.request()

    stream.close()
    if status == "complete":
        upstream.tokens("lo")
        upstream.finish()
    else:
        await asked.closed.wait()

    path = f"/api/v1/answers/{first['id'].removeprefix('chatcmpl-')}"
    ended = await call(headrace.url, "GET", f"{path}/events")
    assert f'"status":"{status}"' in ended.body.decode()


@pytest.mark.gen_test
@pytest.mark.parametrize("given", ["never", "-1", "3601", ""])
async def test_a_header_that_says_nothing_is_refused(headrace: Server, given: str) -> None:
    response = await whole(headrace, headers={"Headrace-On-Disconnect": given})

    assert (400, "invalid_on_disconnect", None) == refusal(response)


@pytest.mark.gen_test
async def test_models_are_listed_and_found(headrace: Server) -> None:
    listed = (await call(headrace.url, "GET", "/v1/models")).body

    assert "list" == listed["object"]
    for name in ("openai/some/model", "openai%2Fsome%2Fmodel"):
        found = await call(headrace.url, "GET", f"/v1/models/{name}")
        assert {
            "id": "openai/some/model",
            "object": "model",
            "created": 0,
            "owned_by": "openai",
        } == (found.body)
    missing = await call(headrace.url, "GET", "/v1/models/none")
    assert (404, "unknown_model", "model") == refusal(missing)
