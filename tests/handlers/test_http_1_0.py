"""Streams to HTTP/1.0, as a default nginx asks for them: every ending is written.

There the end of a stream is the end of its connection, which looks like any other: whoever got half
an answer would take it for a whole one.
"""

import asyncio
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tornado.ioloop import IOLoop
from tornado.testing import bind_unused_port

from app.server import Server
from tests.auth_servers import SECRET, AuthServers, KeyHolder
from tests.readers import call
from tests.serving import Serving
from tests.upstreams import ScriptedUpstream
from tests.ways_in import WAYS, Asked, Way

_CONF = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{}}
http {{
  client_body_temp_path {folder}/bodies; proxy_temp_path {folder}/temp; access_log off;
  fastcgi_temp_path {folder}/temp; uwsgi_temp_path {folder}/temp; scgi_temp_path {folder}/temp;
  server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass {target}; }} }}
}}
"""


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Way:
    return WAYS[request.param]


@pytest.fixture
def server(
    io_loop: IOLoop, serve: Serving, providers: dict[str, dict[str, Any]], tmp_path: Path
) -> Server:
    """One that asks for keys: without them it refuses what a proxy may have passed on."""
    settings = {
        "providers": providers,
        "auth": {"mode": "keys", "secret": SECRET},
        "relay": {"drain_seconds": 0},
    }
    started: Server = io_loop.run_sync(lambda: serve.start(**settings))
    return started


@pytest.fixture
def alice(io_loop: IOLoop, serve: Serving, server: Server, tmp_path: Path) -> KeyHolder:
    keys = AuthServers(serve, f"sqlite:///{tmp_path}/headrace.db")
    holder: KeyHolder = io_loop.run_sync(lambda: keys.create_key("alice"))
    return holder


@pytest.fixture(params=["itself", "nginx"])
def url(
    request: pytest.FixtureRequest, io_loop: IOLoop, server: Server, tmp_path: Path
) -> Iterator[str]:
    """The server, or an nginx before it whose settings name it and nothing else."""
    if request.param == "itself":
        yield server.url
        return
    needs: Callable[[str], str] = request.getfixturevalue("needs")
    free, port = bind_unused_port()
    free.close()
    conf = tmp_path / "nginx.conf"
    conf.write_text(_CONF.format(folder=tmp_path, port=port, target=server.url))
    process = subprocess.Popen([needs("nginx"), "-p", str(tmp_path), "-c", str(conf)])

    async def ready() -> None:
        async with asyncio.timeout(20):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    break
                except OSError:
                    await asyncio.sleep(0.02)  # it tells nobody when it is ready
        with closing(writer):
            pass

    io_loop.run_sync(ready)
    yield f"http://127.0.0.1:{port}"
    process.kill()
    process.wait()


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_whole_answer_ends_as_one(
    url: str, way: Way, alice: KeyHolder, upstream: ScriptedUpstream
) -> None:
    asked = await Asked.ask(url, way, alice.headers)
    upstream.tokens("half")
    await asked.until(b"half")
    upstream.finish()

    received = await asked.rest()

    assert b"chunked" not in received
    assert way.whole in received
    assert way.broken not in received


@pytest.mark.slow
@pytest.mark.gen_test
async def test_an_answer_that_the_provider_cut_off_ends_in_an_error(
    url: str, way: Way, alice: KeyHolder, upstream: ScriptedUpstream
) -> None:
    asked = await Asked.ask(url, way, alice.headers)
    upstream.tokens("half")
    await asked.until(b"half")
    upstream.cut()

    received = await asked.rest()

    assert way.broken in received
    assert way.whole not in received


@pytest.mark.slow
@pytest.mark.gen_test
async def test_an_answer_of_a_server_that_shuts_down_ends_in_an_error(
    url: str, way: Way, alice: KeyHolder, upstream: ScriptedUpstream, serve: Serving, server: Server
) -> None:
    asked = await Asked.ask(url, way, alice.headers)
    upstream.tokens("half")
    await asked.until(b"half")
    stopping = asyncio.create_task(serve.stop(server))

    received = await asked.rest()
    await stopping

    assert way.broken in received or b'"status":"interrupted"' in received
    assert way.whole not in received


@pytest.mark.slow
@pytest.mark.gen_test
async def test_an_answer_that_was_stopped_says_so(
    url: str, way: Way, alice: KeyHolder, upstream: ScriptedUpstream, server: Server
) -> None:
    asked = await Asked.ask(url, way, alice.headers)
    upstream.tokens("half")
    await asked.until(b"half")
    [generation] = server.relay.live_answers
    path = f"/api/v1/answers/{generation.answer.id}/stop"
    assert 200 == (await call(server.url, "POST", path, headers=alice.headers)).status

    received = await asked.rest()

    assert way.stopped in received
    assert way.whole not in received
