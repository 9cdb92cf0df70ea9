"""A server that takes tokens: it opens to them, and starts, waits and stops with its issuer."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.auth.forged_tokens import confused, tampered, unsigned
from tests.issuer import Issuer
from tests.readers import Reader, call
from tests.serving import Serving
from tests.upstreams import ScriptedUpstream

MODELS = ("GET", "/api/v1/models")


def bearing(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.gen_test
async def test_a_token_opens_the_server_and_a_ticket_given_for_it_reads(
    serve: Serving, issuer: Issuer, upstream: ScriptedUpstream, providers: dict[str, Any]
) -> None:
    server = await serve.start(auth=issuer.settings(), providers=providers)
    upstream.tokens("Hel")
    reader = await Reader.ask(server.url, headers=bearing(issuer.token()))
    await reader.text("Hel")
    path = f"/api/v1/answers/{reader.answer_id}"
    given = await call(server.url, "POST", f"{path}/ticket", headers=bearing(issuer.token()))
    again = await Reader.open(server.url, "GET", given.body["events_url"])
    await again.text("Hel")
    bobs = bearing(issuer.token(sub="bob"))
    assert 404 == (await call(server.url, "GET", f"{path}/events", headers=bobs)).status
    for attack in (unsigned, confused, tampered):
        refused = await call(server.url, *MODELS, headers=bearing(attack(issuer)))
        assert (401, "invalid_credentials") == (refused.status, refused.body["error"]["code"])
    expired = bearing(issuer.token(exp=1))
    refused = await call(server.url, *MODELS, headers=expired)
    assert (401, "expired_credentials") == (refused.status, refused.body["error"]["code"])


@pytest.mark.parametrize("status", [500, 404, 302])
@pytest.mark.gen_test
async def test_a_server_whose_issuer_is_away_starts_and_says_503(
    serve: Serving, issuer: Issuer, expect_log: Callable[[str, str], None], status: int
) -> None:
    issuer.status = status
    server = await serve.start(auth=issuer.settings())
    refused = await call(server.url, *MODELS, headers=bearing(issuer.token()))
    assert (503, "auth_unavailable") == (refused.status, refused.body["error"]["code"])
    assert "retry-after" in refused.headers
    assert 1 == issuer.fetches  # no redirect was followed, and nothing tried again at once
    assert 200 == (await call(server.url, "GET", "/readyz")).status
    expect_log("headrace.auth", f"cannot be fetched reason=http_{status}")


@pytest.mark.gen_test
async def test_a_slow_issuer_holds_up_nobody_but_who_waits_for_its_keys(
    serve: Serving, issuer: Issuer
) -> None:
    issuer.hold = asyncio.Event()
    server = await serve.start(auth=issuer.settings())
    waiting = asyncio.create_task(call(server.url, *MODELS, headers=bearing(issuer.token())))
    for _ in range(3):
        assert 200 == (await call(server.url, "GET", "/healthz")).status
    assert not waiting.done()
    issuer.hold.set()
    assert 200 == (await waiting).status


@pytest.mark.gen_test
async def test_a_server_stops_while_its_issuer_keeps_it_waiting(
    serve: Serving, issuer: Issuer
) -> None:
    issuer.hold = asyncio.Event()
    server = await serve.start(auth=issuer.settings())
    while not issuer.fetches:  # noqa: ASYNC110 - within the next turns of the loop
        await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await serve.stop(server)
    issuer.hold.set()
    await issuer.stop()
