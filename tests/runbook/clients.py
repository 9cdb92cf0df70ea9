"""Scenes of the runbook: clients that are refused, not read, or cut off."""

import os
import resource
import socket
import time
from urllib.parse import urlsplit

from auth import api_keys
from tests.auth.forged_tokens import tampered
from tests.auth_servers import SECRET, AuthServers
from tests.handlers.test_unsent_responses import silent_clients
from tests.issuer import Issuer
from tests.readers import call
from tests.runbook.stage import Stage, scene
from tests.steps import JSON, post, sending

MODELS = ("GET", "/api/v1/models")


@scene("requests are refused, the store fails: … reason=overloaded", needs="serve monkeypatch")
async def strangers_make_up_keys(stage: Stage) -> None:
    stage.monkeypatch.setattr("auth.api_key_verifier._MAX_LOOKUPS", 0)
    server = await stage.serve.start(auth={"mode": "keys", "secret": SECRET})
    headers = {"Authorization": f"Bearer {api_keys.make().text}"}
    refused = await call(server.url, *MODELS, headers=headers)
    assert (503, "overloaded") == (refused.status, refused.body["error"]["reason"])


@scene(
    'auth.mode "none" refuses everybody: …',
    "request refused code=foreign_user reason=…",
    needs="serve monkeypatch",
)
async def the_kernel_may_not_be_asked(stage: Stage) -> None:
    stage.monkeypatch.setattr("sockets.peer_credentials._NETLINK_SOCK_DIAG", 31)  # no such protocol
    server = await stage.serve.start()
    assert 403 == (await call(server.url, *MODELS)).status


@scene(
    "request refused code=expired_credentials reason=token_exp …",
    "request refused code=invalid_credentials reason=token_nbf …",
    "request refused code=invalid_credentials reason=token_aud …",
    "request refused code=invalid_credentials reason=token_iss …",
    "request refused code=invalid_credentials reason=token_kid_unknown …",
    "request refused code=invalid_credentials reason=token_alg …",
    "request refused code=invalid_credentials reason=token_signature …",
    "request refused code=credentials_required reason=no_authorization …",
    needs="serve issuer",
)
async def tokens_are_refused(stage: Stage) -> None:
    issuer: Issuer = stage.issuer
    server = await stage.serve.start(auth=issuer.settings())
    clock = int(time.time())
    for token in (
        issuer.token(exp=clock - 3600),
        issuer.token(nbf=clock + 3600),
        issuer.token(aud="another"),
        issuer.token(iss="https://id.example.org"),
        issuer.token(kid="next"),
        issuer.token(algorithm="RS512"),
        tampered(issuer),
    ):
        headers = {"Authorization": f"Bearer {token}"}
        assert 401 == (await call(server.url, *MODELS, headers=headers)).status
    assert 401 == (await call(server.url, *MODELS)).status


@scene(
    "the issuer's keys cannot be fetched reason=…",
    "request refused code=auth_unavailable reason=… request=… suppressed=…",
    needs="serve issuer",
)
async def the_identity_provider_is_away(stage: Stage) -> None:
    await stage.issuer.stop()
    server = await stage.serve.start(auth=stage.issuer.settings())
    headers = {"Authorization": f"Bearer {stage.issuer.token()}"}
    assert 503 == (await call(server.url, *MODELS, headers=headers)).status
    assert stage.has("the issuer's keys cannot be fetched reason=refused")


@scene(
    "request refused code=invalid_credentials reason=key_unknown …",
    "request refused code=invalid_credentials reason=key_revoked …",
    needs="serve tmp_path",
)
async def keys_are_refused(stage: Stage) -> None:
    auth_servers = AuthServers(stage.serve, f"sqlite:///{stage.tmp_path}/keys.db")
    server = await auth_servers.open()
    bob = await auth_servers.create_key("bob")
    await auth_servers.revoke(bob)
    await auth_servers.close()
    for key in (bob.key, api_keys.make().text):
        headers = {"Authorization": f"Bearer {key}"}
        assert 401 == (await call(server.url, *MODELS, headers=headers)).status


@scene(
    "request refused code=forwarded_request …",
    "request refused code=foreign_origin …",
    "request refused code=too_many_questions …",
)
async def who_may_not_ask(stage: Stage) -> None:
    server = await stage.serve.start(limits={"questions_per_minute": 1})
    await call(server.url, *MODELS, headers={"X-Forwarded-For": "203.0.113.9"})
    await call(server.url, *MODELS, headers={"Origin": "https://evil.example"})
    statuses = {
        (await call(server.url, "POST", "/api/v1/chat", {"content": "q"}, headers=JSON)).status
        for _ in range(3)  # a minute may end in between
    }
    assert 429 in statuses


@scene(
    "request refused code=too_many_streams …",
    "request refused code=too_much_unread …",
    needs="serve providers upstream",
)
async def what_was_asked_for_is_not_read(stage: Stage) -> None:
    limits = {"streams_per_user": 1, "max_unsent_bytes": 1_000_000}
    server = await stage.serve.start(providers=stage.providers, limits=limits)
    stage.upstream.tokens("x" * 900_000)
    stage.upstream.finish()
    lookup = await call(server.url, "POST", "/api/v1/chat", {"content": "q"}, headers=JSON)
    events = f"/api/v1/answers/{lookup.body['id']}/events"
    messages = f"/api/v1/conversations/{lookup.body['conversation_id']}/messages"
    async with silent_clients(server) as clients:
        clients.ask(events)
        await clients.all_wait()
        for path in (events, messages):
            assert 429 == (await call(server.url, "GET", path)).status


@scene(
    "request not read reason=tls from=… suppressed=…",
    "request not read reason=request_line from=… suppressed=…",
    "request not read reason=head_too_slow from=… suppressed=…",
    "request not read reason=headers_too_large from=… suppressed=…",
    "connections refused: the limit of connections is reached open=… suppressed=…",
)
async def strangers_connect(stage: Stage) -> None:
    server = await stage.serve.start(limits={"connections": 1, "head_seconds": 0.2})
    for data in (
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"GET / HTTP/1.1\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: x\r\n" * 200 + b"\r\n",
    ):
        stream, writer = await sending(server, data)
        await stream.read()
        writer.close()
    held = [await sending(server, b"") for _ in range(2)]
    await held[1][0].read()
    for _, writer in held:
        writer.close()


@scene(
    "connection cut, its peer accepts no data request=… suppressed=…",
    needs="serve providers upstream",
)
async def a_reader_takes_nothing(stage: Stage) -> None:
    relay = {"heartbeat_seconds": 0.1, "reader_stall_seconds": 1}
    server = await stage.serve.start(providers=stage.providers, relay=relay)
    stage.upstream.tokens(*["x" * 16_000] * 20)
    with socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        place = urlsplit(server.url)
        reader.connect((place.hostname, place.port))
        reader.sendall(post(b'{"content": "q"}'))
        await stage.shows("connection cut, its peer accepts no data…")


@scene("connections refused: out of descriptors: raise the limit on open files open=… suppressed=…")
async def no_descriptor_is_left(stage: Stage) -> None:
    server = await stage.serve.start()
    place = urlsplit(server.url)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as client:
        next_one = os.dup(client.fileno())
        os.close(next_one)
        resource.setrlimit(resource.RLIMIT_NOFILE, (next_one, hard))  # there is no next one
        try:
            client.connect((place.hostname, place.port))
            await stage.shows("connections refused: out of descriptors…")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
