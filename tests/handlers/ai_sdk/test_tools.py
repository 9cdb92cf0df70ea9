"""Tools that the client of a chat carries out: one message for each chain of calls and results."""

from typing import Any

import pytest

from app.server import Server
from tests.handlers.ai_sdk.chats import (
    Chat,
    Chunk,
    assistant,
    message_of,
    metadata_of,
    one,
    text_of,
    tool,
    types_of,
    user,
)
from tests.upstreams import ScriptedUpstream

TOOLS = [{"name": "weather", "parameters": {"type": "object"}}]
DONE: dict[str, Any] = {"state": "output-available", "output": {"celsius": 21}}


@pytest.fixture
def chat(headrace: Server) -> Chat:
    return Chat(headrace.url)


def call_tools(upstream: ScriptedUpstream, *calls: str, finish: str = "tool_calls") -> None:
    for index, call_id in enumerate(calls):
        upstream.tool_call(index, call_id, "weather", '{"city": "Bern"}')
    upstream.finish(finish)
    upstream.next_request()


def say(upstream: ScriptedUpstream, text: str) -> None:
    upstream.tokens(text)
    upstream.finish()
    upstream.next_request()


async def ask(chat: Chat, *messages: dict[str, Any], **fields: Any) -> list[Chunk]:
    return await chat.ask(*messages, tools=TOOLS, **fields)


def results(upstream: ScriptedUpstream) -> list[tuple[str, str]]:
    messages = upstream.requests[-1].json["messages"]
    return [(m["tool_call_id"], m["content"]) for m in messages if m["role"] == "tool"]


@pytest.mark.gen_test
async def test_tools_may_be_an_object_of_them_by_name(
    chat: Chat, upstream: ScriptedUpstream
) -> None:
    """As assistant-ui sends them with each question, also where there are none."""
    say(upstream, "ok")
    say(upstream, "ok")
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    tools = {
        "weather": {"description": "The weather.", "parameters": schema, "type": "frontend"},
        "now": {"inputSchema": schema},
        "stop": {},
    }

    await chat.ask(user("q"), tools={}, system="Be brief.", callSettings={}, config={})
    await chat.ask(user("q", "u2"), tools=tools, tool_choice={"name": "now"})
    refused = [
        await chat.post(user("q", "u3"), tools=wrong)
        for wrong in ({"a b": {}}, {"a": []}, {"a": {"parameters": 1}})
    ]

    first, second = (request.json for request in upstream.requests)
    assert "tools" not in first
    functions = [tool["function"] for tool in second["tools"]]
    assert ["weather", "now", "stop"] == [function["name"] for function in functions]
    assert "The weather." == functions[0]["description"]
    assert [schema, schema] == [function["parameters"] for function in functions[:2]]
    assert [400] * 3 == [response.status for response in refused]


@pytest.mark.gen_test
async def test_calls_are_available_once_the_answer_is_whole(
    chat: Chat, upstream: ScriptedUpstream
) -> None:
    call_tools(upstream, "a", "b")

    chunks = await ask(chat, user("q"))

    assert [
        *("start", "start-step", "tool-input-start", "tool-input-delta"),
        *("tool-input-start", "tool-input-delta"),
        *("tool-input-available", "tool-input-available", "finish-step", "finish"),
    ] == types_of(chunks)
    inputs = [each["input"] for each in chunks if each["type"] == "tool-input-available"]
    assert [{"city": "Bern"}] * 2 == inputs
    assert "tool-calls" == chunks[-1]["finishReason"]


@pytest.mark.gen_test
async def test_calls_of_an_answer_that_was_cut_off_are_not_to_be_carried_out(
    chat: Chat, upstream: ScriptedUpstream
) -> None:
    call_tools(upstream, "a", finish="length")

    chunks = await ask(chat, user("q"))

    assert "tool-input-available" not in types_of(chunks)
    assert "length" == chunks[-1]["finishReason"]


@pytest.mark.gen_test
async def test_arguments_that_are_no_json_are_an_error_of_the_call(
    chat: Chat, upstream: ScriptedUpstream
) -> None:
    upstream.tool_call(0, "a", "weather", '{"city": ')
    upstream.finish("tool_calls")

    chunks = await ask(chat, user("q"))

    assert '{"city": ' == one(chunks, "tool-input-error")["input"]


@pytest.mark.gen_test
async def test_a_chain_is_one_message_and_is_resumed_as_one(
    chat: Chat, upstream: ScriptedUpstream
) -> None:
    call_tools(upstream, "a")
    call_tools(upstream, "b")
    say(upstream, "warm")
    first = await ask(chat, user("q"))
    called = tool("a", **DONE)
    second = await ask(chat, user("q"), message_of(first, called))
    failed = tool("b", state="output-error", errorText="no such city")
    so_far = message_of(second, called, {"type": "step-start"}, failed)

    third = await ask(chat, user("q"), so_far, messageId=so_far["id"])
    resumed = await chat.resume()

    assert [("a", '{"celsius":21}'), ("b", "Error: no such city")] == results(upstream)
    assert 1 == len({one(each, "start")["messageId"] for each in (first, second, third)})
    assert resumed is not None
    assert [
        *("start", "start-step", "tool-input-start", "tool-input-delta", "tool-input-available"),
        *("tool-output-available", "finish-step"),
        *("start-step", "tool-input-start", "tool-input-delta", "tool-input-available"),
        *("tool-output-error", "finish-step"),
        *("start-step", "text-start", "text-delta", "text-end", "finish-step", "finish"),
    ] == types_of(resumed)
    assert DONE["output"] == one(resumed, "tool-output-available")["output"]
    assert metadata_of(third) == metadata_of(resumed)


@pytest.mark.gen_test
async def test_results_may_come_with_the_last_message_alone(
    chat: Chat, upstream: ScriptedUpstream
) -> None:
    call_tools(upstream, "a")
    say(upstream, "warm")
    first = await ask(chat, user("q"))
    message = message_of(first, tool("a", **DONE))
    del message["metadata"]  # the app keeps none

    body = chat.body(message)
    body["message"] = body.pop("messages")[0]
    answered = await chat.send(body)

    assert "warm" == text_of(answered)
    assert [("a", '{"celsius":21}')] == results(upstream)


@pytest.mark.gen_test
async def test_a_person_may_go_on_and_the_results_come_along(
    chat: Chat, upstream: ScriptedUpstream
) -> None:
    call_tools(upstream, "a")
    say(upstream, "warm")
    first = await ask(chat, user("q"))

    chunks = await ask(chat, user("q"), message_of(first, tool("a", **DONE)), user("and?", "u2"))

    assert [("a", '{"celsius":21}')] == results(upstream)
    assert one(first, "start")["messageId"] != one(chunks, "start")["messageId"]


@pytest.mark.gen_test
async def test_a_chain_is_regenerated_from_its_question(
    chat: Chat, upstream: ScriptedUpstream
) -> None:
    call_tools(upstream, "a")
    say(upstream, "warm")
    say(upstream, "hot")
    first = await ask(chat, user("q"))
    await ask(chat, user("q"), message_of(first, tool("a", **DONE)))

    again = await ask(
        chat,
        user("q"),
        trigger="regenerate-message",
        messageId=one(first, "start")["messageId"],
    )

    assert "hot" == text_of(again)
    assert ["user"] == [each["role"] for each in upstream.requests[-1].json["messages"]]


@pytest.mark.gen_test
async def test_a_step_that_failed_is_tried_again(chat: Chat, upstream: ScriptedUpstream) -> None:
    call_tools(upstream, "a")
    upstream.fail(500)
    upstream.next_request()
    say(upstream, "warm")
    first = await ask(chat, user("q"))
    failed = await ask(chat, user("q"), message_of(first, tool("a", **DONE)))
    so_far = message_of(failed, tool("a", **DONE), {"type": "step-start"})

    again = await ask(chat, user("q"), so_far, messageId=so_far["id"])

    assert "error" == failed[-1]["type"]
    assert "warm" == text_of(again)
    assert [("a", '{"celsius":21}')] == results(upstream)
    assert one(first, "start")["messageId"] == one(again, "start")["messageId"]


@pytest.mark.gen_test
async def test_a_step_that_is_complete_or_unknown_is_not_tried_again(
    chat: Chat, upstream: ScriptedUpstream
) -> None:
    text = {"type": "text", "text": "one"}
    unknown = await chat.post(user("q"), assistant("another", text))
    upstream.tokens("one")
    upstream.finish()
    answer = message_of(await chat.ask(user("q")))

    refused = await chat.post(user("q"), answer)

    for each in (unknown, refused):
        assert (400, "invalid_body") == (each.status, each.code)
    assert 1 == len(upstream.requests)


@pytest.mark.gen_test
async def test_some_results_are_not_enough(chat: Chat, upstream: ScriptedUpstream) -> None:
    call_tools(upstream, "a", "b")
    first = await ask(chat, user("q"))

    refused = await chat.post(user("q"), message_of(first, tool("a", **DONE)), tools=TOOLS)

    assert (400, "missing_tool_results") == (refused.status, refused.code)


@pytest.mark.gen_test
async def test_calls_that_a_client_received_are_not_sent_to_it_again(
    chat: Chat, upstream: ScriptedUpstream
) -> None:
    upstream.tool_call(0, "a", "weather", "{}")
    stream = await chat.open(user("q"), tools=TOOLS)
    await stream.next()
    stream.close()
    upstream.finish("tool_calls")

    unread = await chat.resume()
    read = await chat.resume()

    assert unread is not None
    assert "tool-input-available" in types_of(unread)
    assert read is None
