"""A bug in making a delivery costs a try, and is not repeated for ever."""

from collections.abc import Callable
from typing import Any

import pytest

from storage.values import WebhookDelivery
from tests.faults import FaultyStorage
from tests.serving import Serving
from tests.upstreams import ScriptedUpstream
from tests.webhook_receiver import Receiver
from tests.webhooks.steps import answered, none_waits
from webhooks import events, sender


@pytest.mark.gen_test
async def test_a_bug_of_one_delivery_is_a_try_like_any_other(
    serve: Serving,
    providers: dict[str, Any],
    upstream: ScriptedUpstream,
    receiver: Receiver,
    store: FaultyStorage,
    monkeypatch: pytest.MonkeyPatch,
    expect_log: Callable[[str, str], None],
) -> None:
    expect_log("headrace.webhooks", "delivery to a webhook failed")
    bugs = [ValueError()]

    def body_of(delivery: WebhookDelivery) -> bytes:
        if bugs:
            raise bugs.pop()
        return events.body_of(delivery)

    monkeypatch.setattr(sender, "body_of", body_of)
    monkeypatch.setattr(sender, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(sender, "POLL_SECONDS", 0.05)
    server = await serve.start(providers=providers, webhooks=[receiver.settings()])
    upstream.finish()

    answer_id = await answered(server)
    (received,) = await receiver.requests(1)

    assert f"evt_{answer_id}" == received.id
    await none_waits(store, receiver)
