"""Runs of AG-UI: asked once, resumed from any event, joined by their ids."""

from typing import Any

import pytest

from tests.handlers.ag_ui.agents import Agent, assistant, events_in, text_of, tool, types_of, user
from tests.upstreams import ScriptedUpstream


@pytest.mark.gen_test
async def test_a_run_is_an_answer(agent: Agent, upstream: ScriptedUpstream) -> None:
    upstream.reasoning("Hm")
    upstream.tokens("Hel", "lo")
    upstream.finish()

    events = await agent.run(user("hi"))

    assert [
        "RUN_STARTED",
        *("REASONING_START", "REASONING_MESSAGE_START", "REASONING_MESSAGE_CONTENT"),
        *("REASONING_MESSAGE_END", "REASONING_END"),
        *("TEXT_MESSAGE_START", "TEXT_MESSAGE_CONTENT", "TEXT_MESSAGE_END", "RUN_FINISHED"),
    ] == types_of(events)
    assert "Hello" == text_of(events)
    assert {"type": "success"} == events[-1].data["outcome"]


@pytest.mark.gen_test
async def test_a_thread_is_shown_with_its_live_run(
    agent: Agent, upstream: ScriptedUpstream
) -> None:
    upstream.reasoning("Hm")
    upstream.tokens("Hel")
    run = await agent.open(user("hi", "u1"), run_id="r1")
    await run.text("Hel")

    shown = (await agent.get("threadId=thread-1")).body

    assert {"runId": "r1"} == shown["activeRun"]
    assert ["u1", run.message_id] == [message["id"] for message in shown["messages"]]
    assert {"truncated": False} == shown["page"]


@pytest.mark.gen_test
async def test_a_run_goes_on_after_any_of_its_events(
    agent: Agent, upstream: ScriptedUpstream
) -> None:
    upstream.reasoning("Hm")
    upstream.tokens("Hel", "lo")
    upstream.tool_call(0, "call_1", "weather", '{"city":"Paris"}')
    upstream.finish("tool_calls")
    body = agent.input(user("hi"))
    whole = events_in((await agent.post(body)).body)

    for place, event in enumerate(whole[:-1]):
        posted = await agent.post(body, after=event.id)
        joined = await agent.get(f"offset=-1&runId={body['runId']}", after=event.id)
        assert whole[place + 1 :] == events_in(posted.body)
        assert posted.body == joined.body

    assert 204 == (await agent.post(body, after=whole[-1].id)).status
    assert whole == events_in((await agent.post(body)).body)
    assert 1 == len(upstream.requests)


@pytest.mark.gen_test
async def test_a_run_id_is_one_question(agent: Agent, upstream: ScriptedUpstream) -> None:
    upstream.tokens("x")
    upstream.finish()
    await agent.run(user("hi", "u1"), run_id="r1")

    other = await agent.post(agent.input(user("other", "u1"), run_id="r1"))
    unknown = await agent.post(agent.input(user("hi", "u1"), run_id="r2"), after="3")
    none = await agent.get("runId=r3&offset=-1")
    now = await agent.get("runId=r1&offset=now")

    assert [(422, "idempotency_key_reused"), (404, "not_found"), (404, "not_found")] == [
        (response.status, response.code) for response in (other, unknown, none)
    ]
    assert (400, "invalid_position") == (now.status, now.code)
    assert 1 == len(upstream.requests)


@pytest.mark.gen_test
async def test_the_model_gets_what_is_stored_or_else_what_was_sent(
    agent: Agent, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("one")
    upstream.finish()
    first = await agent.run(user("a", "u1"))
    ours = next(event.data["messageId"] for event in first if event.type == "TEXT_MESSAGE_START")
    greeting = assistant("welcome", "Hello!")

    await agent.run(user("a", "u1"), assistant(ours, "one"), user("b", "u2"))
    await agent.run(greeting, user("a", "u1"), assistant(ours, "one"), user("c", "u3"))
    await agent.run(user("d", "u4"))
    await agent.run(user("edited", "u1"))

    assert [
        ["a"],
        ["a", "one", "b"],
        ["Hello!", "a", "one", "c"],
        ["a", "one", "c", "one", "d"],
        ["edited"],
    ] == [[each["content"] for each in request.json["messages"]] for request in upstream.requests]


@pytest.mark.gen_test
async def test_an_empty_text_beside_an_image_is_left_out(
    agent: Agent, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("A dot.")
    upstream.finish()
    source = {"type": "url", "value": "https://example.org/dot.png"}

    await agent.run(user([{"type": "text", "text": ""}, {"type": "image", "source": source}]))

    (message,) = upstream.requests[0].json["messages"]
    assert ["image_url"] == [part["type"] for part in message["content"]]


@pytest.mark.gen_test
async def test_a_results_question_follows_its_call(
    agent: Agent, upstream: ScriptedUpstream
) -> None:
    upstream.tool_call(0, "call_1", "weather", "{}")
    upstream.finish("tool_calls")
    upstream.next_request()
    upstream.tokens("21")
    upstream.finish()
    asked = user("hi", "u1")
    events = await agent.run(asked, tools=[{"name": "weather", "description": "w"}])
    start = next(event.data for event in events if event.type == "TOOL_CALL_START")
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    called = assistant(start["parentMessageId"], "", toolCalls=[call])

    answered = await agent.run(asked, called, tool("call_1", "21 C"))
    shown = (await agent.get("threadId=thread-1")).body["messages"]
    page = (await agent.get("threadId=thread-1&limit=2")).body

    assert "21" == text_of(answered)
    assert ["CUSTOM", "RUN_FINISHED"] == types_of(events)[-2:]
    assert {"type": "success", "pendingToolCallIds": ["call_1"]} == events[-1].data["outcome"]
    assert ["user", "assistant", "tool"] == [
        message["role"] for message in upstream.requests[1].json["messages"]
    ]
    assert ["user", "assistant", "assistant"] == [message["role"] for message in shown]
    assert ["tool-call", "tool-result"] == [part["type"] for part in shown[1]["parts"]]
    assert "21 C" == shown[1]["parts"][0]["output"]
    assert (shown, False) == (page["messages"], page["page"]["truncated"])


@pytest.mark.gen_test
async def test_context_state_and_system_messages_are_the_system_prompt(
    agent: Agent, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("x")
    upstream.finish()

    await agent.run(
        {"id": "s1", "role": "system", "content": "Be brief."},
        user("hi"),
        context=[{"description": "The page", "value": "a map"}],
        state={"zoom": 3},
        forwardedProps={"temperature": 0.5, "theirs": 1},
    )

    sent = upstream.requests[0].json
    assert (
        'Be brief.\n\nThe page:\na map\n\nThe application\'s state:\n{"zoom":3}'
        == (sent["messages"][0]["content"])
    )
    assert 0.5 == sent["temperature"]


@pytest.mark.parametrize(
    ("fields", "code", "word"),
    [
        ({"resume": [{"interruptId": "i"}]}, "unsupported_parameter", "resume"),
        ({"messages": [assistant("a", "x")]}, "invalid_body", "messages"),
        ({"messages": [user("  ")]}, "invalid_body", "empty"),
        ({"messages": [{"role": "robot", "id": "r"}]}, "invalid_body", "role"),
        ({"messages": [user([{"type": "video"}])]}, "unsupported_content", "video"),
        ({"forwardedProps": {"temperature": 9}}, "invalid_body", "forwardedProps"),
    ],
)
@pytest.mark.gen_test
async def test_what_is_not_supported_is_refused_by_name(
    agent: Agent, fields: dict[str, Any], code: str, word: str
) -> None:
    refused = await agent.post(agent.input(user("hi")) | fields)

    assert (400, code) == (refused.status, refused.code)
    assert word in refused.body["error"]["message"]


@pytest.mark.gen_test
async def test_a_query_names_a_run_or_a_thread(agent: Agent) -> None:
    refused = await agent.get("limit=1")

    assert (400, "invalid_query") == (refused.status, refused.code)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_live_run_that_nobody_reads_makes_way_for_the_next_one(
    agent: Agent, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("a")
    left = await agent.open(user("one"))
    await left.text("a")
    upstream.next_request()
    upstream.tokens("b")
    upstream.finish()

    busy = await agent.post(agent.input(user("two")))
    left.close()
    then = await agent.run(user("three"))

    assert (409, "conversation_busy") == (busy.status, busy.code)
    assert "b" == text_of(then)


@pytest.mark.gen_test
async def test_who_has_more_than_is_stored_gets_the_run_again_from_its_beginning(
    agent: Agent, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("Hel", "lo")
    upstream.finish()
    body = agent.input(user("hi", "u1"))
    whole = events_in((await agent.post(body)).body)

    posted = events_in((await agent.post(body, after="999")).body)
    joined = events_in((await agent.get(f"runId={body['runId']}", after="999")).body)

    for again in (posted, joined):
        started, snapshot, *rest = again
        assert ("", "RUN_STARTED") == (started.id, started.type)
        assert (None, "MESSAGES_SNAPSHOT") == (snapshot.id, snapshot.type)
        assert body["messages"] == snapshot.data["messages"]
        assert whole[1:] == rest
