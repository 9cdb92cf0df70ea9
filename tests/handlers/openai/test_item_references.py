"""Items of earlier responses that an input names by their ids."""

from typing import Any

import pytest

from app.server import Server
from handlers.openai import item_references
from handlers.openai.response_items import item_id, message_id_in
from model.random_ids import random_id
from tests.readers import Response, call
from tests.tool_upstreams import TOOL_UPSTREAMS, Call
from tests.upstreams import ScriptedUpstream

MODEL = "openai/m"
TOOLS = [
    {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}
]
CALL = Call("c1", "weather", '{"city": "Bern"}')


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def reference(item: dict[str, Any]) -> dict[str, str]:
    return {"type": "item_reference", "id": item["id"]}


def speaks(upstream: ScriptedUpstream, text: str) -> None:
    upstream.tokens(text)
    upstream.finish()
    upstream.next_request()


async def responded(
    server: Server, given: list[Any], headers: dict[str, str] | None = None, **fields: Any
) -> Response:
    body = {"model": MODEL, "input": given, **fields}
    return await call(server.url, "POST", "/v1/responses", body, headers=headers)


@pytest.mark.gen_test
async def test_referred_items_are_a_part_of_the_conversation(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.reasoning("hm")
    upstream.raw(TOOL_UPSTREAMS["openai"].calls([CALL]))
    upstream.end()
    upstream.next_request()
    speaks(upstream, "It is warm.")
    speaks(upstream, "Yes.")
    history: list[Any] = [user("How warm is it?")]

    called = (await responded(headrace, history, tools=TOOLS)).body["output"]
    history += [reference(item) for item in called]
    history.append({"type": "function_call_output", "call_id": "c1", "output": "21"})
    (told,) = (await responded(headrace, history, tools=TOOLS)).body["output"]
    last = await responded(headrace, [*history, reference(told), user("Sure?")], tools=TOOLS)

    assert 200 == last.status
    assert ["reasoning", "message", "function_call"] == [item["type"] for item in called]
    question, answer, result, answer_2, question_2 = upstream.requests[2].json["messages"]
    assert ("How warm is it?", "Sure?") == (question["content"], question_2["content"])
    assert ("Let me see.", CALL.arguments) == (
        answer["content"],
        answer["tool_calls"][0]["function"]["arguments"],
    )
    assert ("c1", "21") == (result["tool_call_id"], result["content"])
    assert "It is warm." == answer_2["content"]


@pytest.mark.gen_test
async def test_calls_may_come_again_with_the_response_that_precedes_them(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    """As the AI SDK sends a tool loop that goes on from a response."""
    speaks(upstream, "Hello.")
    speaks(upstream, "It is warm.")
    speaks(upstream, "Yes.")
    before = (await responded(headrace, [user("hi")])).body["id"]
    named = {"call_id": "c1", "name": "weather", "arguments": "{}"}
    loop = [
        user("How warm is it?"),
        {"type": "function_call", **named},
        {"type": "function_call_output", "call_id": "c1", "output": "21"},
    ]

    told = await responded(headrace, loop, tools=TOOLS, previous_response_id=before)
    sure = await responded(headrace, [user("Sure?")], previous_response_id=told.body["id"])

    assert (200, 200) == (told.status, sure.status)
    roles = ["user", "assistant", "user", "assistant", "tool"]
    second, third = (each.json["messages"] for each in upstream.requests[1:])
    assert roles == [message["role"] for message in second]
    assert [*roles, "assistant", "user"] == [message["role"] for message in third]
    assert ("hi", "21", "Sure?") == (third[0]["content"], third[4]["content"], third[6]["content"])


@pytest.mark.gen_test
async def test_an_item_that_is_not_stored_is_refused(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    speaks(upstream, "ok")
    speaks(upstream, "ok")
    (lost,) = (await responded(headrace, [user("hi")], store=False)).body["output"]
    bobs = await responded(headrace, [user("hi")], {"Headrace-User": "bob"})
    (others,) = bobs.body["output"]
    unknown = item_id(f"{random_id()}-{random_id()}", "text", 0)

    for name in (lost["id"], others["id"], unknown, "msg_1", "", None, 5):
        refused = await responded(
            headrace, [user("a"), {"type": "item_reference", "id": name}, user("b")]
        )

        assert 400 == refused.status
        assert "input[1].id" == refused.body["error"]["param"]
    assert 2 == len(upstream.requests)


@pytest.mark.gen_test
async def test_items_are_referred_to_within_bounds(
    headrace: Server, upstream: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    speaks(upstream, "long")
    (item,) = (await responded(headrace, [user("hi")])).body["output"]
    given = [user("a"), reference(item), user("b")]
    monkeypatch.setattr(item_references, "_MOST_CHARS", 3)
    too_long = await responded(headrace, given)
    monkeypatch.setattr(item_references, "_MOST_ANSWERS", 0)
    too_many = await responded(headrace, given)

    assert [(400, "input")] * 2 == [
        (each.status, each.body["error"]["param"]) for each in (too_long, too_many)
    ]


def test_an_items_id_has_that_of_its_message() -> None:
    for kind in ("text", "reasoning", "tool_call", "tool_result"):
        message_id = f"{random_id()}-{random_id()}"
        found = item_id(message_id, kind, 12)
        assert message_id == message_id_in(found)
        assert len(found) <= 64  # as OpenAI's own are at most
    assert message_id_in("msg_1") is None
