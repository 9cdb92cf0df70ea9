"""For how long a delivery is kept that nobody can make, and a receiver is let alone."""

import asyncio
from typing import Any

import pytest

from tests.faults import FaultyStorage
from tests.serving import Serving
from tests.upstreams import ScriptedUpstream
from tests.webhook_receiver import Receiver
from tests.webhooks.steps import answered
from webhooks import sender
from webhooks.webhook import Webhook


def key_of(receiver: Receiver) -> str:
    return Webhook(name="", url=receiver.url, secret=b"", events=frozenset()).key


@pytest.mark.gen_test
async def test_what_waits_for_a_webhook_that_other_processes_have_is_kept_for_a_day(
    serve: Serving,
    providers: dict[str, Any],
    upstream: ScriptedUpstream,
    receiver: Receiver,
    other: Receiver,
    store: FaultyStorage,
) -> None:
    receiver.status = 500
    first = await serve.start(providers=providers, webhooks=[receiver.settings()])
    upstream.tokens("a")
    upstream.finish()
    await answered(first)
    await receiver.requests(1)
    await serve.stop(first)
    dropping = store.hold("drop_deliveries", done=True)

    await serve.start(providers=providers, webhooks=[other.settings()])

    await dropping.reached.wait()
    assert store.wrapped is not None
    assert 1 == await store.wrapped.waiting_deliveries(key_of(receiver))
    dropping.open.set()


@pytest.mark.parametrize(("wanted", "seconds"), [("7", 7), ("1800", 1800), ("86400", 1800)])
@pytest.mark.gen_test
async def test_a_receiver_is_let_alone_for_half_an_hour_at_most(
    serve: Serving,
    providers: dict[str, Any],
    upstream: ScriptedUpstream,
    receiver: Receiver,
    store: FaultyStorage,
    wanted: str,
    seconds: int,
) -> None:
    head = f"HTTP/1.1 429 x\r\nRetry-After: {wanted}\r\nContent-Length: 0\r\n\r\n"
    receiver.respond = head.encode
    pauses: asyncio.Queue[float] = asyncio.Queue()
    store.fail("retry_delivery", when=lambda _, *, seconds: pauses.put_nowait(seconds) or False)
    server = await serve.start(providers=providers, webhooks=[receiver.settings()])
    upstream.tokens("a")
    upstream.finish()

    await answered(server)

    assert max(seconds, sender.FIRST_PAUSE) == await pauses.get()
