"""Responses as they are stored: valid by Open Responses' types, followed by others, listed."""

import json
from typing import Any

import pytest
from openresponses_types import types as open_responses

from app.server import Server
from model.prompt import NOTHING_SENT
from tests.file_steps import PNG, data_uri
from tests.readers import call
from tests.serving import Serving
from tests.tool_upstreams import TOOL_UPSTREAMS, Call
from tests.upstreams import ScriptedUpstream

PATH = "/v1/responses"
_EVENTS = {
    kind.model_fields["type"].annotation: kind
    for kind in vars(open_responses).values()
    if isinstance(kind, type) and kind.__name__.endswith("StreamingEvent")
}
VALIDATORS = {next(iter(words)).value: kind for words, kind in _EVENTS.items() if words}  # type: ignore[call-overload]


def speaks(upstream: ScriptedUpstream, *texts: str) -> None:
    upstream.tokens(*texts)
    upstream.finish()
    upstream.next_request()


async def asked(server: Server, given: object, **fields: Any) -> dict[str, Any]:
    body = {"model": "openai/m", "input": given, **fields}
    response = await call(server.url, "POST", PATH, body)
    assert 200 == response.status, response.body
    found: dict[str, Any] = response.body
    return found


@pytest.mark.gen_test
async def test_every_event_and_every_object_is_valid(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.reasoning("hm")
    upstream.tokens("你好")
    upstream.raw(TOOL_UPSTREAMS["openai"].calls([Call("c", "weather", "{}")]))
    upstream.end()
    tools = [{"type": "function", "name": "weather"}]
    fields = {"stream": True, "tools": tools, "reasoning": {"effort": "low"}}
    body = {"model": "openai/m", "input": "Hi", **fields}

    streamed = await call(headrace.url, "POST", PATH, body)

    events = [
        json.loads(line.removeprefix("data: "))
        for line in streamed.body.decode().splitlines()
        if line.startswith("data: {")
    ]
    assert "response.completed" == events[-1]["type"]
    for event in events:
        VALIDATORS[event["type"]].model_validate(event)
    response = events[-1]["response"]
    kept = await call(headrace.url, "GET", f"{PATH}/{response['id']}")
    assert response == kept.body
    open_responses.ResponseResource.model_validate(kept.body)


@pytest.mark.gen_test
async def test_instructions_are_those_of_one_response(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    speaks(upstream, "Yes.")
    speaks(upstream, "No.")

    first = await asked(headrace, "One?", instructions="Be brief.")
    second = await asked(headrace, "Two?", previous_response_id=first["id"])

    assert "Be brief." == first["instructions"]
    assert second["instructions"] is None
    roles = [[m["role"] for m in each.json["messages"]] for each in upstream.requests]
    assert [["system", "user"], ["user", "assistant", "user"]] == roles
    assert first["conversation"] == second["conversation"]


@pytest.mark.gen_test
@pytest.mark.parametrize("in_conversation", [False, True])
async def test_what_a_developer_says_counts_for_the_responses_that_follow(
    headrace: Server, upstream: ScriptedUpstream, in_conversation: bool
) -> None:
    def developer(text: str) -> dict[str, str]:
        return {"role": "developer", "content": text}

    def user(text: str) -> dict[str, str]:
        return {"role": "user", "content": text}

    before: dict[str, Any] = {}
    if in_conversation:
        made = await call(headrace.url, "POST", "/v1/conversations", {})
        before = {"conversation": made.body["id"]}
    for given in (
        [developer("A pirate."), user("One?")],
        "Two?",
        [developer("A pirate."), developer("In verse."), user("Three?")],
        "Four?",
    ):
        speaks(upstream, "Arr.")
        response = await asked(headrace, given, instructions="Be brief.", **before)
        before = before if in_conversation else {"previous_response_id": response["id"]}
    speaks(upstream, "Arr.")
    await asked(headrace, "Five?", store=False, previous_response_id=response["id"])

    systems = [each.json["messages"][0]["content"] for each in upstream.requests]
    pirate = "Be brief.\n\nA pirate."
    verse = f"{pirate}\n\nIn verse."
    assert [pirate, pirate, verse, verse, "A pirate.\n\nIn verse."] == systems
    assert "Be brief." == response["instructions"]


@pytest.mark.gen_test
async def test_of_what_developers_said_the_newest_is_kept(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    before: dict[str, Any] = {}
    for letter in "abc":
        speaks(upstream, "ok")
        given = [
            {"role": "developer", "content": letter * 12_000},
            {"role": "user", "content": "?"},
        ]
        before = {"previous_response_id": (await asked(headrace, given, **before))["id"]}

    kept = upstream.requests[-1].json["messages"][0]["content"]
    assert f"{'b' * 12_000}\n\n{'c' * 12_000}" == kept


@pytest.mark.gen_test
async def test_a_fork_during_a_live_answer_has_a_conversation_of_its_own(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    speaks(upstream, "Yes.")
    first = await asked(headrace, "One?")
    upstream.tokens("It goes on")
    live = await asked(headrace, "Two?", previous_response_id=first["id"], background=True)
    upstream.next_request()
    speaks(upstream, "Three.")

    fork = await asked(headrace, "Three?", previous_response_id=first["id"])

    assert "Three." == fork["output"][0]["content"][0]["text"]
    assert first["conversation"] == live["conversation"] != fork["conversation"]
    assert ["One?", "Yes.", "Three?"] == [
        message["content"] for message in upstream.requests[-1].json["messages"]
    ]
    await call(headrace.url, "POST", f"{PATH}/{live['id']}/cancel")


@pytest.mark.gen_test
async def test_input_items_are_listed_in_pages(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.raw(TOOL_UPSTREAMS["openai"].calls([Call("c", "f", "{}")]))
    upstream.end()
    upstream.next_request()
    speaks(upstream, "Done.")
    tools = [{"type": "function", "name": "f"}]
    first = await asked(headrace, "Do it.", tools=tools)
    given = [
        {"type": "function_call_output", "call_id": "c", "output": "21"},
        {"role": "user", "content": [{"type": "input_text", "text": "And?"}]},
    ]
    second = await asked(headrace, given, tools=tools, previous_response_id=first["id"])
    path = f"{PATH}/{second['id']}/input_items"

    page = await call(headrace.url, "GET", f"{path}?limit=1&order=asc")
    rest = await call(headrace.url, "GET", f"{path}?order=asc&after={page.body['last_id']}")

    assert ("function_call_output", "c", True) == (
        page.body["data"][0]["type"],
        page.body["data"][0]["call_id"],
        page.body["has_more"],
    )
    assert "And?" == rest.body["data"][0]["content"][0]["text"]
    assert not rest.body["has_more"]


@pytest.mark.parametrize(
    ("query", "param", "code"),
    [
        ("/input_items?limit=0", "limit", "invalid_limit"),
        ("/input_items?limit=101", "limit", "invalid_limit"),
        ("/input_items?order=up", "order", "invalid_order"),
        ("/input_items?after=msg_0", "after", "invalid_cursor"),
        ("?stream=1", "stream", "invalid_query"),
        ("?stream=true&starting_after=-1", "starting_after", "invalid_position"),
    ],
)
@pytest.mark.gen_test
async def test_parameters_are_refused_by_their_names(
    headrace: Server, upstream: ScriptedUpstream, query: str, param: str, code: str
) -> None:
    speaks(upstream, "Hello")
    response = await asked(headrace, "Hi")

    refused = await call(headrace.url, "GET", f"{PATH}/{response['id']}{query}")

    error = refused.body["error"]
    assert (400, code, param) == (refused.status, error["code"], error["param"])
    assert error["message"].startswith(f"`{param}` must be ")


@pytest.mark.gen_test
async def test_without_store_nothing_is_stored(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    speaks(upstream, "{}")
    schema = {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True}

    response = await asked(headrace, "Hi", store=False, text={"format": schema})

    assert response["conversation"] is None
    assert "json_schema" == upstream.requests[0].json["response_format"]["type"]
    assert 404 == (await call(headrace.url, "GET", f"{PATH}/{response['id']}")).status
    assert [] == (await call(headrace.url, "GET", "/api/v1/conversations")).body["data"]


@pytest.mark.gen_test
async def test_a_number_beyond_the_answer_ends_in_its_ending(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("Hello")
    upstream.cut()
    response = await asked(headrace, "Hi")

    resumed = await call(
        headrace.url, "GET", f"{PATH}/{response['id']}?stream=true&starting_after=99999"
    )

    lines = [line for line in resumed.body.decode().splitlines() if line.startswith("event: ")]
    assert "failed" == response["status"]
    assert ["event: response.failed"] == lines


@pytest.mark.gen_test
async def test_what_came_before_the_question_is_known_to_responses_that_follow(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    for text in ("Yes.", "No.", "Maybe."):
        speaks(upstream, text)
    whole = [
        {"role": "user", "content": "One?"},
        {"role": "assistant", "content": "Once."},
        {"role": "user", "content": "Two?"},
    ]
    first = await asked(headrace, whole)
    second = await asked(headrace, "Three?", previous_response_id=first["id"])

    await asked(headrace, "Four?", previous_response_id=second["id"])

    sent = [message["content"] for message in upstream.requests[2].json["messages"]]
    assert ["One?", "Once.", "Two?", "Yes.", "Three?", "No.", "Four?"] == sent


@pytest.mark.gen_test
async def test_a_fork_takes_along_what_came_before_the_first_question(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    speaks(upstream, "Yes.")
    whole = [
        {"role": "user", "content": "One?"},
        {"role": "assistant", "content": "Once."},
        {"role": "user", "content": "Two?"},
    ]
    first = await asked(headrace, whole)
    upstream.tokens("It goes on")
    live = await asked(headrace, "Three?", previous_response_id=first["id"], background=True)
    upstream.next_request()
    speaks(upstream, "No.")
    speaks(upstream, "Maybe.")

    fork = await asked(headrace, "Four?", previous_response_id=first["id"])
    await asked(headrace, "Five?", previous_response_id=fork["id"])

    assert fork["conversation"] != live["conversation"]
    known = ["One?", "Once.", "Two?", "Yes.", "Four?"]
    sent = [[each["content"] for each in r.json["messages"]] for r in upstream.requests]
    assert [known, [*known, "No.", "Five?"]] == sent[2:]
    await call(headrace.url, "POST", f"{PATH}/{live['id']}/cancel")


@pytest.mark.gen_test
async def test_a_response_in_a_conversation_follows_its_newest_answer(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    speaks(upstream, "Yes.")
    speaks(upstream, "No.")
    made = await call(headrace.url, "POST", "/v1/conversations", {})

    first = await asked(headrace, "One?", conversation=made.body["id"])
    second = await asked(headrace, "Two?", conversation={"id": made.body["id"]})

    assert first["conversation"] == second["conversation"] == {"id": made.body["id"]}
    assert ["One?", "Yes.", "Two?"] == [
        message["content"] for message in upstream.requests[1].json["messages"]
    ]


@pytest.mark.gen_test
async def test_what_a_conversation_cannot_take_is_refused_and_nothing_is_asked(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    made = await call(headrace.url, "POST", "/v1/conversations", {})
    upstream.tokens("It goes on")
    live = await asked(headrace, "One?", conversation=made.body["id"], background=True)
    await upstream.request(0)

    async def refusal(given: object, conversation: str) -> tuple[int, str]:
        body = {"model": "openai/m", "input": given, "conversation": conversation}
        response = await call(headrace.url, "POST", PATH, body)
        return response.status, response.body["error"]["code"]

    said = [{"role": "assistant", "content": "Once."}, {"role": "user", "content": "Two?"}]
    assert (409, "conversation_busy") == await refusal("Two?", made.body["id"])
    assert (404, "not_found") == await refusal("Two?", "conv_unknown")
    assert (400, "unsupported_parameter") == await refusal(said, made.body["id"])
    assert 1 == len(upstream.requests)
    await call(headrace.url, "POST", f"{PATH}/{live['id']}/cancel")


@pytest.mark.gen_test
async def test_of_an_earlier_turn_that_was_an_image_responses_that_follow_have_words(
    serve: Serving, upstream: ScriptedUpstream, providers: dict[str, Any]
) -> None:
    settings = providers["openai"] | {"input_kinds": ["image", "file"]}
    server = await serve.start(providers={"openai": settings})
    image = {"type": "input_image", "image_url": data_uri(PNG, "image/png")}
    whole = [
        {"role": "user", "content": [image]},
        {"role": "assistant", "content": "A cat."},
        {"role": "user", "content": "Sure?"},
    ]
    speaks(upstream, "Yes.")
    speaks(upstream, "A dog.")
    first = await asked(server, whole)

    await asked(server, "Look again.", previous_response_id=first["id"])

    sent = [message["content"] for message in upstream.requests[1].json["messages"]]
    assert [NOTHING_SENT, "A cat.", "Sure?", "Yes.", "Look again."] == sent


@pytest.mark.gen_test
@pytest.mark.parametrize("store", [True, False])
async def test_a_response_follows_no_live_one_whether_or_not_it_is_stored(
    headrace: Server, upstream: ScriptedUpstream, store: bool
) -> None:
    upstream.tokens("It goes on")
    live = await asked(headrace, "One?", background=True)
    await upstream.request(0)
    fields = {"previous_response_id": live["id"], "store": store}

    refused = await call(
        headrace.url, "POST", PATH, {"model": "openai/m", "input": "Two?", **fields}
    )

    assert (409, "conversation_busy") == (refused.status, refused.code)
    assert 1 == len(upstream.requests)
    await call(headrace.url, "POST", f"{PATH}/{live['id']}/cancel")
