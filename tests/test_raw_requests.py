"""What no client should send: refused rightly, and never taken for another request.

Directly, and through Debian's nginx with connections to us that it uses again and again: there a
request whose end the two saw in different places would become somebody else's.
"""

import asyncio
import logging
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tornado.ioloop import IOLoop

from app.server import Server
from tests.raw_requests import CORPUS, Case
from tests.readers import call
from tests.serving import Serving
from tests.steps import sending, until
from tests.upstreams import ScriptedUpstream

_NGINX_CONF = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{}}
http {{
  client_body_temp_path {folder}/bodies; proxy_temp_path {folder}/temp;
  fastcgi_temp_path {folder}/temp; uwsgi_temp_path {folder}/temp; scgi_temp_path {folder}/temp;
  log_format sent escape=none "$upstream_status|$request_uri";
  access_log {folder}/access.log sent;
  merge_slashes off; client_header_timeout 300ms; client_body_timeout 300ms;
  keepalive_timeout 300ms;
  upstream headrace {{ server {address}; keepalive 4; }}
  server {{
    listen unix:{folder}/socket;
    location / {{
      proxy_pass http://headrace; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Host localhost; proxy_request_buffering {buffering}; proxy_buffering off;
    }}
  }}
}}
"""


@pytest.fixture
def seen(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """The paths of the requests that came to our handlers so far."""
    caplog.set_level(logging.DEBUG, "headrace")

    def paths() -> list[str]:
        found = (
            re.match(r"request (\S+) (\S+) [0-9]", each.getMessage()) for each in caplog.records
        )
        return [match[2] for match in found if match]

    return paths


@pytest.fixture
def headrace(io_loop: IOLoop, serve: Serving, providers: Any, upstream: ScriptedUpstream) -> Server:
    """Answers at once, and lets nobody wait."""
    upstream.tokens("a")
    upstream.finish()
    limits = {"idle_seconds": 0.3, "head_seconds": 0.3, "body_seconds": 0.3}
    start = serve.start(providers=providers, limits=limits)
    server: Server = io_loop.run_sync(lambda: start)
    return server


async def statuses(stream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> list[int]:
    """Of all responses until the connection is closed, which it has to be."""
    received = b""
    try:
        while data := await stream.read(2**16):
            received += data
    except (ConnectionResetError, BrokenPipeError):  # it was closed while more was sent
        pass
    writer.close()
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+) ?", received)]


@pytest.mark.slow
@pytest.mark.parametrize("case", CORPUS.values(), ids=CORPUS.keys())
@pytest.mark.gen_test
async def test_each_is_answered_as_it_should_be_and_leaves_nothing(
    headrace: Server, case: Case, seen: Callable[[], list[str]]
) -> None:
    answered = await statuses(*await sending(headrace, case.data))
    await until(lambda: headrace.acceptor.connections == 0)
    assert (case.statuses, case.seen) == (answered, seen())
    assert 200 == (await call(headrace.url, "GET", "/healthz")).status


# Longer ones would take longer than a request may.
_SHORT = {name: case for name, case in CORPUS.items() if len(case.data) <= 1000}


@pytest.mark.slow
@pytest.mark.parametrize("case", _SHORT.values(), ids=_SHORT.keys())
@pytest.mark.gen_test
async def test_each_is_the_same_byte_by_byte(
    headrace: Server, case: Case, seen: Callable[[], list[str]]
) -> None:
    stream, writer = await sending(headrace, b"")
    writer.transport.set_write_buffer_limits(0)
    for position in range(len(case.data)):
        writer.write(case.data[position : position + 1])
        await asyncio.sleep(0)
        if writer.is_closing():
            break
    answered = await statuses(stream, writer)
    assert case.seen == seen()
    # Who is refused while they still send may not get to read it: their bytes reset the connection.
    assert case.statuses[: len(answered)] == answered


class Nginx:
    """In front of a server, at a UNIX socket."""

    def __init__(self, program: str, folder: Path, server: Server, buffering: str) -> None:
        self.socket = str(folder / "socket")
        self._log = folder / "access.log"
        conf = folder / "nginx.conf"
        address = server.url.removeprefix("http://")
        conf.write_text(_NGINX_CONF.format(folder=folder, address=address, buffering=buffering))
        self._log.touch()
        self.process = subprocess.Popen([program, "-p", str(folder), "-c", str(conf)])

    async def send(self, data: bytes) -> list[int]:
        """The statuses of what comes back."""
        async with asyncio.timeout(20):
            while True:
                try:
                    stream, writer = await asyncio.open_unix_connection(self.socket)
                    break
                except OSError:
                    await asyncio.sleep(0.02)  # it tells nobody when it is ready
        writer.write(data)
        return await statuses(stream, writer)

    def forwarded(self) -> list[str]:
        """The paths of the requests that it sent on, and for which it was answered."""
        lines = [line.split("|", 1) for line in self._log.read_text("latin-1").splitlines()]
        return [path for status, path in lines if status[:1] in "12345"]


@pytest.fixture(params=["on", "off"])
def nginx(
    request: pytest.FixtureRequest,
    headrace: Server,
    needs: Callable[[str], str],
    tmp_path: Path,
) -> Iterator[Nginx]:
    nginx = Nginx(needs("nginx"), tmp_path, headrace, request.param)
    yield nginx
    nginx.process.kill()
    nginx.process.wait()


@pytest.mark.slow
@pytest.mark.gen_test(timeout=120)
async def test_we_see_no_request_that_nginx_did_not_send(
    nginx: Nginx, seen: Callable[[], list[str]]
) -> None:
    strange = {}
    for name, case in CORPUS.items():
        seen_before, sent_before = len(seen()), len(nginx.forwarded())
        await nginx.send(case.data)
        assert [200] == await nginx.send(
            b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        ), name  # on a connection to us that may have carried the case
        ours, theirs = seen()[seen_before:], nginx.forwarded()[sent_before:]
        rest = iter(theirs)  # some that it sends we refuse unseen
        if not all(path in rest for path in ours):
            strange[name] = (ours, theirs)
    assert {} == strange
