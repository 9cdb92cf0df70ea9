"""Streams to HTTP/1.0, as a default nginx asks for them: every ending is written.

There the end of a stream is the end of its connection, which looks like any other: whoever got half
an answer would take it for a whole one.
"""

import asyncio
import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from tornado.ioloop import IOLoop
from tornado.testing import bind_unused_port

from app.server import Server
from tests.auth_servers import SECRET, AuthServers, KeyHolder
from tests.readers import call
from tests.serving import Serving
from tests.upstreams import ScriptedUpstream

_CONF = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{}}
http {{
  client_body_temp_path {folder}/bodies; proxy_temp_path {folder}/temp; access_log off;
  fastcgi_temp_path {folder}/temp; uwsgi_temp_path {folder}/temp; scgi_temp_path {folder}/temp;
  server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass {target}; }} }}
}}
"""


class Way(NamedTuple):
    """A way to ask for a stream, and what in it says how the answer ended."""

    path: str
    body: dict[str, Any]
    whole: bytes
    broken: bytes
    stopped: bytes


_ASKED = [{"role": "user", "content": "hi"}]
_UI_ASKED = [{"id": "u1", "role": "user", "parts": [{"type": "text", "text": "hi"}]}]
WAYS = {
    "native": Way(
        *("/api/v1/chat", {"content": "hi"}),
        whole=b'"status":"complete"',
        broken=b'"error":{',
        stopped=b'"status":"stopped"',
    ),
    "chat completions": Way(
        "/v1/chat/completions",
        {"model": "openai/gpt-4o-mini", "stream": True, "messages": _ASKED},
        whole=b"data: [DONE]",
        broken=b'"error":{',
        stopped=b'"code":"stopped"',
    ),
    "responses": Way(
        *("/v1/responses", {"model": "openai/gpt-4o-mini", "stream": True, "input": "hi"}),
        whole=b'"response.completed"',
        broken=b'"response.failed"',
        stopped=b'"response.incomplete"',
    ),
    "AI SDK": Way(
        *("/ai-sdk/chat", {"id": "chat", "messages": _UI_ASKED, "trigger": "submit-message"}),
        whole=b'"finishReason":"stop"',
        broken=b'"type":"error"',
        stopped=b'"type":"abort"',
    ),
    "AG-UI": Way(
        *("/ag-ui", {"threadId": "t", "runId": "r", "messages": [{"id": "u1", **_ASKED[0]}]}),
        whole=b'"outcome":{"type":"success"',
        broken=b'"RUN_ERROR"',
        stopped=b'"outcome":{"type":"cancelled"',
    ),
}


class Asked:
    """A stream that is read until its connection is closed."""

    def __init__(self, stream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._stream = stream
        self._writer = writer
        self._received = b""

    @classmethod
    async def ask(cls, url: str, way: Way, headers: dict[str, str]) -> "Asked":
        parts = urlsplit(url)
        stream, writer = await asyncio.open_connection(parts.hostname, parts.port)
        body = json.dumps(way.body).encode()
        fields = {"Host": parts.netloc, "Accept": "text/event-stream", **headers}
        fields |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        writer.write(f"POST {way.path} HTTP/1.0\r\n{head}\r\n".encode() + body)
        return cls(stream, writer)

    async def until(self, text: bytes) -> None:
        while text not in self._received:
            more = await self._stream.read(1000)
            assert more, self._received
            self._received += more

    async def rest(self) -> bytes:
        self._received += await self._stream.read()
        self._writer.close()
        return self._received


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
