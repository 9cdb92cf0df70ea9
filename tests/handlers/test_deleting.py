"""A deleted conversation is gone for everybody at once, long before its messages are cleared."""

import asyncio
from typing import Any

import pytest

from app.server import Server
from tests.faults import FaultyStorage
from tests.readers import Response, call
from tests.serving import Serving
from tests.steps import JSON


@pytest.fixture(params=["sqlite", "mongo"])
def settings(request: pytest.FixtureRequest) -> dict[str, Any]:
    """A server on either store, answered by the demo."""
    if request.param == "sqlite":
        return {}
    return {"storage": {"url": request.getfixturevalue("mongo_url")}}


async def asked(server: Server, body: dict[str, Any], **headers: str) -> dict[str, Any]:
    """An answered question, as the client received it."""
    headers = JSON | {"Idempotency-Key": "k", **headers}
    answered = await call(server.url, "POST", "/api/v1/chat", body, headers=headers)
    assert 200 == answered.status
    message: dict[str, Any] = answered.body
    return message


async def everywhere(server: Server, path: str, answer_id: str) -> dict[str, Response]:
    """The responses of all routes that may lead to a conversation."""
    of_answer = f"/api/v1/answers/{answer_id}"
    doors: list[tuple[str, str, Any, dict[str, str]]] = [
        ("GET", path, None, {}),
        ("PATCH", path, {"title": "t"}, {}),
        ("GET", f"{path}/messages", None, {}),
        ("GET", f"{path}/messages?limit=1", None, {}),
        ("POST", f"{path}/messages", {"content": "q"}, JSON),
        ("POST", f"{path}/messages", {"content": "q", "parent_id": answer_id}, JSON),
        ("GET", f"{of_answer}/events", None, {}),
        ("GET", f"{of_answer}/events", None, {"Last-Event-ID": "1"}),
        ("POST", f"{of_answer}/stop", None, {}),
        ("POST", f"{of_answer}/ticket", None, {}),
        ("POST", f"{of_answer}/regenerate", {}, JSON),
        ("POST", "/api/v1/chat", {"content": "first"}, JSON | {"Idempotency-Key": "k"}),
        ("DELETE", path, None, {}),
    ]
    return {
        f"{method} {where} {headers}": await call(server.url, method, where, body, headers=headers)
        for method, where, body, headers in doors
    }


@pytest.mark.slow
@pytest.mark.gen_test
async def test_no_door_leads_to_a_deleted_conversation_that_is_not_cleared_yet(
    serve: Serving, settings: dict[str, Any], store: FaultyStorage
) -> None:
    server = await serve.start(**settings)
    first = await asked(server, {"content": "first"})
    path = f"/api/v1/conversations/{first['conversation_id']}"
    store.fail("purge")

    deleted = await call(server.url, "DELETE", path)

    assert 204 == deleted.status
    told = await everywhere(server, path, first["id"])
    assert dict.fromkeys(told, 404) == {route: response.status for route, response in told.items()}
    listed = await call(server.url, "GET", "/api/v1/conversations")
    assert [] == listed.body["data"]
    assert 0 == len(server.relay.live_answers)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_what_a_server_left_uncleared_the_next_one_clears(
    serve: Serving, settings: dict[str, Any], store: FaultyStorage
) -> None:
    server = await serve.start(**settings)
    first = await asked(server, {"content": "first"})
    store.fail("next_deletion")
    await call(server.url, "DELETE", f"/api/v1/conversations/{first['conversation_id']}")
    await serve.stop(server)
    store.heal()
    gate = store.hold("purge", done=True)

    await serve.start(**settings)

    async with asyncio.timeout(5):
        await gate.reached.wait()
