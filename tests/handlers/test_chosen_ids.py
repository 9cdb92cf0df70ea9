"""A chat whose conversation was deleted: its id begins a new one, whatever is left of the first."""

from typing import Any

import pytest

from app.server import Server
from model.client_ids import conversation_id_of
from relay import deletion_sweep
from storage.sqlite.store import SQLiteStorage
from tests.handlers.ai_sdk.chats import Chat, user
from tests.readers import call
from tests.serving import Serving
from tests.steps import messages_of
from tests.upstreams import ScriptedUpstream

ID = conversation_id_of("local", "ai-sdk", "c1")
CONVERSATION = f"/api/v1/conversations/{ID}"


def say(upstream: ScriptedUpstream, text: str) -> None:
    upstream.tokens(text)
    upstream.finish()
    upstream.next_request()


async def said(server: Server) -> list[Any]:
    """The texts of the conversation."""
    return [
        block["text"]
        for each in await messages_of(server, CONVERSATION)
        for block in each["blocks"]
    ]


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_deleted_chat_begins_anew_at_once(
    serve: Serving, with_store: dict[str, Any], upstream: ScriptedUpstream
) -> None:
    server = await serve.start(**with_store)
    chat = Chat(server.url)
    say(upstream, "first")
    await chat.ask(user("one"))
    assert 204 == (await call(server.url, "DELETE", CONVERSATION)).status
    say(upstream, "second")

    await chat.ask(user("two"))

    assert ["two", "second"] == await said(server)


@pytest.mark.gen_test
async def test_a_chat_that_takes_long_to_delete_is_asked_in_later(
    headrace: Server, upstream: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = Chat(headrace.url)
    say(upstream, "first")
    await chat.ask(user("one"))

    async def never_over(*_: Any) -> bool:
        return True

    with monkeypatch.context() as patched:
        patched.setattr(SQLiteStorage, "purge", never_over)
        patched.setattr(deletion_sweep, "_FINISH_SECONDS", 0.05)
        await call(headrace.url, "DELETE", CONVERSATION)
        refused = await chat.post(user("two"))
    assert (503, "conversation_being_deleted") == (refused.status, refused.code)
    assert refused.headers["retry-after"]

    say(upstream, "second")
    await chat.ask(user("two"))

    assert ["two", "second"] == await said(headrace)
