"""One post: what counts as accepted, and how far a receiver is trusted."""

import asyncio
import base64
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from tornado.ioloop import IOLoop

from http_client.client import HttpClient
from tests.webhook_receiver import SECRET, Receiver, is_signed
from webhooks import posting
from webhooks.posting import PostResult, post
from webhooks.signing import secret_bytes
from webhooks.webhook import Webhook


@pytest.fixture
def client(io_loop: IOLoop) -> Iterator[HttpClient]:
    async def made() -> HttpClient:
        return HttpClient()

    client = io_loop.run_sync(made)
    yield client
    client.close()


def webhook(receiver: Receiver, ca_certs: Path | None = None) -> Webhook:
    return Webhook(
        name="hooks",
        url=receiver.url,
        secret=secret_bytes(SECRET),
        events=frozenset(),
        ca_certs=ca_certs,
    )


@pytest.mark.gen_test
async def test_an_event_is_posted_with_its_signature(
    receiver: Receiver, client: HttpClient
) -> None:
    result = await post(client, webhook(receiver), "evt_1", b'{"a":1}')

    (received,) = receiver.received
    assert result.is_accepted
    assert is_signed(received)
    assert ("/hooks", "evt_1", b'{"a":1}') == (received.path, received.id, received.body)
    assert ("application/json", "Headrace") == (
        received.headers["content-type"],
        received.headers["user-agent"],
    )


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
@pytest.mark.gen_test
async def test_every_2xx_is_accepted(receiver: Receiver, client: HttpClient, status: int) -> None:
    receiver.status = status

    assert (await post(client, webhook(receiver), "evt_1", b"{}")).is_accepted


@pytest.mark.parametrize("status", [301, 400, 401, 404, 429, 500, 503])
@pytest.mark.gen_test
async def test_nothing_else_is(receiver: Receiver, client: HttpClient, status: int) -> None:
    receiver.status = status

    result = await post(client, webhook(receiver), "evt_1", b"{}")

    assert (False, False, f"http_{status}") == (
        result.is_accepted,
        result.is_unwanted,
        result.reason,
    )


@pytest.mark.gen_test
async def test_a_redirect_is_not_followed(
    receiver: Receiver, other: Receiver, client: HttpClient
) -> None:
    receiver.respond = lambda: (
        f"HTTP/1.1 307 x\r\nLocation: {other.url}\r\nContent-Length: 0\r\n\r\n".encode()
    )

    assert "http_307" == (await post(client, webhook(receiver), "evt_1", b"{}")).reason

    assert [] == other.received


@pytest.mark.gen_test
async def test_a_receiver_says_how_long_to_leave_it_alone_and_that_it_is_gone(
    receiver: Receiver, client: HttpClient
) -> None:
    answers = iter(
        [
            b"HTTP/1.1 503 x\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 503 x\r\nRetry-After: Fri, 27 Nov 2026 10:00:00 GMT\r\n"
            b"Content-Length: 0\r\n\r\n",
            b"HTTP/1.1 410 x\r\nContent-Length: 0\r\n\r\n",
        ]
    )
    receiver.respond = lambda: next(answers)

    results = [await post(client, webhook(receiver), "evt_1", b"{}") for _ in range(3)]

    assert [(503, 120, False), (503, 0, False), (410, 0, True)] == [
        (each.status, each.retry_after, each.is_unwanted) for each in results
    ]


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.gen_test
async def test_of_a_huge_response_the_status_counts_and_the_rest_is_not_read(
    receiver: Receiver, client: HttpClient, status: int
) -> None:
    receiver.respond = lambda: (
        b"HTTP/1.1 %d x\r\nContent-Length: 1000000000\r\n\r\n" % status + bytes(1_000_000)
    )

    async with asyncio.timeout(5):  # not the rest of it
        result = await post(client, webhook(receiver), "evt_1", b"{}")

    assert (status, status == 200) == (result.status, result.is_accepted)
    assert 0 == client.connections_idle  # it was closed, with what was not read


@pytest.mark.gen_test
async def test_a_receiver_that_says_nothing_is_given_up_in_time(
    receiver: Receiver, client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posting, "POST_SECONDS", 0.1)
    receiver.is_silent = True

    async with asyncio.timeout(5):
        result = await post(client, webhook(receiver), "evt_1", b"{}")

    assert PostResult(None, "timed_out") == result


@pytest.mark.gen_test
async def test_a_body_that_never_ends_takes_nothing_back(
    receiver: Receiver, client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posting, "POST_SECONDS", 0.2)
    receiver.respond = lambda: b"HTTP/1.1 202 x\r\nContent-Length: 10\r\n\r\nso far"

    assert (await post(client, webhook(receiver), "evt_1", b"{}")).is_accepted


@pytest.mark.gen_test
async def test_a_receiver_that_is_down_is_a_word(receiver: Receiver, client: HttpClient) -> None:
    await receiver.stop()

    assert PostResult(None, "refused") == await post(client, webhook(receiver), "evt_1", b"{}")


@pytest.mark.gen_test
async def test_connections_are_used_again(receiver: Receiver, client: HttpClient) -> None:
    for _ in range(3):
        await post(client, webhook(receiver), "evt_1", b"{}")

    assert (3, 1) == (len(receiver.received), receiver.connections)


@pytest.mark.gen_test
async def test_the_certificate_is_checked_by_the_cas_of_the_settings(
    client: HttpClient, tmp_path: Path
) -> None:
    ca, context = trustme.CA(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    file = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(str(file))
    receiver = await Receiver(tls=context).start()

    unknown = await post(client, webhook(receiver), "evt_1", b"{}")
    known = await post(client, webhook(receiver, file), "evt_1", b"{}")
    await receiver.stop()

    assert PostResult(None, "tls_unknown_ca") == unknown
    assert known.is_accepted
    assert 1 == len(receiver.received)


def test_a_webhook_shows_neither_its_secret_nor_its_path() -> None:
    secret = base64.b64decode(SECRET.removeprefix("whsec_"))
    made = Webhook(
        name="example.org", url="https://example.org/token", secret=secret, events=frozenset()
    )

    assert "<Webhook example.org>" == repr(made)
    assert "token" not in made.key
