"""OpenAI's SDKs read the events that webhooks are sent, and refuse all others."""

import time
from typing import Any

import pytest
from openai import AsyncOpenAI, InvalidWebhookSignatureError, OpenAI
from openai.types import webhooks as events

from app.server import Server
from tests.clients.qwen import MODEL
from tests.clients.scripts import Scripts
from tests.readers import Reader, call
from tests.serving import Serving
from tests.steps import JSON
from tests.upstreams import ScriptedUpstream
from tests.webhook_receiver import SECRET, Received, Receiver
from webhooks.signing import secret_bytes, signed_headers

TYPES = {
    "response.completed": events.ResponseCompletedWebhookEvent,
    "response.incomplete": events.ResponseIncompleteWebhookEvent,
    "response.failed": events.ResponseFailedWebhookEvent,
    "response.cancelled": events.ResponseCancelledWebhookEvent,
}


async def every_ending(
    server: Server, upstream: ScriptedUpstream, receiver: Receiver
) -> list[Received]:
    """What the receiver is sent of an answer of each ending."""
    for finish in ("stop", "length"):
        upstream.tokens("a")
        upstream.finish(finish)
        await call(server.url, "POST", "/api/v1/chat", {"content": "hi"}, headers=JSON)
        upstream.next_request()
    upstream.fail(400, {"error": {"message": "no"}})
    await call(server.url, "POST", "/api/v1/chat", {"content": "hi"}, headers=JSON)
    upstream.next_request()
    upstream.tokens("b")
    reader = await Reader.ask(server.url)
    await reader.text("b")
    await call(server.url, "POST", f"/api/v1/answers/{reader.answer_id}/stop")
    return await receiver.requests(4)


@pytest.mark.gen_test
async def test_the_python_sdk_unwraps_every_event(
    serve: Serving,
    providers: dict[str, dict[str, Any]],
    upstream: ScriptedUpstream,
    receiver: Receiver,
) -> None:
    server = await serve.start(providers=providers, webhooks=[receiver.settings()])
    received = await every_ending(server, upstream, receiver)
    sdk = OpenAI(api_key="none", webhook_secret=SECRET)

    unwrapped = [sdk.webhooks.unwrap(each.body, each.headers) for each in received]

    assert TYPES == {each.type: type(each) for each in unwrapped}
    assert [each.event["data"]["id"] for each in received] == [each.data.id for each in unwrapped]
    assert all(each.data.id.startswith("resp_") for each in unwrapped)


@pytest.mark.gen_test
async def test_the_python_sdk_refuses_what_is_changed_or_old(receiver: Receiver) -> None:
    sdk = OpenAI(api_key="none", webhook_secret=SECRET)
    at = int(time.time())
    headers = signed_headers(secret_bytes(SECRET), "evt_1", at, b"{}")
    old = signed_headers(secret_bytes(SECRET), "evt_1", at - 600, b"{}")

    for body, sent in ((b"{ }", headers), (b"{}", old)):
        with pytest.raises(InvalidWebhookSignatureError):
            sdk.webhooks.verify_signature(body, sent)
    sdk.webhooks.verify_signature(b"{}", headers)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_the_npm_sdk_unwraps_every_event_and_refuses_what_is_changed(
    serve: Serving,
    providers: dict[str, dict[str, Any]],
    upstream: ScriptedUpstream,
    receiver: Receiver,
    node: Scripts,
) -> None:
    server = await serve.start(providers=providers, webhooks=[receiver.settings()])
    received = await every_ending(server, upstream, receiver)
    first = received[0]
    sent = [
        {"body": each.body.decode(), "headers": each.headers}
        for each in (*received, first._replace(body=first.body + b" "))
    ]

    *unwrapped, refused = await node.run("openai_webhooks.js", secret=SECRET, received=sent)

    assert [each.event for each in received] == unwrapped
    assert "does not match" in refused["message"]


@pytest.mark.gen_test
async def test_a_response_in_the_background_is_retrieved_by_the_id_of_its_event(
    serve: Serving,
    providers: dict[str, dict[str, Any]],
    upstream: ScriptedUpstream,
    receiver: Receiver,
) -> None:
    server = await serve.start(providers=providers, webhooks=[receiver.settings()])
    upstream.tokens("你好")
    async with AsyncOpenAI(
        api_key="none", base_url=f"{server.url}/v1", webhook_secret=SECRET
    ) as sdk:
        begun = await sdk.responses.create(model=MODEL, input="hi", background=True)
        upstream.finish()
        (received,) = await receiver.requests(1)
        event = sdk.webhooks.unwrap(received.body, received.headers)
        response = await sdk.responses.retrieve(event.data.id)

    assert ("response.completed", begun.id) == (event.type, event.data.id)
    assert ("completed", "你好") == (response.status, response.output_text)
