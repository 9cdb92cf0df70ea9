"""Scenes of the runbook: providers that cannot be reached, or answer badly."""

import asyncio
import datetime
import ssl
from contextlib import AsyncExitStack
from typing import Any

import trustme

from http_client.dns import CachingResolver
from tests.http_client.far_side import FullBacklog
from tests.http_client.test_dns import AT_A_LOSS, NO_NAME, V4, V6, NameServer
from tests.mongod import free_ports
from tests.readers import Reader
from tests.runbook.stage import Stage, scene
from tests.upstreams import ScriptedUpstream

FAILED = "answer ended status=failed code="


@scene(
    f"{FAILED}provider_unreachable provider_code=- reason=no_address …",
    f"{FAILED}provider_unreachable provider_code=- reason=refused …",
    f"{FAILED}provider_unreachable provider_code=- reason=tls_unknown_ca …",
    f"{FAILED}provider_unreachable provider_code=- reason=tls_hostname_mismatch …",
    f"{FAILED}provider_unreachable provider_code=- reason=tls_certificate_expired …",
    f"{FAILED}provider_unreachable provider_code=- reason=by_proxy_http_407 …",
    f"{FAILED}connect_timeout provider_code=- reason=tcp_is_silent …",
    needs="serve upstream tmp_path",
)
async def providers_cannot_be_reached(stage: Stage) -> None:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(stage.tmp_path / "ca.pem"))
    past = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    certificates = {
        "unknown": ca.issue_cert("localhost"),
        "mismatch": ca.issue_cert("other.example"),
        "expired": ca.issue_cert("localhost", not_after=past),
    }
    common = {"dialect": "openai", "models": ["m"]}
    upstream: ScriptedUpstream = stage.upstream
    proxy = await asyncio.start_server(_wants_a_password, "127.0.0.1", 0)
    proxied = f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
    providers: dict[str, Any] = {
        "no-name": {**common, "base_url": f"http://{'a' * 70}.example/v1"},
        "nobody": {**common, "base_url": f"http://127.0.0.1:{free_ports(1)[0]}/v1"},
        "proxied": {**common, "base_url": "http://upstream.example/v1", "proxy": proxied},
    }
    full = FullBacklog()
    providers["full"] = {**common, "base_url": f"http://127.0.0.1:{full.port}/v1"}
    async with proxy, AsyncExitStack() as stack:
        stack.callback(full.close)
        for name, certificate in certificates.items():
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            certificate.configure_cert(context)
            port = await stack.enter_async_context(upstream.behind_tls(context))
            trusts = {} if name == "unknown" else {"ca_certs": stage.tmp_path / "ca.pem"}
            base_url = f"https://localhost:{port}/v1"
            providers[name] = {**common, **trusts, "base_url": base_url}
        server = await stage.serve.start(providers=providers, timeouts={"connect": 2})
        for name in providers:
            await (await Reader.ask(server.url, model=f"{name}/m")).end()


async def _wants_a_password(stream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await stream.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
    writer.close()


@scene(
    f"{FAILED}provider_unauthorized provider_code=… reason=…",
    f"{FAILED}provider_bad_request provider_code=- reason=http_400 …",
    f"{FAILED}provider_quota_exceeded provider_code=… reason=…",
    f"{FAILED}provider_overloaded provider_code=- reason=http_502 …",
    f"{FAILED}provider_bad_response provider_code=- reason=html …",
    f"{FAILED}provider_bad_response provider_code=- reason=content_encoding_br …",
    f"{FAILED}stream_broken provider_code=- reason=closed_in_the_body …",
    f"{FAILED}stream_broken provider_code=- reason=no_finish_mark …",
    f"{FAILED}first_token_timeout …",
    needs="serve providers upstream",
)
async def providers_answer_badly(stage: Stage) -> None:
    upstream: ScriptedUpstream = stage.upstream
    upstream.fail(401, {"error": {"code": "invalid_api_key"}})
    upstream.next_request()
    upstream.fail(400, {"error": {"message": "I do not like it"}})
    upstream.next_request()
    upstream.fail(429, {"error": {"code": "insufficient_quota"}})
    upstream.next_request()
    upstream.fail(502, b"<html>Bad Gateway</html>")
    upstream.next_request()
    upstream.fail(200, b"<html>Log in</html>", Content_Type="text/html")
    upstream.next_request()
    upstream.fail(200, b"xx", Content_Encoding="br")
    upstream.next_request()
    upstream.tokens("half")
    upstream.cut()
    upstream.next_request()
    upstream.tokens("half")
    upstream.end()
    upstream.next_request()
    upstream.silent()
    server = await stage.serve.start(providers=stage.providers, timeouts={"first_token": 0.3})
    for _ in range(9):
        await (await Reader.ask(server.url)).end()


@scene("the name server does not respond, old addresses are used name=…", needs="monkeypatch")
async def dns_is_silent(stage: Stage) -> None:
    stage.monkeypatch.setattr("http_client.dns._FRESH_SECONDS", 0)
    server = NameServer()
    server.say("p.example", V6, NO_NAME)
    server.say("p.example", V4, "192.0.2.1")
    names = CachingResolver(lookup=server.lookup)
    before = await names.resolve("p.example", 443)
    server.say("p.example", V4, AT_A_LOSS)
    assert before == await names.resolve("p.example", 443)
    names.close()
