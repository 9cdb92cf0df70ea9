"""Steps of the tests of webhooks: questions are answered, and deliveries made."""

import asyncio
from typing import Any

from app.server import Server
from storage.contract import Storage
from tests.faults import FaultyStorage
from tests.readers import call
from tests.steps import JSON
from tests.webhook_receiver import Receiver
from webhooks.webhook import Webhook

QUESTION = {"content": "hi"}


async def answered(server: Server, **fields: Any) -> str:
    """Ask, and wait for the whole answer; its id."""
    response = await call(server.url, "POST", "/api/v1/chat", QUESTION | fields, headers=JSON)
    assert 200 == response.status, response
    answer_id: str = response.body["id"]
    return answer_id


async def none_waits(store: FaultyStorage, receiver: Receiver) -> None:
    """Wait until all that is stored for a webhook is delivered."""
    storage: Storage | None = store.wrapped
    assert storage is not None
    key = Webhook(name="", url=receiver.url, secret=b"", events=frozenset()).key
    async with asyncio.timeout(10):
        while await storage.waiting_deliveries(key):  # noqa: ASYNC110 - a store tells nobody
            await asyncio.sleep(0.01)
