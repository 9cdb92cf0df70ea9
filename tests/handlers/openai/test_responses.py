"""OpenAI's Responses over HTTP, as the official SDK and the types of Open Responses read them."""

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai.types.responses import ResponseStreamEvent
from tornado.ioloop import IOLoop

from app.server import Server
from handlers.wires.event_numbers import LAST_NUMBER
from tests.readers import call
from tests.serving import Serving
from tests.tool_upstreams import TOOL_UPSTREAMS, Call
from tests.upstreams import ScriptedUpstream

MODEL = "openai/m"
WEATHER = {
    "type": "function",
    "name": "weather",
    "description": "The weather in a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": False,
}
NONE_OF_THEM = {"type": "allowed_tools", "mode": "required", "tools": []}
ONLY_A_LIST = {"type": "allowed_tools", "mode": "auto", "tools": [{"name": ["weather"]}]}
SCHEMA = {"type": "json_schema", "name": "s", "schema": {"type": "object"}}
SUMMARY = {"summary": "auto"}
SHORT = {"reasoning_effort": "high"}
HI = {"role": "user", "content": "Hi"}
OUTPUT = {"type": "function_call_output", "call_id": "call_1"}
CALLED = Call("call_1", "weather", '{"city": "上海"}')


@pytest.fixture
def client(io_loop: IOLoop, headrace: Server) -> Iterator[openai.AsyncOpenAI]:
    opened = openai.AsyncOpenAI(base_url=f"{headrace.url}/v1", api_key="sk-any", max_retries=0)
    yield opened
    io_loop.run_sync(opened.close)


def speaks(upstream: ScriptedUpstream, *texts: str, reasoning: tuple[str, ...] = ()) -> None:
    """The provider's next answer, after which it takes another question."""
    if reasoning:
        upstream.reasoning(*reasoning)
    upstream.tokens(*texts)
    upstream.finish()
    upstream.next_request()


def deltas(events: list[Any], kind: str = "response.output_text.delta") -> str:
    return "".join(event.delta for event in events if event.type == kind)


@pytest.mark.gen_test
async def test_a_whole_response_has_text_reasoning_and_usage(
    client: openai.AsyncOpenAI, upstream: ScriptedUpstream
) -> None:
    speaks(upstream, "你好", "，世界", reasoning=("想", "一想"))

    response = await client.responses.create(
        model=MODEL,
        input="Hi",
        instructions="Be brief.",
        temperature=0.5,
        metadata={"for": "a test"},
        max_output_tokens=99,
    )

    assert "completed" == response.status
    assert "你好，世界" == response.output_text
    assert ["reasoning", "message"] == [item.type for item in response.output]
    assert "想一想" == response.output[0].summary[0].text  # type: ignore[union-attr]
    assert response.usage is not None
    assert response.usage.total_tokens > 0
    assert ("Be brief.", 0.5, {"for": "a test"}, 99) == (
        response.instructions,
        response.temperature,
        response.metadata,
        response.max_output_tokens,
    )
    asked = upstream.requests[0].json
    assert {"role": "system", "content": "Be brief."} == asked["messages"][0]
    assert 0.5 == asked["temperature"]
    kept = await client.responses.retrieve(response.id)
    assert kept.to_dict() == response.to_dict()


@pytest.mark.gen_test
async def test_a_stream_tells_every_item_and_ends_as_it_is_stored(
    client: openai.AsyncOpenAI, upstream: ScriptedUpstream
) -> None:
    speaks(upstream, "你好", "，世界", reasoning=("想", "一想"))

    async with client.responses.stream(model=MODEL, input="Hi") as stream:
        events = [event async for event in stream]
        final = await stream.get_final_response()

    assert "response.created" == events[0].type
    assert "你好，世界" == deltas(events) == final.output_text
    assert "想一想" == deltas(events, "response.reasoning_summary_text.delta")
    numbers = [event.sequence_number for event in events]
    assert numbers == sorted(set(numbers))
    assert LAST_NUMBER == numbers[-1]
    kept = await client.responses.retrieve(final.id)
    assert kept.to_dict() == events[-1].response.to_dict() | {"output": kept.to_dict()["output"]}
    assert [item.id for item in final.output] == [item.id for item in kept.output]


@pytest.mark.slow
@pytest.mark.gen_test
async def test_every_cut_resumes_exactly_by_the_plain_call_and_by_the_helper(
    client: openai.AsyncOpenAI, upstream: ScriptedUpstream
) -> None:
    upstream.reasoning("想", "一想")
    upstream.tokens("你好", "，世", "界")
    upstream.raw(TOOL_UPSTREAMS["openai"].calls([CALLED]))
    upstream.end()
    stream = await client.responses.create(
        model=MODEL,
        input="Hi",
        stream=True,
        tools=[WEATHER],  # type: ignore[list-item]
    )
    seen: list[Any] = [event async for event in stream]
    response_id = seen[0].response.id

    for at, last in enumerate(seen[:-1]):
        number = last.sequence_number
        plain = [
            event
            async for event in await client.responses.retrieve(
                response_id, stream=True, starting_after=number
            )
        ]
        async with client.responses.stream(
            response_id=response_id, starting_after=number
        ) as helper:
            helped: list[Any] = [event async for event in helper]

        for resumed in (plain, helped):
            assert _facts(seen[: at + 1] + resumed) == _facts(seen)


def _facts(events: list[ResponseStreamEvent]) -> dict[str, Any]:
    """What a client knows after events: its texts, and structural events in their order."""
    texts: dict[Any, str] = {}
    others = []
    for event in events:
        if event.type.endswith(".delta"):
            place = event.output_index  # type: ignore[union-attr]
            texts[place] = texts.get(place, "") + event.delta  # type: ignore[union-attr]
        else:
            others.append((event.sequence_number, event.type))
    return {"texts": texts, "others": others}


@pytest.mark.gen_test
async def test_a_function_is_called_and_its_output_answered(
    client: openai.AsyncOpenAI, upstream: ScriptedUpstream
) -> None:
    upstream.raw(TOOL_UPSTREAMS["openai"].calls([CALLED]))
    upstream.end()
    upstream.next_request()
    speaks(upstream, "It is warm.")

    first = await client.responses.create(
        model=MODEL,
        input="How warm?",
        tools=[WEATHER],
        tool_choice="required",  # type: ignore[list-item]
    )
    called = first.output[-1]
    second = await client.responses.create(
        model=MODEL,
        previous_response_id=first.id,
        tools=[WEATHER],  # type: ignore[list-item]
        input=[{"type": "function_call_output", "call_id": "call_1", "output": "21"}],
    )

    assert "function_call" == called.type
    assert ("call_1", "weather", '{"city": "上海"}') == (
        called.call_id,
        called.name,
        called.arguments,
    )
    assert "required" == upstream.requests[0].json["tool_choice"]
    assert "It is warm." == second.output_text
    assert first.id == second.previous_response_id
    assert ["user", "assistant", "tool"] == [
        message["role"] for message in upstream.requests[1].json["messages"]
    ]


@pytest.mark.gen_test
async def test_in_the_background_it_goes_on_without_readers_and_is_polled(
    client: openai.AsyncOpenAI, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("Hello")

    begun = await client.responses.create(model=MODEL, input="Hi", background=True)
    upstream.tokens(" world")
    upstream.finish()

    assert begun.status in ("queued", "in_progress")
    assert begun.background
    while (polled := await client.responses.retrieve(begun.id)).status != "completed":
        assert "in_progress" == polled.status
    assert "Hello world" == polled.output_text


@pytest.mark.gen_test
async def test_a_live_response_is_cancelled_and_its_reader_told(
    client: openai.AsyncOpenAI, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("Hello")
    stream = await client.responses.create(model=MODEL, input="Hi", stream=True)
    events: list[Any] = []
    async for event in stream:
        events.append(event)
        if event.type == "response.output_text.delta":
            cancelled = await client.responses.cancel(events[0].response.id)

    again = await client.responses.cancel(events[0].response.id)

    assert "cancelled" == cancelled.status
    assert again.to_dict() == cancelled.to_dict()
    assert "response.incomplete" == events[-1].type
    assert "cancelled" == events[-1].response.status
    assert "stopped" == events[-1].response.incomplete_details.reason
    assert "Hello" == cancelled.output_text


@pytest.mark.gen_test
async def test_a_deleted_response_is_gone(
    client: openai.AsyncOpenAI, upstream: ScriptedUpstream
) -> None:
    speaks(upstream, "Hello")
    response = await client.responses.create(model=MODEL, input="Hi")

    await client.responses.delete(response.id)

    with pytest.raises(openai.NotFoundError):
        await client.responses.retrieve(response.id)


@pytest.mark.slow
@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [{"type": "web_search"}]}, "tools[0]"),
        ({"prompt": {"id": "p"}}, "prompt"),
        ({"input": [{"type": "computer_call", "id": "c"}]}, "input[0]"),
        ({"include": ["message.output_text.logprobs"]}, "include"),
        ({"background": True, "store": False}, "background"),
        ({"conversation": "c", "previous_response_id": "r"}, "conversation"),
        ({"tools": [WEATHER], "tool_choice": ONLY_A_LIST}, "tool_choice"),
        ({"top_k": 5}, "top_k"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [WEATHER], "tool_choice": NONE_OF_THEM}, "tool_choice"),
        ({"tools": [WEATHER | {"defer_loading": True}]}, "tools[0].defer_loading"),
        ({"reasoning": {"mode": "pro"}}, "reasoning.mode"),
        ({"reasoning": {"budget": 5}}, "reasoning.budget"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        ({"input": [OUTPUT | {"output": [{"type": "input_image"}]}]}, "input[0].output[0]"),
        ({"previous_response_id": "resp_r"}, "previous_response_id"),
    ],
)
async def test_what_cannot_be_done_is_refused_by_name(
    headrace: Server, fields: dict[str, Any], param: str
) -> None:
    body = {"model": MODEL, "input": "Hi", **fields}

    refused = await call(headrace.url, "POST", "/v1/responses", body)

    assert 400 == refused.status
    assert param == refused.body["error"]["param"]
    assert "invalid_request_error" == refused.body["error"]["type"]


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("fields", "param"),
    [
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "detail": "secret"}]}]},
            "input[0].content[0].detail",
        ),
        (
            {"tool_choice": {"type": "allowed_tools", "mode": "secret", "tools": []}},
            "tool_choice.mode",
        ),
    ],
)
async def test_a_value_that_is_refused_is_not_quoted(
    headrace: Server, fields: dict[str, Any], param: str
) -> None:
    body = {"model": MODEL, "input": "Hi", **fields}

    refused = await call(headrace.url, "POST", "/v1/responses", body)

    assert (400, param) == (refused.status, refused.body["error"]["param"])
    assert "secret" not in refused.body["error"]["message"]


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("dialect", "path", "fields", "param"),
    [
        (
            "anthropic",
            "/v1/responses",
            {"text": {"format": {"type": "json_object"}}},
            "text.format",
        ),
        ("qianfan-v1", "/v1/responses", {"text": {"format": SCHEMA}}, "text.format.schema"),
        ("ollama", "/v1/responses", {"reasoning": {"effort": "max"}}, "reasoning.effort"),
        ("ollama", "/v1/responses", {"text": {"verbosity": "low"}}, "text.verbosity"),
        ("ollama", "/v1/responses", {"service_tier": "flex"}, "service_tier"),
        ("openai", "/v1/responses", {"top_logprobs": 5}, "top_logprobs"),
        ("ollama", "/v1/chat/completions", {"verbosity": "low"}, "verbosity"),
        ("ollama", "/v1/chat/completions", {"thinking_budget": 5}, "thinking_budget"),
        ("qianfan-v1", "/v1/chat/completions", {"enable_thinking": True}, "enable_thinking"),
        ("anthropic", "/v1/chat/completions", SHORT | {"max_tokens": 9}, "max_tokens"),
        (
            "anthropic",
            "/v1/chat/completions",
            SHORT | {"max_completion_tokens": 9},
            "max_completion_tokens",
        ),
        (
            "qianfan-v1",
            "/v1/chat/completions",
            {"response_format": {"type": "json_schema", "json_schema": SCHEMA}},
            "response_format.json_schema.schema",
        ),
    ],
)
async def test_an_option_that_a_provider_lacks_is_named_as_the_client_named_it(
    serve: Serving, dialect: str, path: str, fields: dict[str, Any], param: str
) -> None:
    key = "access_token" if dialect == "qianfan-v1" else "api_key"
    provider = {"dialect": dialect, "base_url": "http://127.0.0.1:1", key: "k"}
    server = await serve.start(providers={"p": provider})
    asked = {"input": "Hi"} if path == "/v1/responses" else {"messages": [HI]}

    refused = await call(server.url, "POST", path, {"model": "p/m", **asked, **fields})

    assert (400, "unsupported_parameter") == (refused.status, refused.code)
    assert param == refused.body["error"]["param"]
    assert f"`{param}`" in refused.body["error"]["message"]


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("dialect", "path", "fields", "sent"),
    [
        (
            "openai",
            "/v1/responses",
            {"text": {"verbosity": "low"}, "service_tier": "flex", "reasoning": SUMMARY},
            {"verbosity": "low", "service_tier": "flex"},
        ),
        ("openai", "/v1/responses", {"top_p": 0}, {"top_p": 0.001}),
        (
            "openai-responses",
            "/v1/responses",
            {
                "text": {"verbosity": "low", "format": {"type": "json_object"}},
                "reasoning": {"effort": "low", **SUMMARY},
                "service_tier": "priority",
            },
            {
                "text": {"verbosity": "low", "format": {"type": "json_object"}},
                "reasoning": {"effort": "low", **SUMMARY},
                "service_tier": "priority",
            },
        ),
        (
            "openai-responses",
            "/v1/chat/completions",
            {"verbosity": "high", "service_tier": "flex"},
            {"text": {"verbosity": "high"}, "service_tier": "flex"},
        ),
        (
            "ollama",
            "/v1/responses",
            {"text": {"verbosity": "medium"}, "service_tier": "auto", "reasoning": SUMMARY},
            {},
        ),
    ],
)
async def test_fields_of_openais_own_reach_models_with_its_apis(
    serve: Serving,
    upstream: ScriptedUpstream,
    dialect: str,
    path: str,
    fields: dict[str, Any],
    sent: dict[str, Any],
) -> None:
    provider = {"dialect": dialect, "base_url": upstream.url, "api_key": "k"}
    server = await serve.start(providers={"p": provider})
    speaks(upstream, "ok")
    asked = {"input": "Hi"} if path == "/v1/responses" else {"messages": [HI]}

    await call(server.url, "POST", path, {"model": "p/m", **asked, **fields})

    body = upstream.requests[0].json
    named = ("text", "verbosity", "reasoning", "service_tier", "top_p")
    assert sent == {name: body[name] for name in named if name in body}


@pytest.mark.gen_test
async def test_fields_are_taken_with_values_that_ask_for_nothing(
    client: openai.AsyncOpenAI, upstream: ScriptedUpstream
) -> None:
    speaks(upstream, "Hello")
    usual: Any = {"defer_loading": False, "allowed_callers": ["direct"], "async": False}
    usual |= {"output_schema": None}

    response = await client.responses.create(
        model=MODEL,
        input="Hi",
        reasoning={"effort": "low", "context": "auto", "mode": "standard", "summary": None},
        tools=[WEATHER | usual],
    )

    assert "Hello" == response.output_text
    assert "weather" == upstream.requests[0].json["tools"][0]["function"]["name"]


@pytest.mark.gen_test
async def test_the_description_of_a_format_reaches_the_model(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    speaks(upstream, "{}")
    text = {"format": SCHEMA | {"description": "A city."}}

    taken = await call(
        headrace.url, "POST", "/v1/responses", {"model": MODEL, "input": "Hi", "text": text}
    )

    sent = upstream.requests[0].json["response_format"]["json_schema"]["schema"]
    assert {"type": "object", "description": "A city."} == sent
    assert "A city." == taken.body["text"]["format"]["description"]
