"""What one user may keep is bounded, however it is brought, and whichever process takes it."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from app.server import Server
from relay import storage_quota
from storage.errors import Reason, StorageError
from tests.faults import FaultyStorage
from tests.readers import Response, call
from tests.serving import Serving
from tests.steps import JSON
from tests.upstreams import ScriptedUpstream

QUOTA = 100_000
LIMITS = {"kept_bytes_per_user": QUOTA, "questions_per_minute": 0}
CONVERSATIONS = "/api/v1/conversations"


@pytest.fixture(params=["sqlite", "mongo"])
def settings(request: pytest.FixtureRequest, providers: dict[str, Any]) -> dict[str, Any]:
    """A server on either store."""
    given: dict[str, Any] = {"providers": providers, "limits": LIMITS}
    if request.param == "mongo":
        given["storage"] = {"url": request.getfixturevalue("mongo_url")}
    return given


@pytest.fixture(autouse=True)
def looks_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for the next look."""
    monkeypatch.setattr(storage_quota, "_MIN_SECONDS", 0.0)


def said(response: Response) -> tuple[int, str]:
    return response.status, response.body["error"]["code"]


async def make(server: Server, size: int = 10_000) -> Response:
    body = {"system": "x" * size}
    return await call(server.url, "POST", CONVERSATIONS, body)


async def fill(server: Server) -> list[str]:
    """Make conversations until one is refused; returns their paths."""
    paths = []
    while (made := await make(server)).status == 201:
        paths.append(f"{CONVERSATIONS}/{made.body['id']}")
    assert (403, "storage_quota_exceeded") == said(made)
    assert "retry-after" not in made.headers
    return paths


@pytest.mark.slow
@pytest.mark.gen_test
async def test_past_the_quota_nothing_more_is_kept_by_any_door_until_something_is_deleted(
    serve: Serving, settings: dict[str, Any], upstream: ScriptedUpstream
) -> None:
    server = await serve.start(**settings)
    paths = await fill(server)
    assert 9 == len(paths)

    long = "x" * 10_000
    full = (403, "storage_quota_exceeded")
    assert full == said(await call(server.url, "PATCH", paths[0], {"system": long}))
    for path in ("/api/v1/chat", f"{paths[0]}/messages"):
        assert full == said(await call(server.url, "POST", path, {"content": long}))
    assert [] == upstream.requests
    assert [] == (await call(server.url, "GET", f"{paths[0]}/messages")).body["data"]
    assert 0 == len(server.relay.live_answers)

    assert 204 == (await call(server.url, "DELETE", paths[1])).status
    assert 201 == (await make(server)).status


@pytest.mark.slow
@pytest.mark.gen_test
async def test_who_is_at_their_quota_reads_and_renames_and_another_user_is_not_concerned(
    serve: Serving, settings: dict[str, Any]
) -> None:
    server = await serve.start(**settings)
    paths = await fill(server)
    assert 200 == (await call(server.url, "GET", paths[0])).status
    assert 200 == (await call(server.url, "PATCH", paths[0], {"title": "t"})).status
    assert 200 == (await call(server.url, "PATCH", paths[0], {"system": None})).status


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_rush_passes_the_quota_by_nothing(serve: Serving, settings: dict[str, Any]) -> None:
    server = await serve.start(**settings)

    made = await asyncio.gather(*(make(server) for _ in range(40)))

    # What is on its way to the store may count twice in between.
    known = Counter(each.status for each in made)
    assert {201, 403} == set(known)
    assert 9 == known[201] + len(await fill(server))


@pytest.mark.slow
@pytest.mark.gen_test
async def test_what_one_process_takes_another_knows(
    serve: Serving, providers: dict[str, Any], mongo_url: str
) -> None:
    given = {"providers": providers, "limits": LIMITS, "storage": {"url": mongo_url}}
    one, other = await serve.start(**given), await serve.start(**given)
    assert 201 == (await make(other)).status

    assert 8 == len(await fill(one))

    assert (403, "storage_quota_exceeded") == said(await make(other))


@pytest.mark.slow
@pytest.mark.gen_test
async def test_questions_fill_it_with_all_their_parts_and_a_restart_knows_of_them(
    serve: Serving, settings: dict[str, Any], upstream: ScriptedUpstream
) -> None:
    server = await serve.start(**settings)
    content = [{"type": "text", "text": "x" * 30_000}] * 2
    upstream.tokens("a")
    upstream.finish()
    asked = await call(server.url, "POST", "/api/v1/chat", {"content": content}, headers=JSON)
    assert 200 == asked.status, asked.body
    await serve.stop(server)

    server = await serve.start(**settings)

    refused = await call(server.url, "POST", "/api/v1/chat", {"content": content}, headers=JSON)
    assert (403, "storage_quota_exceeded") == said(refused)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_what_is_not_kept_takes_no_room(
    serve: Serving, settings: dict[str, Any], store: FaultyStorage
) -> None:
    server = await serve.start(**settings)
    store.fail("create_conversation", times=9)
    for _ in range(9):
        assert 503 == (await make(server)).status
    assert 9 == len(await fill(server))


@pytest.mark.gen_test
async def test_who_waits_for_a_look_that_fails_is_told_so_and_looks_no_more(
    serve: Serving, store: FaultyStorage
) -> None:
    await serve.start()
    look = store.hold("stored_bytes")
    store.fail("stored_bytes", error=StorageError("locked", reason=Reason.LOCKED), times=1)
    quota = storage_quota.StorageQuota(store, QUOTA)  # type: ignore[arg-type]
    asked = [asyncio.create_task(quota.take("ada", 1)) for _ in range(5)]
    await look.reached.wait()

    look.open.set()

    told = await asyncio.gather(*asked, return_exceptions=True)
    assert [Reason.LOCKED] * 5 == [each.reason for each in told if isinstance(each, StorageError)]
    assert 1 == store.calls.count("stored_bytes")
    assert await quota.take("ada", 1) is not None


@pytest.mark.slow
@pytest.mark.gen_test
async def test_far_from_the_quota_the_store_is_asked_once(
    serve: Serving, settings: dict[str, Any], store: FaultyStorage
) -> None:
    server = await serve.start(**settings)
    for _ in range(5):
        assert 201 == (await make(server, 10)).status
    assert 1 == store.calls.count("stored_bytes")


@pytest.mark.slow
@pytest.mark.gen_test
async def test_zero_lifts_it_and_nothing_is_looked_at(
    serve: Serving, settings: dict[str, Any], store: FaultyStorage
) -> None:
    server = await serve.start(**{**settings, "limits": LIMITS | {"kept_bytes_per_user": 0}})
    for _ in range(12):
        assert 201 == (await make(server)).status
    assert "stored_bytes" not in store.calls


@pytest.mark.gen_test
async def test_conversations_are_made_and_changed_so_often_a_minute(serve: Serving) -> None:
    server = await serve.start(limits={"questions_per_minute": 3})
    path = f"{CONVERSATIONS}/{(await make(server, 1)).body['id']}"
    for _ in range(5):  # refused, and so not counted
        assert 404 == (await call(server.url, "PATCH", f"{path}x", {"title": "t"})).status
        assert 400 == (await call(server.url, "PATCH", path, {"title": 5})).status
    done = [await call(server.url, "PATCH", path, {"title": "t"}) for _ in range(2)]
    # At a turn of the minute it begins anew: then some more go through.
    while (last := await make(server, 1)).status == 201:
        done.append(last)

    assert (429, "too_many_changes") == said(last)
    assert 0 < int(last.headers["retry-after"]) <= 60
    assert len(done) in range(2, 9)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_megabytes_of_system_prompts_are_not_brought_within_a_minute(
    serve: Serving,
) -> None:
    server = await serve.start()  # with the limits that it has of its own

    made = await asyncio.gather(*(make(server, 200_000) for _ in range(100)))

    done = Counter(each.status for each in made)
    assert {201, 429} == set(done)
    assert done[201] <= 2 * 16  # and twice that at a turn of the minute


@pytest.mark.slow
@pytest.mark.gen_test
async def test_who_makes_room_is_let_in_at_once(
    serve: Serving, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage_quota, "_MIN_SECONDS", 3600.0)
    server = await serve.start(**settings)
    paths = await fill(server)
    for path in paths[:2]:
        assert 204 == (await call(server.url, "DELETE", path)).status

    assert 2 == len(await fill(server))
