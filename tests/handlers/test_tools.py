"""Tools over HTTP: definitions in, calls out, results back in, and what is refused of them."""

from typing import Any

import pytest

from app.server import Server
from relay.tool_loop import NOT_CARRIED_OUT
from tests.readers import Reader, Response, call
from tests.serving import Serving
from tests.steps import JSON, LATER, messages_of
from tests.tool_upstreams import TOOL_UPSTREAMS, Call
from tests.upstreams import ScriptedUpstream

OPENAI = TOOL_UPSTREAMS["openai"]
TOOLS = [{"name": "weather", "parameters": {"type": "object"}}]
CALLS = [Call("c1", "weather", '{"city": "Bern"}'), Call("c2", "weather", '{"city": "Basel"}')]
CANARY = "canary-5e1f"


def result(call_id: str, text: str = "21", **fields: Any) -> dict[str, Any]:
    return {"type": "tool_result", "id": call_id, "text": text, **fields}


BOTH = [result("c1"), result("c2", "no such city", is_error=True)]


def refusal(response: Response) -> tuple[int, str]:
    return response.status, response.body["error"]["code"]


class Chat:
    """A conversation with a provider that calls tools."""

    def __init__(self, server: Server, upstream: ScriptedUpstream) -> None:
        self._server = server
        self.upstream = upstream
        self.path = "/api/v1/chat"

    def calls(self, *calls: Call, finish: str = "tool_calls") -> None:
        body = OPENAI.calls(calls or CALLS)
        self.upstream.raw(body.replace(b'"tool_calls"}', f'"{finish}"}}'.encode()))
        self.upstream.end()
        self.upstream.next_request()

    def says(self, text: str) -> None:
        self.upstream.tokens(text)
        self.upstream.finish()
        self.upstream.next_request()

    async def ask(self, content: object, **fields: Any) -> Response:
        body = {"content": content, "tools": TOOLS, **fields}
        response = await call(self._server.url, "POST", self.path, body, headers=JSON)
        if self.path == "/api/v1/chat" and response.status == 200:
            self.path = f"/api/v1/conversations/{response.body['conversation_id']}/messages"
        return response

    async def messages(self) -> list[dict[str, Any]]:
        return await messages_of(self._server, self.path.removesuffix("/messages"))

    def sent(self) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = self.upstream.requests[-1].json["messages"]
        return messages


@pytest.fixture
def chat(headrace: Server, upstream: ScriptedUpstream) -> Chat:
    return Chat(headrace, upstream)


@pytest.mark.gen_test
async def test_a_tool_is_offered_called_and_answered(chat: Chat) -> None:
    chat.calls()
    chat.says("It is warm.")

    asked = await chat.ask("How warm is it?", tool_choice="required", parallel_tool_calls=True)
    told = await chat.ask(BOTH)

    assert ("tool_calls", "complete") == (asked.body["finish_reason"], asked.body["status"])
    first = chat.upstream.requests[0].json
    assert [{"type": "function", "function": TOOLS[0]}] == first["tools"]
    assert ("required", True) == (first["tool_choice"], first["parallel_tool_calls"])
    assert ["user", "assistant", "tool", "tool"] == [each["role"] for each in chat.sent()]
    assert "It is warm." == told.body["blocks"][0]["text"]
    kept = await chat.messages()
    assert BOTH == kept[2]["blocks"]
    assert [
        {"type": "tool_call", "id": each.id, "name": each.name, "arguments": each.arguments}
        for each in CALLS
    ] == kept[1]["blocks"][1:]


@pytest.mark.gen_test
async def test_calls_that_come_without_ids_get_different_ones(chat: Chat) -> None:
    body = OPENAI.calls(CALLS).replace(b'"id":"c1",', b"").replace(b'"id":"c2",', b"")
    chat.upstream.raw(body)
    chat.upstream.end()
    chat.upstream.next_request()
    chat.says("It is warm.")

    asked = await chat.ask("How warm is it?")
    bern, basel = (block["id"] for block in asked.body["blocks"][1:])
    told = await chat.ask([result(basel, "19"), result(bern, "21")])

    assert bern != basel
    assert "It is warm." == told.body["blocks"][0]["text"]
    _, answer, *results = chat.sent()
    assert [bern, basel] == [each["id"] for each in answer["tool_calls"]]
    assert [(bern, "21"), (basel, "19")] == [
        (each["tool_call_id"], each["content"]) for each in results
    ]


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("results", "code"),
    [
        (BOTH[:1], "missing_tool_results"),
        ([*BOTH, result("c3")], "unknown_tool_call"),
        ([*BOTH, result("c1")], "unknown_tool_call"),
        ([result("c3")], "unknown_tool_call"),
    ],
)
async def test_results_have_to_be_those_of_the_calls(
    chat: Chat, results: list[dict[str, Any]], code: str
) -> None:
    chat.calls()
    await chat.ask("q")

    refused = await chat.ask([*results, {"type": "text", "text": "and so?"}])

    assert (400, code) == refusal(refused)
    assert 2 == len(await chat.messages())
    assert 1 == len(chat.upstream.requests)


@pytest.mark.gen_test
async def test_results_need_an_answer_with_calls(chat: Chat) -> None:
    chat.says("a")

    first = await chat.ask([result("c1")])
    asked = await chat.ask("q")
    after = await chat.ask([result("c1")])
    before = await chat.ask([result("c1")], parent_id=None)

    assert 200 == asked.status
    assert {(400, "unknown_tool_call")} == {refusal(each) for each in (first, after, before)}


@pytest.mark.gen_test
async def test_an_answer_at_its_length_limit_has_no_open_calls(chat: Chat) -> None:
    chat.calls(finish="length")
    chat.says("a")
    asked = await chat.ask("q")

    refused = await chat.ask(BOTH)
    told = await chat.ask("go on")

    assert "length" == asked.body["finish_reason"]
    assert (400, "unknown_tool_call") == refusal(refused)
    assert 200 == told.status
    assert ["q", "Let me see.", "go on"] == [each["content"] for each in chat.sent()]


@pytest.mark.gen_test
async def test_a_person_may_go_on_without_the_results(chat: Chat) -> None:
    chat.calls()
    chat.says("a")
    await chat.ask("q")

    told = await chat.ask("Never mind.", tools=None)

    assert 200 == told.status
    assert [(each, f"Error: {NOT_CARRIED_OUT}") for each in CALLS] == OPENAI.returned(
        chat.upstream.requests[-1].json
    )
    assert {"role": "user", "content": "Never mind."} == chat.sent()[-1]
    assert ["text"] == [block["type"] for block in (await chat.messages())[2]["blocks"]]


@pytest.mark.gen_test
async def test_results_for_an_answer_in_progress_are_too_early(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    whole = OPENAI.calls(CALLS)
    upstream.raw(whole[: whole.index(b"c2")])
    live = await call(headrace.url, "POST", "/api/v1/chat", {"content": "q"}, headers=LATER)
    path = f"/api/v1/conversations/{live.body['conversation_id']}/messages"

    refused = await call(headrace.url, "POST", path, {"content": BOTH}, headers=JSON)

    assert (409, "conversation_busy") == refusal(refused)
    assert live.body["answer_id"] == refused.body["error"]["answer_id"]
    await call(headrace.url, "POST", f"/api/v1/answers/{live.body['answer_id']}/stop")


@pytest.mark.gen_test
async def test_results_are_asked_again_when_their_answer_is_regenerated(
    headrace: Server, chat: Chat
) -> None:
    chat.calls()
    chat.says("a")
    chat.says("b")
    await chat.ask("q")
    told = await chat.ask(BOTH)

    path = f"/api/v1/answers/{told.body['id']}/regenerate"
    again = await call(headrace.url, "POST", path, {"tools": TOOLS}, headers=JSON)

    assert (200, "b") == (again.status, again.body["blocks"][0]["text"])
    one, other = (each.json for each in chat.upstream.requests[1:])
    assert one == other


@pytest.mark.gen_test
async def test_results_give_a_conversation_no_title(headrace: Server, chat: Chat) -> None:
    chat.calls()
    chat.says("a")
    await chat.ask("\u2060")  # nothing of it can be seen

    await chat.ask(BOTH)

    shown = await call(headrace.url, "GET", chat.path.removesuffix("/messages"))
    assert shown.body["title"] is None


@pytest.mark.gen_test
async def test_a_loop_has_the_length_of_one_question(
    serve: Serving, upstream: ScriptedUpstream, providers: dict[str, Any]
) -> None:
    limits = {"max_question_chars": 500}
    server = await serve.start(providers=providers, limits=limits, context={"max_chars": 100})
    chat = Chat(server, upstream)
    for _ in range(3):
        chat.calls(CALLS[0])
    await chat.ask("q")
    long = [result("c1", "x" * 200)]

    first, second, third = [await chat.ask(long) for _ in range(3)]

    assert [200, 200] == [first.status, second.status]
    assert (413, "tool_loop_too_long") == refusal(third)
    sent = chat.sent()
    assert ["x" * 200] * 2 == [each["content"] for each in sent if each["role"] == "tool"]


@pytest.mark.gen_test
async def test_a_stream_tells_of_each_call(headrace: Server, chat: Chat) -> None:
    chat.calls()
    reader = await Reader.ask(headrace.url, tools=TOOLS)

    end = await reader.end()

    assert ("complete", "tool_calls") == (end["status"], end["finish_reason"])
    deltas = [each.data["tool_call"] for each in reader.seen if "tool_call" in (each.data or {})]
    assert ["c1", "c2"] == [each["id"] for each in deltas if "id" in each]


@pytest.mark.gen_test
async def test_words_of_tools_are_not_logged(
    headrace: Server, chat: Chat, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    secret = Call("c1", f"find_{CANARY}", f'{{"what": "{CANARY}"}}')
    chat.calls(secret)
    chat.says("a")
    tools = [
        {
            "name": f"find_{CANARY}",
            "description": CANARY,
            "parameters": {"type": "object", "title": CANARY},
        }
    ]

    asked = await chat.ask("q", tools=tools, extra={"user": CANARY})
    told = await chat.ask([result("c1", CANARY)], tools=tools)
    unknown = await chat.ask([result(CANARY, CANARY)], tools=tools)
    invalid = await chat.ask("q", tools=[{"name": f"{CANARY} !"}], extra={CANARY: "https://x"})
    metrics = await call(headrace.url, "GET", "/metrics")

    assert [200, 200, 400, 400] == [each.status for each in (asked, told, unknown, invalid)]
    assert CANARY not in caplog.text
    assert CANARY not in metrics.body.decode()
    assert CANARY not in str(unknown.body) + str(invalid.body)
