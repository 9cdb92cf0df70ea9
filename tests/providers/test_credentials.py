"""Short-lived tokens: fetched when they are needed, kept, and fetched once for all who wait."""

import asyncio
from collections.abc import Iterator

import pytest
from tornado.ioloop import IOLoop

from http_client.client import HttpClient
from providers.credentials import FetchedToken, FixedCredential
from providers.errors import Unauthorized, Unreachable
from providers.qianfan_v1 import QianfanV1
from providers.transport import Timeouts, Transport
from tests.upstreams import ScriptedUpstream

TRANSPORT = Transport(Timeouts(connect=5, first_token=5, idle=5, answer=5))


@pytest.fixture
def client(io_loop: IOLoop) -> Iterator[HttpClient]:
    client = HttpClient()
    yield client
    client.close()


@pytest.fixture
def credentials(upstream: ScriptedUpstream, client: HttpClient) -> FetchedToken:
    dialect = QianfanV1(upstream.base_url("qianfan-v1"))
    return FetchedToken(dialect, "ak", "sk", client, TRANSPORT)


@pytest.mark.gen_test
async def test_a_hundred_who_need_it_at_once_cause_one_fetch(
    credentials: FetchedToken, upstream: ScriptedUpstream
) -> None:
    tokens = await asyncio.gather(*(credentials.current() for _ in range(100)))

    assert ({upstream.token}, 1) == (set(tokens), len(upstream.token_requests))


@pytest.mark.gen_test
async def test_it_is_kept_for_those_who_come_later(
    credentials: FetchedToken, upstream: ScriptedUpstream
) -> None:
    first = await credentials.current()
    upstream.expire_token()  # another fetch would get another one

    later = await credentials.current()

    assert (first, 1) == (later, len(upstream.token_requests))


@pytest.mark.gen_test
async def test_it_is_renewed_before_it_runs_out(
    credentials: FetchedToken, upstream: ScriptedUpstream
) -> None:
    upstream.token_seconds = 1e-9  # half of its life is over as soon as it is here
    await credentials.current()
    upstream.expire_token()

    assert upstream.token == await credentials.current()


@pytest.mark.gen_test
async def test_many_who_were_refused_with_the_same_token_cause_one_renewal(
    credentials: FetchedToken, upstream: ScriptedUpstream
) -> None:
    refused = await credentials.current()
    upstream.expire_token()
    tokens = await asyncio.gather(*(credentials.renewed(refused) for _ in range(20)))

    assert ({upstream.token}, 2) == (set(tokens), len(upstream.token_requests))


@pytest.mark.gen_test
async def test_one_who_leaves_does_not_end_the_fetch_for_the_others(
    credentials: FetchedToken, upstream: ScriptedUpstream
) -> None:
    leaving = asyncio.ensure_future(credentials.current())
    staying = asyncio.ensure_future(credentials.current())
    await asyncio.sleep(0)
    leaving.cancel()

    assert upstream.token == await staying
    assert leaving.cancelled()


@pytest.mark.gen_test
async def test_a_fetch_that_failed_is_tried_again_by_the_next(
    upstream: ScriptedUpstream, client: HttpClient
) -> None:
    nobody = FetchedToken(QianfanV1("http://127.0.0.1:9"), "ak", "sk", client, TRANSPORT)
    for _ in range(2):
        with pytest.raises(Unreachable):
            await nobody.current()


@pytest.mark.gen_test
async def test_a_key_that_the_provider_calls_expired_is_not_renewed() -> None:
    key = FixedCredential("sk")

    assert ["sk", "sk"] == [await key.current(), await key.renewed("sk")]


def test_a_wrong_key_is_told_as_such_and_not_shown() -> None:
    body = b'{"error":"invalid_client","error_description":"unknown client id sk-canary"}'
    with pytest.raises(Unauthorized) as refused:
        QianfanV1("http://localhost").token(401, body)

    assert "canary" not in str(refused.value)
