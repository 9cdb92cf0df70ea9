"""Options of a question: what is taken, what is refused, and what the model is asked with."""

import hashlib
from typing import Any

import msgspec
import pytest

from app.server import Server
from handlers.question_options import Options
from handlers.request_bodies import Chat
from model.blocks import ImageBlock, TextBlock, ToolResultBlock
from model.messages import Conversation, now
from model.prompt import OPTION_NAMES, NamedTool, Prompt, ResponseFormat, Tool
from relay.ask_request import AskRequest, Caller
from tests.readers import Response, call
from tests.serving import Serving
from tests.steps import JSON
from tests.upstreams import ScriptedUpstream

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOL = {"name": "weather", "description": "…", "parameters": SCHEMA, "strict": True}


def request_of(**fields: Any) -> AskRequest:
    """What a body with these fields asks for."""
    options = msgspec.json.decode(msgspec.json.encode(fields), type=Options)
    request = AskRequest(user="u", content="q")
    return options.of(request, idempotency_key=None, caller=Caller(), allowed=None)


def prompt_of(**fields: Any) -> Prompt:
    begun = now()
    conversation = Conversation(id="c", user="u", created_at=begun, updated_at=begun)
    return request_of(**fields).prompt("m", conversation, (), {})


def deep(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {"a": 1}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


async def ask(server: Server, **fields: object) -> Response:
    return await call(server.url, "POST", "/api/v1/chat", {"content": "q", **fields}, headers=JSON)


def refusal(response: Response) -> tuple[int, str]:
    return response.status, response.body["error"]["code"]


def test_every_option_of_a_prompt_can_be_set() -> None:
    values: dict[str, Any] = {
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "max_tokens": 10,
        "stop": ["x"],
        "seed": 7,
        "presence_penalty": -2,
        "frequency_penalty": 2.0,
        "reasoning_effort": "low",
        "reasoning_budget": 0,
        "response_format": {"type": "json_schema", "schema": SCHEMA, "name": "n", "strict": False},
        "tools": [TOOL, {"name": "time"}],
        "tool_choice": {"name": "time"},
        "parallel_tool_calls": False,
        "extra": {"service_tier": "flex", "thinking": {"type": "enabled"}},
    }
    assert set(OPTION_NAMES) == values.keys()

    asked = dict(prompt_of(**values).options())

    assert (
        values
        | {
            "stop": ("x",),
            "response_format": ResponseFormat(SCHEMA, "n", False),
            "tools": (Tool("weather", "…", SCHEMA, True), Tool("time")),
            "tool_choice": NamedTool("time"),
        }
        == asked
    )


def test_an_option_that_is_null_is_not_set() -> None:
    assert {} == dict(prompt_of(**dict.fromkeys(OPTION_NAMES)).options())


@pytest.mark.parametrize("name", ["top_k", "seed", "reasoning_budget", "max_tokens"])
def test_a_whole_number_may_be_written_as_a_float(name: str) -> None:
    asked = getattr(prompt_of(**{name: 3.0}), name)

    assert (3, int) == (asked, type(asked))


_REFUSED: list[dict[str, Any]] = [
    {"top_k": 0},
    {"top_k": 1.5},
    {"top_k": 2**31},
    {"seed": -1},
    {"seed": 2**31},
    {"presence_penalty": 2.1},
    {"frequency_penalty": -2.1},
    {"reasoning_effort": "extreme"},
    {"reasoning_budget": -1},
    {"response_format": {"type": "text"}},
    {"response_format": {"type": "json_schema"}},
    {"response_format": {"type": "json_schema", "schema": deep(65)}},
    {"response_format": {"type": "json_object", "schema": SCHEMA}},
    {"tools": [{"name": "two words"}]},
    {"tools": [{"name": "x" * 65}]},
    {"tools": [{"name": "w\n"}]},
    {"tools": [{"name": "w", "parameters": []}]},
    {"tools": [{"name": "w", "parameters": deep(65)}]},
    {"tools": [{"name": "w", "type": "function"}]},
    {"tools": [{"name": "w"}, {"name": "w"}]},
    {"tools": [{"name": f"w{n}"} for n in range(129)]},
    {"tool_choice": "auto"},
    {"tools": [], "tool_choice": "none"},
    {"parallel_tool_calls": True},
    {"tools": [TOOL], "tool_choice": {"name": "time"}},
    {"tools": [TOOL], "tool_choice": "any"},
    {"extra": []},
    {"extra": {"a": "x" * 16_384}},
    {"extra": {str(n): n for n in range(33)}},
    {"extra": deep(17)},
    {"extra": {"api_base": "x"}},
    {"extra": {"baseURL": None}},
    {"extra": {"a": [{"image_url": {}}]}},
    {"extra": {"API-Key": "sk-1"}},
    {"extra": {"a": {"Authorization": "Bearer x"}}},
    {"extra": {"extra_headers": {}}},
    {"extra": {"a": ["https://example.com"]}},
    {"extra": {"a": " //example.com"}},
    {"extra": {"a": "data:text/plain,x"}},
    {"content": []},
    {"content": [{"type": "text", "text": "x"}] * 257},
    {"content": [{"type": "text", "text": " "}]},
    {"content": [{"type": "tool_result", "id": "", "text": "x"}]},
    {"content": [{"type": "tool_result", "id": "x" * 1001, "text": "x"}]},
    {"content": [{"type": "tool_result", "id": "x"}]},
    {"content": [{"type": "image", "url": "http://x.test/a.png"}]},
    {"content": [{"type": "image", "url": "https://user:hunter2@x.test/a.png"}]},
    {"content": [{"type": "image", "url": "https://x.test/a b.png"}]},
    {"content": [{"type": "image", "url": "https://x.test/" + "a" * 2048}]},
    {"content": [{"type": "tool_call", "id": "x", "name": "y", "arguments": "{}"}]},
]


@pytest.mark.gen_test
async def test_what_is_out_of_range_is_refused_and_quoted_nowhere(
    headrace: Server, upstream: ScriptedUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")

    for fields in _REFUSED:
        refused = await ask(headrace, **fields)
        assert (400, "invalid_body") == refusal(refused), fields
        assert "hunter2" not in refused.body["error"]["message"]

    assert "hunter2" not in caplog.text
    assert [] == upstream.requests


@pytest.mark.parametrize(
    "fields",
    [
        {"top_k": 2**31 - 1, "seed": 0, "tools": [{"name": "x" * 64, "parameters": deep(64)}]},
        {"tools": [{"name": f"w{n}"} for n in range(128)], "tool_choice": "required"},
        {"extra": {str(n): n for n in range(32)}},
        {"extra": deep(16)},
        {"extra": {"prompt_cache_key": "a/b", "max_output_tokens": 1, "options": {"num_gpu": 1}}},
        {"extra": {"guided_regex": "a:b", "note": "see https://example.com"}},
    ],
)
def test_what_is_in_range_is_taken(fields: dict[str, Any]) -> None:
    request_of(**fields)


def test_parts_are_blocks_results_first_and_neighbouring_texts_joined() -> None:
    result = {"type": "tool_result", "id": "c", "text": "", "is_error": True}
    image = {"type": "image", "url": "https://x.test/a.png"}
    texts = [{"type": "text", "text": text} for text in ("a", "b")]
    body = {"content": [*texts, image, result, texts[0]]}

    text, blocks = msgspec.json.decode(msgspec.json.encode(body), type=Chat).text_and_parts()

    expected = (
        *(ToolResultBlock("c", "", True), TextBlock("ab")),
        *(ImageBlock(url="https://x.test/a.png"), TextBlock("a")),
    )
    assert ("", expected) == (text, blocks)


@pytest.mark.gen_test
async def test_an_option_that_the_provider_lacks_is_named(
    serve: Serving, upstream: ScriptedUpstream
) -> None:
    provider = {"dialect": "qianfan-v1", "base_url": upstream.url, "access_token": upstream.token}
    server = await serve.start(providers={"p": {**provider, "models": ["m"]}})

    for name, value in (("seed", 1), ("reasoning_effort", "low"), ("top_k", 3)):
        refused = await ask(server, **{name: value})
        assert (400, "unsupported_parameter") == refusal(refused)
        assert f"`{name}`" in refused.body["error"]["message"]

    assert [] == upstream.requests


@pytest.mark.gen_test
async def test_extra_fields_reach_the_provider_and_replace_nothing(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("a")
    upstream.finish()

    taken = await ask(headrace, extra={"service_tier": "flex"})
    refused = [
        await ask(headrace, extra={name: "x"}) for name in ("model", "messages", "temperature")
    ]

    assert 200 == taken.status
    assert "flex" == upstream.requests[0].json["service_tier"]
    assert {(400, "unsupported_parameter")} == {refusal(each) for each in refused}
    assert 1 == len(upstream.requests)


@pytest.mark.gen_test
async def test_tools_count_as_characters_of_the_question(
    serve: Serving, providers: dict[str, Any], upstream: ScriptedUpstream
) -> None:
    server = await serve.start(providers=providers, limits={"max_question_chars": 200})
    upstream.tokens("a")
    upstream.finish()

    refused = [
        await ask(server, tools=[{"name": "w", "description": "x" * 200}]),
        await ask(server, extra={"a": "x" * 200}),
        await ask(server, response_format={"type": "json_schema", "schema": {"x": "x" * 200}}),
    ]

    assert {(413, "question_too_long")} == {refusal(each) for each in refused}
    assert 200 == (await ask(server, tools=[{"name": "w"}])).status


@pytest.mark.gen_test
async def test_a_key_stands_for_one_set_of_options_in_any_order(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("a")
    upstream.finish()
    chat, headers = "/api/v1/chat", {**JSON, "Idempotency-Key": "k"}
    bodies = (
        b'{"content": "q", "extra": {"user": "u", "logit_bias": {"2": 1, "3": 2}}}',
        b'{"extra": {"logit_bias": {"3": 2, "2": 1}, "user": "u"}, "content": "q"}',
        b'{"content": "q", "extra": {"user": "u"}}',
        b'{"content": "q"}',
    )

    headers["Content-Type"] = "application/json"
    told = [await call(headrace.url, "POST", chat, headers=headers, raw=body) for body in bodies]

    assert [200, 200, 422, 422] == [each.status for each in told]
    assert told[0].body == told[1].body
    assert 1 == len(upstream.requests)


def test_a_question_of_the_first_version_keeps_its_fingerprint() -> None:
    """Both versions may run beside each other, and retries may reach either."""
    request = AskRequest(user="u", content="q", temperature=0.5, stop=("x",))

    first = b'{"user":"u","content":"q","temperature":0.5,"stop":["x"]}'
    assert hashlib.sha256(first).hexdigest() == request.fingerprint


@pytest.mark.gen_test
async def test_an_answer_is_regenerated_with_the_options_that_are_sent_then(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("a")
    upstream.finish()
    asked = await ask(headrace, seed=1, tools=[{"name": "w"}])
    path = f"/api/v1/answers/{asked.body['id']}/regenerate"

    for body in ({"seed": 2, "tools": [{"name": "v"}], "tool_choice": "required"}, None):
        answered = await call(headrace.url, "POST", path, body, headers=JSON)
        assert 200 == answered.status

    seeds = [each.json.get("seed") for each in upstream.requests]
    names = [
        [tool["function"]["name"] for tool in each.json.get("tools", [])]
        for each in upstream.requests
    ]
    assert ([1, 2, None], [["w"], ["v"], []]) == (seeds, names)
