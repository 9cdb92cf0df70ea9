"""Secrets as canaries: sent in every way there is, and then looked for where none may be."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from auth import api_keys
from auth.tickets import Tickets
from settings import Settings, describe
from tests.auth_servers import SECRET, AuthServers
from tests.faults import FaultyStorage
from tests.issuer import Issuer
from tests.readers import Reader, call
from tests.serving import Serving
from tests.steps import sending
from tests.upstreams import ScriptedUpstream


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """All that any logger writes at any level, with tracebacks."""
    lines: list[str] = []
    formatter = logging.Formatter("%(name)s %(message)s")

    class Everything(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(formatter.format(record))

    root, handler = logging.getLogger(), Everything()
    names = ["", "tornado", "tornado.access", "tornado.general", "tornado.application", "asyncio"]
    levels = {name: logging.getLogger(name).level for name in names}
    root.addHandler(handler)
    for name in names:
        logging.getLogger(name).setLevel(logging.DEBUG)
    yield lines
    root.removeHandler(handler)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


async def misuse(url: str, secret: str, answer_id: str) -> list[str]:
    """Send a secret where it belongs and where it does not; returns all that came back."""
    said = []
    for headers in (
        {"Authorization": f"Bearer {secret}"},
        {"Authorization": f"Bearer {secret[:-1]}"},
        {"Authorization": f"Basic {secret}"},
        {"Authorization": secret},
        {"Authorization": f"Bearer {secret}", "Headrace-User": "x" * 300},
        {"Authorization": f"Bearer {secret}", "Last-Event-ID": secret},
        {"Authorization": f"Bearer {secret}", "Idempotency-Key": f"\u00e9{secret}"},
        {"X-Request-Id": f"{secret}!"},
    ):
        for method, path in (
            ("GET", f"/api/v1/conversations?key={secret}&after={secret}"),
            ("GET", f"/api/v1/answers/{answer_id}/events?ticket={secret}&after=x"),
            ("GET", f"/api/v1/nothing?ticket={secret}"),
            ("PUT", f"/api/v1/models?ticket={secret}"),
            ("POST", "/api/v1/chat"),
            ("GET", f"/ai-sdk/chat/x/stream?has={secret}"),
            ("POST", "/ai-sdk/chat"),
            ("GET", f"/v1/chat/completions?after={secret}&limit={secret}"),
            ("POST", "/v1/chat/completions"),
        ):
            body = {"content": "q", "model": "none/none"} if method == "POST" else None
            answered = await call(url, method, path, body, headers=headers)
            said.append(f"{answered.headers} {answered.body}")
    return said


async def send_broken(server: Any, secret: str) -> None:
    """Requests that no handler sees: Tornado itself says what is wrong with them."""
    for data in (
        f"GET /api/v1/answers/x/events?ticket={secret}\r\n\r\n",
        f"GET /x?ticket={secret} HTTP/9.9\r\nHost: localhost\r\n\r\n",
        f"GET /x HTTP/1.1\r\nHost: localhost\r\nAuthorization Bearer {secret}\r\n\r\n",
        f"GET /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: {secret}\r\n\r\n",
        f"GET /x HTTP/1.1\r\nHost: localhost\r\nAuthorization: {secret}\x00\r\n\r\n",
        f"GET /%FF?ticket=%FF{secret} HTTP/1.1\r\nHost: localhost\r\n\r\n",
        f"GET /x HTTP/1.1\r\nHost: localhost\r\nAuthorization: {secret * 900}\r\n\r\n",
    ):
        stream, writer = await sending(server, data.encode())
        with suppress(ConnectionError):
            await stream.read(1000)
        writer.close()


@pytest.mark.slow
@pytest.mark.gen_test
async def test_keys_and_tickets_are_in_no_log_no_error_and_no_header(
    auth_servers: AuthServers,
    upstream: ScriptedUpstream,
    providers: dict[str, Any],
    logged: list[str],
    store: FaultyStorage,
) -> None:
    server = await auth_servers.open(providers=providers)
    admin, wrong = await auth_servers.create_key("ops", admin=True), api_keys.make().text
    upstream.tokens("Hel")
    reader = await Reader.ask(server.url, headers=admin.headers)
    await reader.text("Hel")
    path = f"/api/v1/answers/{reader.answer_id}"
    given = await call(server.url, "POST", f"{path}/ticket", headers=admin.headers)
    ticket: str = given.body["ticket"]
    follower = await Reader.open(server.url, "GET", given.body["events_url"])
    await follower.text("Hel")

    said = []
    for secret in (admin.key, wrong, ticket):
        said += await misuse(server.url, secret, reader.answer_id)
        await send_broken(server, secret)
    store.fail("api_keys")
    store.fail("conversations")
    store.fail("message")
    for secret in (wrong, api_keys.make().text):
        said += await misuse(server.url, secret, reader.answer_id)
    store.heal()
    await auth_servers.revoke(admin)
    with pytest.raises(asyncio.IncompleteReadError):
        await follower.end()

    found = "\n".join([*logged, *said])
    assert logged
    for secret in (admin.key, wrong, ticket, SECRET):
        assert secret not in found
        assert secret[-20:] not in found  # most of it would do as well


@pytest.mark.slow
@pytest.mark.gen_test
async def test_tokens_are_in_no_log_and_no_error(
    serve: Serving, issuer: Issuer, logged: list[str]
) -> None:
    server = await serve.start(auth=issuer.settings())
    good, expired = issuer.token(), issuer.token(exp=1)
    said = []
    for secret in (good, expired, good[:-8], good.replace(".", "")):
        said += await misuse(server.url, secret, "a-b")
    found = "\n".join([*logged, *said])
    for secret in (good, expired):
        assert not any(part in found for part in secret.split(".")[1:])


def test_settings_and_what_signs_show_no_secret() -> None:
    settings = Settings(auth={"mode": "keys", "secret": SECRET})
    shown = f"{settings!r} {settings} {describe(settings)} {vars(Tickets(SECRET))}"
    assert SECRET not in shown
