"""Messages that do not end with a question, and conversations that an answer begins."""

from typing import Any

import pytest

from app.server import Server
from handlers.openai.final_turn import GO_ON
from tests.handlers.openai.chat_steps import MODEL, refusal, user, whole
from tests.readers import Response, call
from tests.serving import Serving
from tests.upstreams import ScriptedUpstream

GREETING = {"role": "assistant", "content": "Hello! How can I help?"}
GREETED = f"assistant {GREETING['content']}"
CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}


def system(text: str, role: str = "system") -> dict[str, Any]:
    return {"role": role, "content": text}


def says(upstream: ScriptedUpstream, text: str = "ok") -> None:
    upstream.tokens(text)
    upstream.finish()
    upstream.next_request()


async def responded(server: Server, given: list[dict[str, Any]]) -> Response:
    return await call(server.url, "POST", "/v1/responses", {"model": MODEL, "input": given})


@pytest.mark.gen_test
@pytest.mark.parametrize("ask", [lambda server, given: whole(server, *given), responded])
@pytest.mark.parametrize(
    ("given", "prompt"),
    [
        ([system("Say hi.")], [("user", "Say hi.")]),
        ([system("A", "developer"), system("B")], [("system", "A"), ("user", "B")]),
        (
            [system("A"), user("hi"), GREETING, system("Sum it up.")],
            [
                ("system", "A"),
                ("user", "hi"),
                ("assistant", GREETING["content"]),
                ("user", "Sum it up."),
            ],
        ),
        (
            [user("hi"), GREETING],
            [("user", "hi"), ("assistant", GREETING["content"]), ("user", GO_ON)],
        ),
        ([user("hi"), system("Be brief.")], [("system", "Be brief."), ("user", "hi")]),
    ],
)
async def test_what_messages_end_with_is_asked(
    headrace: Server,
    upstream: ScriptedUpstream,
    ask: Any,
    given: list[dict[str, Any]],
    prompt: list[tuple[str, str]],
) -> None:
    says(upstream)

    response = await ask(headrace, given)

    assert 200 == response.status
    sent = upstream.requests[0].json["messages"]
    assert prompt == [(message["role"], message["content"]) for message in sent]


RESULT = {"role": "tool", "tool_call_id": "c1", "content": "21"}
CALLING = {"role": "assistant", "content": "a", "tool_calls": [CALL]}


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("given", "prompt"),
    [
        ([system("A"), user("hi")], ["system A", "user hi"]),
        (
            [system("A"), user("hi"), GREETING, system("B", "developer"), user("c"), system("D")],
            ["system A", "user hi", GREETED, "system B", "user c", "system D"],
        ),
        ([user("hi"), system("B"), system(""), user("c")], ["user hi\n\nc", "system B"]),
        (
            [user("hi"), CALLING, system("B"), RESULT, system("C"), user("d")],
            ["user hi", "assistant a", "tool 21", "user d", "system B", "system C"],
        ),
        (
            [user("hi"), GREETING, system("Sum it up.")],
            ["user hi", GREETED, "user Sum it up."],
        ),
        (
            [user("hi"), system("B"), GREETING, system("Sum it up.")],
            ["user hi", "system B", GREETED, "user Sum it up."],
        ),
    ],
)
async def test_what_a_system_says_later_stays_in_its_place_where_the_server_takes_it(
    serve: Serving, upstream: ScriptedUpstream, given: list[dict[str, Any]], prompt: list[str]
) -> None:
    url = f"{upstream.url}/deepseek"
    settings = {"preset": "deepseek", "base_url": url, "api_key": "k" * 20}
    server = await serve.start(providers={"openai": settings})
    says(upstream)

    response = await whole(server, *given)

    assert 200 == response.status
    sent = upstream.requests[0].json["messages"]
    assert prompt == [f"{message['role']} {message['content']}" for message in sent]


@pytest.mark.gen_test
@pytest.mark.parametrize(
    "given",
    [
        [GREETING],
        [system(" ")],
        [user("hi"), {"role": "assistant", "content": "a", "tool_calls": [CALL]}],
        [user("hi"), GREETING, user(" ")],
    ],
)
async def test_messages_without_anything_to_ask_are_refused(
    headrace: Server, upstream: ScriptedUpstream, given: list[dict[str, Any]]
) -> None:
    response = await whole(headrace, *given)

    assert (400, "invalid_body", "messages") == refusal(response)
    assert [] == upstream.requests


@pytest.mark.gen_test
@pytest.mark.parametrize("dialect", ["anthropic", "gemini"])
async def test_an_answer_may_begin_the_conversation(
    serve: Serving, upstream: ScriptedUpstream, dialect: str
) -> None:
    """The fakes refuse a first turn that is not the user's, as these APIs do."""
    settings = {"dialect": dialect, "base_url": upstream.base_url(dialect), "api_key": "k" * 20}
    server = await serve.start(providers={"p": settings})
    for _ in range(2):
        says(upstream)
    loop = [
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "21"},
    ]

    for given in ([GREETING], loop):
        response = await whole(server, *given, user("hi"), model="p/claude-sonnet-4-5")

        assert 200 == response.status
    assert "How can I help?" in upstream.requests[0].body.decode()
