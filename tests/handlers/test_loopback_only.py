"""A server without keys serves this machine's own programs and pages, and nobody else."""

import asyncio
import json
import logging
import os
import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import pytest

from app.server import Server
from tests.other_users import OtherUser
from tests.readers import call
from tests.serving import Serving
from tests.steps import post, sending

ASK = ("POST", "/api/v1/conversations", {})


@pytest.fixture
def url(io_loop, serve: Serving) -> str:
    server: Server = io_loop.run_sync(serve.start)
    return server.url


@pytest.mark.slow
@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"X-Forwarded-For": "203.0.113.9"}, "forwarded_request"),
        ({"Forwarded": "for=203.0.113.9"}, "forwarded_request"),
        ({"Via": "1.1 proxy"}, "forwarded_request"),
        ({"X_Forwarded_For": "203.0.113.9"}, "forwarded_request"),
        ({"Host": "chat.example.org"}, "foreign_host"),
        ({"Host": "127.0.0.1.example.org"}, "foreign_host"),
        ({"Host": "[::"}, "foreign_host"),
        ({"Host": "[::ffff:203.0.113.9]"}, "foreign_host"),
        ({"Origin": "https://example.org"}, "foreign_origin"),
        ({"Origin": "null"}, "foreign_origin"),
        ({"Origin": "http://127.0.0.1:1"}, "foreign_origin"),
    ],
)
@pytest.mark.gen_test
async def test_what_comes_from_beyond_this_machine_is_refused(
    url: str, headers: dict[str, str], code: str
) -> None:
    for method, path in (("GET", "/api/v1/conversations"), ("POST", "/api/v1/chat")):
        body = {"content": "x"} if method == "POST" else None
        refused = await call(url, method, path, body, headers=headers)
        assert (403, code) == (refused.status, refused.body["error"]["code"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        # Written by hand into many configurations of proxies
        *("X-Forward-For", "X-Forward-Proto", "X-Source-IP", "X-True-Client-IP", "X-Script-Name"),
        *("X-Real-IP", "X-Client-IP", "X-Original-URI", "X-Ingress-Path", "X-Request-Start"),
        # What proxies add by themselves
        *("Max-Forwards", "Proxy-Connection", "X-HAProxy-Unique-ID", "X-Traefik-Router"),
        *("X-AppGW-Trace-Id", "Disguised-Host", "X-WAWS-Unencoded-URL", "X-Site-Deployment-Id"),
        *("X-Envoy-Peer-Metadata", "CF-Connecting-IP", "Fly-Client-IP", "X-Amzn-Trace-Id"),
        *("X-Forwarded", "X-Forwarded-Port", "X-Forwarded-Server", "X-Original-Forwarded-For"),
        *("X-Original-Host", "X-Original-URL", "X-Cluster-Client-Ip", "X-Real-Port", "X-Scheme"),
        *("X-ProxyUser-Ip", "X-ARR-SSL", "X-Azure-ClientIP", "X-Cloud-Trace-Context", "CF-Ray"),
        *("True-Client-IP", "Fastly-Client-IP", "X-AppEngine-Country", "CDN-Loop"),
        *("X-Envoy-External-Address", "X-Envoy-Expected-Rq-Timeout-Ms", "Tailscale-User-Login"),
        # nginx as most people set it up, with Host left at its default
        "X-Forwarded-Proto",
        # What those add who ask who it is
        *("OIDC_CLAIM_sub", "Shib-Session-ID", "X-MS-Client-Principal-Name", "X-MS-Token-AAD"),
        *("Teleport-JWT-Assertion", "X-Auth-Request-User", "Remote-User", "SSL-Client-Cert"),
    ],
)
@pytest.mark.gen_test
async def test_a_header_that_a_proxy_adds_gives_it_away(url: str, name: str) -> None:
    refused = await call(url, "GET", "/api/v1/me", headers={name: "x"})

    assert (403, "forwarded_request") == (refused.status, refused.body["error"]["code"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        *("X-Request-Id", "Traceparent", "X-B3-TraceId", "X-Client-Version", "X-Forge"),
        *("X-MS-Client-Request-Id", "X-Stainless-Lang", "Origin-Agent-Cluster", "X-Trace-Id"),
        *("X-Requested-With", "Remote", "Client-Version"),
    ],
)
@pytest.mark.gen_test
async def test_a_header_that_clients_send_does_not(url: str, name: str) -> None:
    assert 200 == (await call(url, "GET", "/api/v1/me", headers={name: "x"})).status


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
@pytest.mark.gen_test
async def test_a_body_that_a_form_could_send_is_refused(url: str, kind: str) -> None:
    refused = await call(url, *ASK, headers={"Content-Type": kind})
    assert (415, "not_json") == (refused.status, refused.body["error"]["code"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8080", "127.0.0.1", "[::1]:8080", "[::ffff:127.0.0.1]"]
)
@pytest.mark.gen_test
async def test_every_name_of_this_machine_is_served(url: str, host: str) -> None:
    assert 201 == (await call(url, *ASK, headers={"Host": host})).status


@pytest.mark.gen_test
async def test_the_servers_own_page_may_ask(url: str) -> None:
    assert 201 == (await call(url, *ASK, headers={"Origin": url})).status


@pytest.mark.gen_test
async def test_no_other_origin_is_told_anything_unless_it_is_listed(url: str) -> None:
    refused = await call(url, "OPTIONS", "/api/v1/chat", headers={"Origin": "https://example.org"})
    assert 403 == refused.status
    assert "access-control-allow-origin" not in refused.headers


@pytest.mark.gen_test
async def test_a_listed_origin_may_ask_and_read(serve: Serving) -> None:
    page = {"Origin": "https://app.example.org"}
    server = await serve.start(cors={"allow_origins": [page["Origin"]]})
    asked = await call(server.url, "OPTIONS", "/api/v1/chat", headers=page)
    assert (204, page["Origin"]) == (asked.status, asked.headers["access-control-allow-origin"])
    assert "Content-Type" in asked.headers["access-control-allow-headers"]
    made = await call(server.url, *ASK, headers=page)
    assert (201, page["Origin"]) == (made.status, made.headers["access-control-allow-origin"])
    assert "Origin" == made.headers["vary"]
    other = await call(server.url, *ASK, headers={"Origin": "https://example.org"})
    assert 403 == other.status


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "host", "status"),
    [
        ("http://localhost/api/v1/me", "localhost", 200),
        ("http://[::1]:80/api/v1/me", "example.org", 200),  # that beside it counts for nothing
        ("http://example.org/api/v1/me", "localhost", 403),
        ("http://127.0.0.1.example.org/api/v1/me", "127.0.0.1", 403),
        ("http://localhost@example.org/api/v1/me", "localhost", 400),
        ("//example.org/api/v1/me", "localhost", 404),
    ],
)
@pytest.mark.gen_test
async def test_the_host_in_a_whole_address_is_the_one_that_is_asked(
    url: str, target: str, host: str, status: int
) -> None:
    answered = await call(url, "GET", target, headers={"Host": host})

    assert status == answered.status
    if status == 403:
        assert "foreign_host" == answered.body["error"]["code"]


# Other users of this machine, and proxies that say nothing of themselves


async def answer_to(stranger: OtherUser, request: str) -> tuple[int, str | None]:
    """The status, and the code of the error, if it is one."""
    await stranger.send(request)
    head, _, body = (await stranger.rest()).partition("\r\n\r\n")
    said = json.loads(body) if body.startswith('{"error"') else {"error": {"code": None}}
    return int(head.split()[1]), said["error"]["code"]


def at(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


_QUESTION = post(b'{"content": "q"}', connection="close").decode()


def _get(path: str, version: str = "1.1") -> str:
    return f"GET {path} HTTP/{version}\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@pytest.mark.slow
@pytest.mark.usefixtures("needs_root")
@pytest.mark.parametrize(
    "request_",
    [_get("/api/v1/models"), _get("/"), _get("/metrics"), _get("/readyz"), _QUESTION],
    ids=["models", "page", "metrics", "ready", "question"],
)
@pytest.mark.gen_test
async def test_another_user_of_the_machine_is_refused(
    url: str, request_: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "headrace.http")
    stranger = await OtherUser.at(*at(url))
    assert (403, "foreign_user") == await answer_to(stranger, request_)
    assert "code=foreign_user reason=uid=65534" in caplog.text
    assert 200 == (await call(url, "GET", "/api/v1/models")).status


@pytest.mark.usefixtures("needs_root")
@pytest.mark.gen_test
async def test_whoever_looks_after_the_machine_may_ask_whether_it_lives(url: str) -> None:
    for version in ("1.0", "1.1"):
        stranger = await OtherUser.at(*at(url))
        assert (200, None) == await answer_to(stranger, _get("/healthz", version))


@pytest.mark.usefixtures("needs_root")
@pytest.mark.gen_test
async def test_who_is_in_the_group_of_a_socket_in_the_file_system_is_no_user_of_ours(
    serve: Serving,
) -> None:
    with TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        path = f"{folder}/socket"
        await serve.start(host=f"unix:{path}")
        os.chmod(path, 0o666)
        stranger = await OtherUser.at(path, 0)
        assert (403, "foreign_user") == await answer_to(stranger, _QUESTION)
        stream, writer = await asyncio.open_unix_connection(path)
        writer.write(_get("/api/v1/models").encode())
        assert b"HTTP/1.1 200 OK" in await stream.read()
        writer.close()


@pytest.mark.gen_test
async def test_who_has_left_before_they_were_taken_in_asks_for_nothing(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "headrace.http")
    with socket.create_connection(at(url)) as gone:  # within one turn of the loop
        gone.sendall(_QUESTION.encode())
    listed = await call(url, "GET", "/api/v1/conversations")
    assert [] == listed.body["data"]
    assert "code=foreign_user reason=unknown" in caplog.text


@pytest.mark.gen_test
async def test_where_keys_are_asked_for_nobody_is_asked_who_runs_them(serve: Serving) -> None:
    server = await serve.start(auth={"mode": "keys", "secret": "s" * 32})
    stream, writer = await sending(server, _get("/api/v1/models", "1.0").encode())
    assert b" 401 " in (await stream.read())[:16]
    writer.close()


@pytest.mark.gen_test
async def test_the_words_of_old_proxies_are_not_taken(url: str) -> None:
    for request_ in (_QUESTION.replace("HTTP/1.1", "HTTP/1.0"), _get("/api/v1/models", "1.0")):
        stream, writer = await asyncio.open_connection(*at(url))
        writer.write(request_.encode())
        head, _, body = (await stream.read()).partition(b"\r\n\r\n")
        writer.close()
        assert 403 == int(head.split()[1])
        assert "forwarded_request" == json.loads(body)["error"]["code"]


_NGINX_CONF = """
daemon off; pid {folder}/pid; error_log {folder}/error.log; {user}
events {{}}
http {{
  client_body_temp_path {folder}/bodies; proxy_temp_path {folder}/temp;
  fastcgi_temp_path {folder}/temp; uwsgi_temp_path {folder}/temp; scgi_temp_path {folder}/temp;
  access_log off;
  server {{
    listen unix:{folder}/plain;
    location / {{ proxy_pass {address}; }}
  }}
  server {{
    listen unix:{folder}/newer;
    location / {{
      proxy_pass {address}; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Host localhost;
    }}
  }}
}}
"""


@pytest.fixture
def nginx(url: str, needs: Callable[[str], str]) -> Iterator[Callable[[str], Path]]:
    """Start nginx, bare, with these workers; the folder of its sockets."""
    program = needs("nginx")
    started = []
    with TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)

        def start(user: str) -> Path:
            conf = Path(folder, "nginx.conf")
            conf.write_text(_NGINX_CONF.format(folder=folder, user=user, address=url))
            started.append(subprocess.Popen([program, "-p", folder, "-c", str(conf)]))
            return Path(folder)

        yield start
        for process in started:
            process.terminate()
            process.wait()


async def through(path: Path, request_: str) -> tuple[int, str]:
    """The status and the code of what comes back through a proxy's socket."""
    async with asyncio.timeout(20):
        while True:
            try:
                stream, writer = await asyncio.open_unix_connection(path)
                break
            except OSError:
                await asyncio.sleep(0.02)  # it tells nobody when it is ready
    writer.write(request_.encode())
    answer = (await stream.read()).decode()
    writer.close()
    codes = re.findall(r'"code":"(\w+)"', answer)
    return int(answer.split()[1]), "".join(codes)


@pytest.mark.usefixtures("needs_root")
@pytest.mark.parametrize("name", ["plain", "newer"])
@pytest.mark.gen_test
async def test_a_proxy_that_says_nothing_of_itself_opens_nothing(
    nginx: Callable[[str], Path], name: str
) -> None:
    folder = nginx("user nobody nogroup;")
    for request_ in (_get("/api/v1/models"), _get("/"), _QUESTION):
        assert (403, "foreign_user") == await through(folder / name, request_)


@pytest.mark.gen_test
async def test_a_bare_proxy_of_our_own_user_is_known_by_its_old_words(
    nginx: Callable[[str], Path],
) -> None:
    folder = nginx("user root;" if os.geteuid() == 0 else "")
    for request_ in (_get("/api/v1/models"), _get("/"), _QUESTION):
        assert (403, "forwarded_request") == await through(folder / "plain", request_)
