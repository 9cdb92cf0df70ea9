"""Whether the store serves: what `/readyz` costs, and what the log says of an outage."""

import asyncio
import logging
import re
from collections.abc import Callable

import pytest

from storage.errors import Reason, StorageError, TooLarge
from tests.auth_servers import SECRET
from tests.faults import FaultyStorage
from tests.readers import call
from tests.serving import Serving

READY = ("GET", "/readyz")


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """The log lines so far about the store."""
    caplog.set_level(logging.INFO, "headrace")
    return lambda: [
        record.getMessage() for record in caplog.records if record.name == "headrace.storage"
    ]


async def flood(url: str, count: int) -> set[int]:
    """So many strangers ask at once; returns the statuses they got."""
    most = asyncio.Semaphore(200)

    async def ask() -> int:
        async with most:
            return (await call(url, *READY)).status

    return set(await asyncio.gather(*(ask() for _ in range(count))))


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_thousand_who_ask_whether_it_is_ready_cost_the_store_a_few_looks(
    serve: Serving, store: FaultyStorage
) -> None:
    server = await serve.start(auth={"mode": "keys", "secret": SECRET})
    began = asyncio.get_running_loop().time()

    statuses = await flood(server.url, 1000)

    seconds = asyncio.get_running_loop().time() - began
    assert {200} == statuses
    assert 1 <= store.calls.count("ping") <= seconds + 2


@pytest.mark.gen_test
async def test_while_a_look_hangs_there_is_one_and_whoever_asks_is_answered(
    serve: Serving, store: FaultyStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handlers.store_health.TIMEOUT_SECONDS", 0.05)
    server = await serve.start()
    gate = store.hold("ping")

    for _ in range(3):
        refused = await call(server.url, *READY)
        assert (503, "timeout") == (refused.status, refused.body["error"]["reason"])

    assert 1 == store.calls.count("ping")
    gate.open.set()
    async with asyncio.timeout(5):
        while (await call(server.url, *READY)).status != 200:
            pass


@pytest.mark.parametrize("reason", [Reason.FULL, Reason.LOCKED, Reason.CORRUPT])
@pytest.mark.gen_test
async def test_the_reason_without_a_key_is_one_word(
    serve: Serving, store: FaultyStorage, reason: Reason
) -> None:
    server = await serve.start()
    store.fail("ping", error=StorageError("cannot use /var/lib/secret/place.db", reason=reason))

    refused = await call(server.url, *READY)

    assert 503 == refused.status
    assert "storage_unavailable" == refused.body["error"]["code"]
    assert reason.value == refused.body["error"]["reason"]
    assert "place" not in str(refused.body)


@pytest.mark.gen_test
async def test_an_outage_is_told_once_however_many_requests_meet_it_and_when_it_is_over(
    serve: Serving,
    store: FaultyStorage,
    lines: Callable[[], list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("handlers.store_health._RETRY_SECONDS", 0.05)
    monkeypatch.setattr("handlers.store_health.FRESH_SECONDS", 0.01)
    server = await serve.start()
    full = StorageError("SQLite failed on x.db: SQLITE_FULL", reason=Reason.FULL)
    store.fail("create_conversation", error=full)
    store.fail("ping", error=full)

    for _ in range(50):
        refused = await call(server.url, "POST", "/api/v1/conversations", {})
        assert (503, "full") == (refused.status, refused.body["error"]["reason"])
    await store.called("ping", 2)
    store.heal()
    async with asyncio.timeout(5):
        while len(lines()) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    begun, over = lines()
    assert (
        "requests are refused, the store fails: SQLite failed on x.db: SQLITE_FULL reason=full"
        == begun
    )
    assert re.fullmatch(r"the store serves again after_seconds=\d+ refused=50", over)
    assert 201 == (await call(server.url, "POST", "/api/v1/conversations", {})).status


@pytest.mark.gen_test
async def test_what_was_seen_before_a_request_failed_is_seen_anew(
    serve: Serving, store: FaultyStorage
) -> None:
    server = await serve.start()
    assert 200 == (await call(server.url, *READY)).status
    store.fail("create_conversation")
    store.fail("ping")

    assert 503 == (await call(server.url, "POST", "/api/v1/conversations", {})).status

    assert 503 == (await call(server.url, *READY)).status


@pytest.mark.gen_test
async def test_a_question_that_is_too_large_is_no_outage(
    serve: Serving, store: FaultyStorage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "headrace")
    server = await serve.start()
    store.fail("create_conversation", error=TooLarge("past 16 MB"))

    refused = await call(server.url, "POST", "/api/v1/conversations", {})

    assert (413, "too_large") == (refused.status, refused.body["error"]["code"])
    assert "request refused code=too_large reason=too_large" in caplog.text
    assert "the store fails" not in caplog.text
