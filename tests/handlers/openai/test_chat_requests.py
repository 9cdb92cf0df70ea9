"""What a chat completion's request becomes for the provider, and what of it is refused by name."""

import base64
from typing import Any

import pytest

from app.server import Server
from handlers.openai.chat_body import ChatCompletionBody
from handlers.openai.unknown_fields import unknown_fields
from tests.file_steps import PNG, data_uri
from tests.handlers.openai.chat_steps import DONE, deltas, refusal, streamed, user, whole
from tests.serving import Serving
from tests.tool_upstreams import TOOL_UPSTREAMS, Call
from tests.upstreams import ScriptedUpstream

WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
CALLS = [Call("c1", "weather", '{"city": "Bern"}'), Call("c2", "weather", '{"city": "Basel"}')]


def says(upstream: ScriptedUpstream, text: str = "ok") -> None:
    upstream.tokens(text)
    upstream.finish()
    upstream.next_request()


def called(*calls: Call) -> list[dict[str, Any]]:
    return [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for call in calls
    ]


def allowed(mode: str, *names: str) -> dict[str, Any]:
    """A `tool_choice` that leaves these of the tools."""
    tools = [{"type": "function", "function": {"name": name}} for name in names]
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}


@pytest.mark.gen_test
async def test_of_all_tools_only_those_that_are_allowed_are_offered(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    other = {"type": "function", "function": {**WEATHER["function"], "name": "other"}}
    says(upstream)
    says(upstream)

    await whole(headrace, tools=[WEATHER, other], tool_choice=allowed("required", "weather"))
    await whole(headrace, tools=[WEATHER, other], tool_choice=allowed("auto"))

    first, second = (request.json for request in upstream.requests)
    assert ([WEATHER], "required") == (first["tools"], first["tool_choice"])
    assert {"tools", "tool_choice"}.isdisjoint(second)


@pytest.mark.gen_test
async def test_a_tool_is_offered_called_and_answered(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.raw(TOOL_UPSTREAMS["openai"].calls(CALLS))
    upstream.end()
    upstream.next_request()
    says(upstream, "It is warm.")
    question = user("How warm is it?")

    data = await streamed(headrace, question, tools=[WEATHER], tool_choice="required")
    history = [
        question,
        {"role": "assistant", "content": "Let me see.", "tool_calls": called(*CALLS)},
        {"role": "tool", "tool_call_id": "c1", "content": "21"},
        {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "19"}]},
    ]
    told = await whole(headrace, *history, tools=[WEATHER])

    first, second = (request.json for request in upstream.requests)
    assert [WEATHER] == first["tools"]
    assert "required" == first["tool_choice"]
    pieces = [piece for delta in deltas(data) for piece in delta.get("tool_calls", [])]
    for index, call in enumerate(CALLS):
        opening, *rest = (piece for piece in pieces if piece["index"] == index)
        assert (call.id, "function", call.name) == (
            opening["id"],
            opening["type"],
            opening["function"]["name"],
        )
        assert not any("id" in piece or "name" in piece["function"] for piece in rest)
        arguments = [piece["function"]["arguments"] for piece in (opening, *rest)]
        assert call.arguments == "".join(arguments)
    assert "tool_calls" == data[-2]["choices"][0]["finish_reason"]
    roles = [message["role"] for message in second["messages"]]
    assert ["user", "assistant", "tool", "tool"] == roles
    assert ["21", "19"] == [message["content"] for message in second["messages"][2:]]
    assert "It is warm." == told.body["choices"][0]["message"]["content"]


@pytest.mark.gen_test
async def test_a_whole_answer_has_its_calls_and_reasoning(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.reasoning("hm")
    upstream.raw(TOOL_UPSTREAMS["openai"].calls(CALLS))
    upstream.end()

    (choice,) = (await whole(headrace, tools=[WEATHER])).body["choices"]

    assert "tool_calls" == choice["finish_reason"]
    message = choice["message"]
    assert ("Let me see.", "hm") == (message["content"], message["reasoning_content"])
    assert called(*CALLS) == message["tool_calls"]


@pytest.mark.gen_test
async def test_messages_become_a_prompt(headrace: Server, upstream: ScriptedUpstream) -> None:
    says(upstream)
    image = {"type": "image_url", "image_url": {"url": data_uri(PNG), "detail": "low"}}

    response = await whole(
        headrace,
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
        user([image, {"type": "text", "text": "What "}, {"type": "text", "text": "is it?"}]),
        {"role": "assistant", "content": "A dot.", "name": "bot"},
        user("Sure?"),
    )

    assert 200 == response.status
    system, first, answer, question = upstream.requests[0].json["messages"]
    assert {"role": "system", "content": "Be brief.\n\nBe kind."} == system
    assert ["image_url", "text"] == [part["type"] for part in first["content"]]
    assert "low" == first["content"][0]["image_url"]["detail"]
    assert "What is it?" == first["content"][1]["text"]
    assert ("A dot.", "Sure?") == (answer["content"], question["content"])


@pytest.mark.gen_test
async def test_an_image_in_base64_of_any_encoder_is_sent_in_the_one_that_providers_take(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    says(upstream)
    in_lines = base64.encodebytes(PNG).decode()
    bare = base64.urlsafe_b64encode(PNG + b"?").decode().rstrip("=")
    contents = [f"data:image/png;base64,{written}" for written in (in_lines, bare)]
    images = [{"type": "image_url", "image_url": {"url": content}} for content in contents]

    response = await whole(headrace, user(images))

    assert 200 == response.status, response.body
    (question,) = upstream.requests[0].json["messages"]
    sent = [part["image_url"]["url"] for part in question["content"]]
    assert [data_uri(PNG, "image/png"), data_uri(PNG + b"?", "image/png")] == sent


@pytest.mark.gen_test
async def test_a_model_that_there_is_not_is_not_found(headrace: Server) -> None:
    response = await whole(headrace, model="nobody/m")

    assert 404 == response.status
    assert (404, "unknown_model", "model") == refusal(response)


@pytest.mark.gen_test
async def test_options_and_unknown_fields_go_on_to_a_provider_of_openais_kin(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    says(upstream)
    empty = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    schema = {"name": "place", "schema": empty, "strict": True}
    options = {
        "max_completion_tokens": 7,
        "temperature": 0.5,
        "stop": "\n",
        "seed": 3,
        "response_format": {"type": "json_schema", "json_schema": schema},
        "logit_bias": {"50256": -100},
        "user": "somebody",
    }

    response = await whole(headrace, **options, verbosity=None)

    assert 200 == response.status
    sent = upstream.requests[0].json
    assert {"max_tokens": 7, "temperature": 0.5, "stop": ["\n"], "seed": 3}.items() <= sent.items()
    assert options["response_format"] == sent["response_format"]
    assert (options["logit_bias"], "somebody") == (sent["logit_bias"], sent["user"])
    assert "verbosity" not in sent


@pytest.mark.gen_test
async def test_unknown_fields_are_refused_by_name_for_other_providers(
    serve: Serving, upstream: ScriptedUpstream
) -> None:
    providers = {
        "anthropic": {"dialect": "anthropic", "base_url": upstream.url, "api_key": "k" * 20}
    }
    server = await serve.start(providers=providers)
    says(upstream)

    refused = await whole(server, model="anthropic/m", logit_bias={"1": 1})
    taken = await whole(
        server,
        model="anthropic/m",
        user="somebody",
        service_tier="auto",
        logit_bias={},
        presence_penalty=0,
        frequency_penalty=0,
        top_p=1,
        function_call="auto",
    )
    searching = await whole(server, model="anthropic/m", web_search_options={})

    assert (400, "unsupported_parameter", "logit_bias") == refusal(refused)
    assert "`logit_bias`" in refused.body["error"]["message"]
    assert 200 == taken.status
    assert (400, "unsupported_parameter", "web_search_options") == refusal(searching)
    assert 1 == len(upstream.requests)
    assert not {"user", "metadata", "service_tier", "logit_bias"} & upstream.requests[0].json.keys()


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        ({"seed": 1732745865123}, {"seed": 1732745865123 % 2**31}),
        ({"seed": -1}, {"seed": 2**31 - 1}),
        ({"seed": 7.0}, {"seed": 7}),
        ({"top_p": 0}, {"top_p": 0.01}),  # the least that Qwen takes
        ({"enable_thinking": False, "thinking_budget": 500}, {"enable_thinking": False}),
        (
            {"enable_thinking": True, "thinking_budget": 500},
            {"enable_thinking": True, "thinking_budget": 500},
        ),
    ],
)
async def test_values_of_openais_and_qwens_ranges_reach_qwen(
    serve: Serving, upstream: ScriptedUpstream, fields: dict[str, Any], sent: dict[str, Any]
) -> None:
    base_url = upstream.base_url("dashscope")
    providers = {"qwen": {"dialect": "dashscope", "base_url": base_url, "api_key": "k" * 20}}
    server = await serve.start(providers=providers)
    says(upstream)

    response = await whole(server, model="qwen/qwen-plus", **fields)

    assert 200 == response.status
    ours = {"result_format": "message", "incremental_output": True}
    assert {**ours, **sent} == upstream.requests[0].json["parameters"]


@pytest.mark.slow
@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"audio": {"voice": "x"}}, "audio"),
        ({"functions": [{"name": "x"}]}, "functions"),
        ({"stream_options": {"include_usage": "yes"}}, "stream_options.include_usage"),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools[0].type"),
        ({"tools": [WEATHER, WEATHER]}, "tools"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"temperature": 3}, "temperature"),
        ({"tool_choice": {"type": "function"}}, "tool_choice.function"),
        ({"tool_choice": {"type": "allowed_tools"}}, "tool_choice.allowed_tools"),
        ({"tools": [WEATHER], "tool_choice": allowed("required")}, "tool_choice"),
        ({"tools": [WEATHER], "tool_choice": allowed("auto", "weather", "other")}, "tool_choice"),
        ({"tools": [WEATHER], "tool_choice": allowed("none")}, "tool_choice.allowed_tools.mode"),
        ({"api_base": "https://example.org"}, None),
        ({"models": ["x"]}, "models"),
    ],
)
async def test_what_cannot_be_done_is_refused_by_name(
    headrace: Server, upstream: ScriptedUpstream, fields: dict[str, Any], param: str | None
) -> None:
    response = await whole(headrace, **fields)

    status, _, named = refusal(response)
    assert (400, param) == (status, named)
    assert "invalid_request_error" == response.body["error"]["type"]
    assert "extra" not in response.body["error"]["message"]  # which the client does not know
    assert [] == upstream.requests


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({"role": "assistant", "content": "a"}, "messages"),
        ({"role": "user"}, "messages[0].content"),
        (user(" "), "messages"),
        ({"role": "function", "name": "x", "content": "a"}, "messages[0].role"),
        (user([{"type": "input_audio", "input_audio": {}}]), "messages[0].content[0].type"),
        (
            user([{"type": "image_url", "image_url": {"url": "ftp://x"}}]),
            "messages[0].content[0].image_url",
        ),
        ({"role": "tool", "tool_call_id": "c9", "content": "21"}, None),
    ],
)
async def test_messages_that_cannot_be_sent_are_refused(
    headrace: Server, upstream: ScriptedUpstream, message: dict[str, Any], param: str | None
) -> None:
    response = await whole(headrace, message)

    status, _, named = refusal(response)
    assert (400, param) == (status, named)
    assert [] == upstream.requests


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("address", "fault"),
    [
        ("http://intranet.test/a.png", "not http"),
        (f"https://store.test/a.png?token={2048 * 'x'}", "at most 2,048 characters"),
        ("https://store.test/图.png", "in ASCII"),
        ("https://me:word@store.test/a.png", "without a space or a password"),
    ],
)
async def test_the_refusal_of_an_address_says_what_is_wrong_with_it_and_what_to_do(
    headrace: Server, address: str, fault: str
) -> None:
    response = await whole(headrace, user([{"type": "image_url", "image_url": {"url": address}}]))

    assert (400, "invalid_body", "messages[0].content[0].image_url") == refusal(response)
    message = response.body["error"]["message"]
    assert fault in message
    assert "send the content as a data: URI" in message
    assert address not in message


@pytest.mark.gen_test
async def test_the_usage_comes_with_the_stream_if_it_is_asked_for(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    says(upstream, "Hello")
    says(upstream, "你好")

    *chunks, last, done = await streamed(headrace, stream_options={"include_usage": True})
    *running, total, _ = await streamed(
        headrace, stream_options={"include_usage": True, "continuous_usage_stats": True}
    )

    assert DONE == done
    assert [] == last["choices"]
    assert last["usage"]["total_tokens"] > 0
    assert {None} == {chunk["usage"] for chunk in chunks}
    assert [0, 2, 2] == [chunk["usage"]["completion_tokens"] for chunk in running]
    assert all(chunk["usage"]["estimated"] for chunk in running)
    assert "estimated" not in total["usage"]


def test_unknown_fields_are_those_without_a_name_here() -> None:
    data = b'{"model":"m","messages":[],"x":{"y":[1]},"z":null,"u":"\\ud83d"}'

    assert {"x": {"y": [1]}, "u": "\ufffd"} == unknown_fields(data, ChatCompletionBody)


@pytest.mark.gen_test
async def test_images_before_the_question_do_not_count_as_its_own(
    serve: Serving, providers: dict[str, Any], upstream: ScriptedUpstream
) -> None:
    server = await serve.start(providers=providers, limits={"max_files": 2})
    says(upstream)
    image = {"type": "image_url", "image_url": {"url": data_uri(PNG)}}
    before = [user([image, image]), {"role": "assistant", "content": "Two dots."}] * 2

    long = await whole(server, *before, user([image, image]))
    many = await whole(server, user([image] * 3))

    assert 200 == long.status
    sent = [m["content"] for m in upstream.requests[0].json["messages"] if m["role"] == "user"]
    assert [2, 2, 2] == [len(parts) for parts in sent]
    assert (413, "too_many_files", None) == refusal(many)
