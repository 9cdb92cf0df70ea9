"""Chat completions with `store`: where they are kept, how they are shown, changed and deleted."""

from typing import Any

import pytest

from app.server import Server
from tests.handlers.openai.chat_steps import PATH, refusal, user, whole
from tests.readers import Response, call
from tests.steps import messages_of
from tests.upstreams import ScriptedUpstream


def says(upstream: ScriptedUpstream, *texts: str) -> None:
    """Answer a question with each of `texts`."""
    for text in texts:
        upstream.tokens(text)
        upstream.finish()
        upstream.next_request()


async def stored(server: Server, *messages: dict[str, Any], **metadata: str) -> Any:
    response = await whole(server, *messages, store=True, metadata=metadata)
    assert 200 == response.status, response.body
    return response.body


async def get(server: Server, path: str = "") -> Response:
    return await call(server.url, "GET", PATH + path)


@pytest.mark.gen_test
async def test_what_is_stored_is_shown_listed_changed_and_deleted(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    says(upstream, "one", "two")
    first = await stored(headrace, user("q1"), project="docs")
    second = await stored(headrace, user("q2"), project="code")
    path = f"/{first['id']}"

    assert first == (await get(headrace, path)).body
    assert "docs" == first["metadata"]["project"]
    listed = (await get(headrace, "?order=desc")).body
    assert [second["id"], first["id"]] == [each["id"] for each in listed["data"]]
    page = (await get(headrace, "?limit=1")).body
    assert ([first["id"]], True) == ([each["id"] for each in page["data"]], page["has_more"])
    page = (await get(headrace, f"?limit=1&after={first['id']}")).body
    assert ([second["id"]], False) == ([each["id"] for each in page["data"]], page["has_more"])
    chosen = (await get(headrace, "?metadata%5Bproject%5D=code")).body
    assert [second["id"]] == [each["id"] for each in chosen["data"]]
    messages = (await get(headrace, f"{path}/messages")).body["data"]
    assert [("user", "q1")] == [(each["role"], each["content"]) for each in messages]
    changed = await call(headrace.url, "POST", PATH + path, {"metadata": {"a": "b"}})
    assert "b" == changed.body["metadata"]["a"]
    assert changed.body == (await get(headrace, path)).body
    deleted = await call(headrace.url, "DELETE", PATH + path)
    assert deleted.body == {
        "id": first["id"],
        "object": "chat.completion.deleted",
        "deleted": True,
    }
    assert (404, "not_found", None) == refusal(await get(headrace, path))


@pytest.mark.gen_test
@pytest.mark.parametrize("by_id", [True, False])
async def test_a_conversation_goes_on_in_the_tree_of_the_messages_sent(
    headrace: Server, upstream: ScriptedUpstream, by_id: bool
) -> None:
    says(upstream, "one", "two", "edited")
    q1, a1 = user("q1"), {"role": "assistant", "content": "one"}
    given = {} if by_id else {"conversation_id": "my thread"}

    first = await stored(headrace, q1, **given)
    name = first["metadata"]["conversation_id"] if by_id else "my thread"
    second = await stored(headrace, q1, a1, user("q2"), conversation_id=name)
    await stored(headrace, user("q1, edited"), conversation_id=name)

    conversations = await call(headrace.url, "GET", "/api/v1/conversations")
    (conversation,) = conversations.body["data"]
    kept = await messages_of(headrace, f"/api/v1/conversations/{conversation['id']}")
    parents = {each["id"]: each["parent_id"] for each in kept}
    one, two, edited = (each for each in kept if each["role"] == "assistant")
    assert parents[two["parent_id"]] == one["id"]
    assert parents[one["parent_id"]] is None
    assert parents[edited["parent_id"]] is None
    messages = (await get(headrace, f"/{second['id']}/messages")).body["data"]
    assert ["q1", "one", "q2"] == [each["content"] for each in messages]
    refused = await call(headrace.url, "DELETE", f"{PATH}/{second['id']}")
    assert (409, "conversation_not_empty", None) == refusal(refused)
    assert "false" == refused.headers["x-should-retry"]
    sent = [message["content"] for message in upstream.requests[-1].json["messages"]]
    assert ["q1, edited"] == sent


@pytest.mark.gen_test
async def test_a_conversation_that_is_named_by_an_id_has_to_exist(headrace: Server) -> None:
    metadata = {"conversation_id": "conv_" + "0" * 32}

    response = await whole(headrace, store=True, metadata=metadata)

    assert (404, "not_found", None) == refusal(response)


@pytest.mark.gen_test
async def test_a_stored_completion_that_is_not_whole_says_so(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("Hel")
    upstream.cut()
    assert 502 == (await whole(headrace, store=True)).status

    (kept,) = (await get(headrace)).body["data"]

    assert ("failed", "stream_broken") == (kept["status"], kept["error"]["code"])
    assert kept["choices"][0]["finish_reason"] is None
    assert "Hel" == kept["choices"][0]["message"]["content"]


@pytest.mark.gen_test
async def test_a_place_in_a_list_that_does_not_exist_is_refused_by_its_name(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    says(upstream, "one")
    kept = await stored(headrace, user("q1"))

    for path in ("?after=x", f"/{kept['id']}/messages?after=x"):
        assert (400, "invalid_cursor", "after") == refusal(await get(headrace, path))
