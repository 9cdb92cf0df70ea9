"""Why requests are refused, as the operator reads it: once, in our words, and nothing of theirs."""

import asyncio
import logging
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from auth import api_keys
from model.messages import now
from tests.auth.forged_tokens import confused, sealed, tampered, unsigned
from tests.auth_servers import SECRET, AuthServers, rechecked
from tests.faults import FaultyStorage
from tests.issuer import Issuer
from tests.readers import call
from tests.serving import Serving
from tests.steps import sending

MODELS = ("GET", "/api/v1/models")


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """The log so far, of our own loggers."""
    for name in ("headrace", "tornado.general"):  # as the server has them
        caplog.set_level(logging.INFO, name)
    return lambda: [
        record.getMessage() for record in caplog.records if record.name.startswith("headrace")
    ]


def bearing(credentials: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {credentials}"}


def changed(**claims: Any) -> Callable[[Issuer], str]:
    return lambda issuer: issuer.token(**claims)


TOKENS: dict[str, tuple[Callable[[Issuer], str], str]] = {
    "expired": (changed(exp=int(time.time()) - 3600), "token_exp"),
    "not yet good": (changed(nbf=int(time.time()) + 3600), "token_nbf"),
    "of the future": (changed(iat=int(time.time()) + 3600), "token_iat"),
    "for another": (changed(aud="another"), "token_aud"),
    "for nobody": (changed(aud=None), "token_aud_missing"),
    "of another issuer": (changed(iss="https://id.example.org"), "token_iss"),
    "of nobody's": (changed(sub=None), "token_sub_missing"),
    "of an odd name": (changed(sub="a\nb"), "token_sub"),
    "without an end": (changed(exp=None), "token_exp_missing"),
    "of an unknown key": (changed(kid="next"), "token_kid_unknown"),
    "of another algorithm": (changed(algorithm="RS384"), "token_alg"),
    "unsigned": (unsigned, "token_alg"),
    "confused": (confused, "token_alg"),
    "tampered with": (tampered, "token_signature"),
    "critical": (
        lambda issuer: issuer.token(headers={"kid": "rsa", "crit": ["x"], "x": 1}),
        "token_crit",
    ),
    "no token": (lambda _: "none", "token_malformed"),
    "a key": (lambda _: api_keys.make().text, "token_malformed"),
    "half a token": (lambda issuer: issuer.token().rpartition(".")[0], "token_malformed"),
    "endless": (lambda _: "a" * 20_000, "token_too_long"),
    "of lists": (lambda _: f"{sealed({'alg': ['RS256']})}.e30.e30", "token_malformed"),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", TOKENS)
@pytest.mark.gen_test
async def test_a_refused_token_is_told_by_the_claim_that_failed_and_never_quoted(
    serve: Serving, issuer: Issuer, lines: Callable[[], list[str]], kind: str
) -> None:
    make, reason = TOKENS[kind]
    server = await serve.start(auth=issuer.settings())
    token = make(issuer)

    refused = await call(server.url, *MODELS, headers={**bearing(token), "X-Request-Id": "mine-1"})

    assert 401 == refused.status
    code = refused.body["error"]["code"]
    said = [line for line in lines() if "request refused" in line]
    assert [
        f"request refused code={code} reason={reason} key=- request=mine-1 suppressed=0"
    ] == said
    assert reason not in str(refused.body)  # which of them it is is nobody's business
    assert not any(part in "\n".join(lines()) for part in token.split(".") if len(part) > 8)


@pytest.mark.gen_test
async def test_refused_keys_are_told_apart(
    auth_servers: AuthServers, lines: Callable[[], list[str]], store: FaultyStorage
) -> None:
    server = await auth_servers.open()
    alice, bob, gone = [await auth_servers.create_key(name) for name in ("alice", "bob", "gone")]
    for holder in (bob, gone):
        assert 200 == (await call(server.url, *MODELS, headers=holder.headers)).status
    await auth_servers.revoke(bob)
    key_storage = await auth_servers.key_storage()
    made = api_keys.make()
    key = (await key_storage.api_keys([alice.api_key_id]))[0]
    changes = {"id": made.id, "digest": api_keys.digest(made.text), "expires_at": now()}
    await key_storage.create_api_key(type(key)(**{**_fields(key), **changes}))
    await rechecked(store)
    other = f"hr_{alice.api_key_id}_{api_keys.make().text.rpartition('_')[2]}"

    for credentials in ("hr_none", api_keys.make().text, other, bob.key, made.text):
        assert 401 == (await call(server.url, *MODELS, headers=bearing(credentials))).status
    for headers in ({}, {"Authorization": "Basic YWxpY2U6eA=="}):
        assert 401 == (await call(server.url, *MODELS, headers=headers)).status

    reasons = [match[1] for line in lines() if (match := re.search(r"reason=(\S+)", line))]
    assert [
        *("key_malformed", "key_unknown", "key_secret", "key_revoked", "key_expired"),
        *("no_authorization", "no_bearer"),
    ] == reasons
    named = [match[1] for line in lines() if (match := re.search(r"key=([a-z2-7]+) ", line))]
    assert [alice.api_key_id, bob.api_key_id, made.id] == named
    for secret in (alice.key, bob.key, made.text, other):
        assert secret.rpartition("_")[2] not in "\n".join(lines())


def _fields(struct: Any) -> dict[str, Any]:
    return {name: getattr(struct, name) for name in struct.__struct_fields__}


@pytest.mark.slow
@pytest.mark.gen_test
async def test_who_is_refused_a_thousand_times_leaves_one_line_and_how_often(
    serve: Serving, lines: Callable[[], list[str]]
) -> None:
    server = await serve.start(auth={"mode": "keys", "secret": SECRET})

    for _ in range(10):
        await asyncio.gather(
            *(call(server.url, *MODELS, headers=bearing("hr_none")) for _ in range(100))
        )

    told = [line for line in lines() if "key_malformed" in line]
    assert 1 == len(told)
    await serve.stop(server)
    assert "suppressed=999" in [line for line in lines() if "key_malformed" in line][1]


@pytest.mark.gen_test
async def test_refusals_of_a_server_without_keys_are_told_too(
    serve: Serving, lines: Callable[[], list[str]]
) -> None:
    server = await serve.start()

    await call(server.url, *MODELS, headers={"X-Forwarded-For": "203.0.113.9"})
    await call(server.url, *MODELS, headers={"Host": "chat.example.org"})
    await call(server.url, *MODELS, headers={"Origin": "https://evil.example"})

    codes = [match[1] for line in lines() if (match := re.search(r"refused code=(\S+)", line))]
    assert ["forwarded_request", "foreign_host", "foreign_origin"] == codes
    assert "203.0.113.9" not in "\n".join(lines())


MALFORMED = {
    b"GET /x\r\n\r\n": "request_line",
    b"SSH-2.0-OpenSSH_9.2\r\n\r\n": "request_line",
    b"\x16\x03\x01\x02\x00\x01\n\x00\x01": "tls",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n": "http_version",
    b"GET /x HTTP/9.9\r\nHost: localhost\r\n\r\n": "http_version",
    b"GET /x HTTP/1.1\r\nHost: localhost\r\nAuthorization Bearer hr_x\r\n\r\n": "header",
    b"GET /x HTTP/1.1\r\nHost: localhost\r\nX: hr_x\x00\r\n\r\n": "header",
    b"GET /x HTTP/1.1\r\n\r\n": "host",
    b"GET /x HTTP/1.1\r\nHost: localhost\n\r\n": "lf_alone",
    b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: hr_x\r\n\r\n": "content_length",
    b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n": "body_too_large",
    b"POST /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: hr_x\r\n\r\n": "transfer_encoding",
    b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n"
    b"\r\n": "content_length_and_transfer_encoding",
    b"POST /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nhr_x\r\n": "chunks",
    b"GET /x HTTP/1.1\r\nHost: localhost\r\n" + b"X: x\r\n" * 200 + b"\r\n": "headers_too_large",
}


@pytest.mark.slow
@pytest.mark.parametrize("data", MALFORMED, ids=MALFORMED.values())
@pytest.mark.gen_test
async def test_a_request_that_cannot_be_read_is_told_by_what_is_wrong_with_it(
    serve: Serving, lines: Callable[[], list[str]], caplog: pytest.LogCaptureFixture, data: bytes
) -> None:
    server = await serve.start()

    stream, writer = await sending(server, data)
    await stream.read()
    writer.close()

    # Who sends a body that is too large is not asked for.
    sender = "-" if MALFORMED[data] == "body_too_large" else "127.0.0.1"
    assert [f"request not read reason={MALFORMED[data]} from={sender} suppressed=0"] == lines()
    assert "hr_x" not in caplog.text
    assert "Malformed" not in caplog.text  # Tornado's own line


@pytest.mark.gen_test
async def test_who_comes_by_a_socket_in_the_file_system_has_no_address(
    serve: Serving, lines: Callable[[], list[str]], tmp_path: Path
) -> None:
    await serve.start(host=f"unix:{tmp_path}/socket")
    for data, reason in ((b"GET /x\r\n\r\n", "request_line"), (b"\x16\x03\x01", "tls")):
        stream, writer = await asyncio.open_unix_connection(tmp_path / "socket")
        writer.write(data)

        await stream.read()

        assert f"request not read reason={reason} from=- suppressed=0" == lines()[-1]
        writer.close()


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_scanner_leaves_one_line_a_minute(
    serve: Serving, lines: Callable[[], list[str]], caplog: pytest.LogCaptureFixture
) -> None:
    server = await serve.start()

    async def probe(number: int) -> None:
        stream, writer = await sending(server, b"GET /%d\r\n\r\n" % number)
        await stream.read()
        writer.close()

    for _ in range(10):
        await asyncio.gather(*map(probe, range(50)))

    assert 1 == len(lines())
    await serve.stop(server)
    assert "reason=request_line" in lines()[1]
    assert "suppressed=499" in lines()[1]
    assert [] == [record for record in caplog.records if record.name == "tornado.general"]
