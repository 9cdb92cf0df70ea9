"""Scenes of the runbook: receivers of webhooks that accept nothing, and stores that fail."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from storage.errors import Reason, StorageError
from tests.faults import FaultyStorage
from tests.readers import call
from tests.runbook.stage import Stage, scene
from tests.steps import JSON
from tests.webhook_receiver import Receiver
from webhooks import sender


async def asked(url: str) -> None:
    answered = await call(url, "POST", "/api/v1/chat", {"content": "hi"}, headers=JSON)
    assert 200 == answered.status


@scene(
    "webhook does not accept events, they are tried again for a day: … reason=refused",
    "event for a webhook dropped webhook=… reason=… answer=…",
)
async def nobody_listens(stage: Stage) -> None:
    receiver = await Receiver().start()
    await receiver.stop()
    server = await stage.serve.start(webhooks=[receiver.settings()])
    await asked(server.url)
    await stage.shows(
        "webhook does not accept events, they are tried again for a day: … reason=refused"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sender, "LIFETIME", timedelta(0))  # a day later
        await asked(server.url)
        await stage.shows("event for a webhook dropped webhook=… reason=… answer=…")


@scene("deliveries to webhooks are not read from the store: … reason=…", needs="store serve")
async def the_store_is_away(stage: Stage) -> None:
    store: FaultyStorage = stage.store
    receiver = await Receiver().start()
    server = await stage.serve.start(webhooks=[receiver.settings()])
    away = StorageError("claim failed on x.db", reason=Reason.TIMEOUT)
    store.fail("claim_deliveries", error=away, times=1)
    await asked(server.url)
    await stage.shows("deliveries to webhooks are not read from the store: … reason=…")
    await receiver.requests(1, 20)
    await stage.serve.stop_all()
    await receiver.stop()


@scene(
    "events for webhooks that are not configured dropped events=…",
    needs="serve tmp_path",
)
async def a_webhook_was_removed(stage: Stage) -> None:
    receiver = await Receiver().start()
    receiver.status = 500
    server = await stage.serve.start(webhooks=[receiver.settings()])
    await asked(server.url)
    await receiver.requests(1)
    await stage.serve.stop(server)
    await receiver.stop()
    await asyncio.to_thread(_have_ended_long_ago, stage.tmp_path / "headrace.db")
    await stage.serve.start(webhooks=[receiver.settings(url=receiver.url + "/new")])
    await stage.shows("events for webhooks that are not configured dropped events=…")


def _have_ended_long_ago(file: Path) -> None:
    with closing(sqlite3.connect(file)) as database, database:
        assert 1 == database.execute("UPDATE webhook_deliveries SET ended_at = 0").rowcount
