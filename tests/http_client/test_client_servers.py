"""The client against servers it did not grow up with: nginx, aiohttp, Node's http, proxy.py."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiohttp import web
from tornado.ioloop import IOLoop

from http_client.client import ClientRequest, HttpClient
from http_client.errors import ConnectFailed, ConnectionLost
from tests.http_client.far_side import CHUNKED, LAST_CHUNK, FarSide, chunk, unused_port

NODE_SERVER = Path(__file__).with_name("node_server.js")

NGINX_CONF = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    gzip on;
    gzip_types *;
    gzip_min_length 1;
    server {{
        listen 127.0.0.1:{port};
        listen 127.0.0.1:{tls_port} ssl;
        ssl_certificate {folder}/cert.pem;
        ssl_certificate_key {folder}/cert.pem;
        root {folder}/root;
        keepalive_requests 3;
        client_max_body_size 1m;
        location /empty {{ return 204; }}
        location /away {{ return 302 /elsewhere; }}
        location /brief/ {{ alias {folder}/root/; keepalive_timeout 50ms; }}
        location /upstream/ {{
            proxy_pass http://127.0.0.1:{upstream}/;
            proxy_http_version 1.1;
            proxy_buffering off;
        }}
    }}
}}
"""


class Programs:
    """Starts programs in process groups of their own, and kills them."""

    def __init__(self) -> None:
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        program = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True
        )
        self._started.append(program)
        return program

    def stop(self) -> None:
        for program in self._started:
            os.killpg(program.pid, signal.SIGKILL)
            program.communicate()


@pytest.fixture
def programs() -> Iterator[Programs]:
    programs = Programs()
    yield programs
    programs.stop()


async def until(ready: Callable[[], Awaitable[bool]]) -> None:
    """Wait for a program that tells nobody when it is ready."""
    async with asyncio.timeout(20):
        while not await ready():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.02)


async def listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


async def tokens_one_by_one(
    client: HttpClient, far_side: FarSide, url: str, **settings: Any
) -> None:
    """A stream from the far side arrives piece by piece; another is cancelled, and seen to be."""
    for _ in range(2):
        pieces: asyncio.Queue[bytes] = asyncio.Queue()
        fetch = client.fetch(ClientRequest(url, streaming_callback=pieces.put_nowait, **settings))
        peer = await far_side.peer()
        await peer.request()
        peer.say(CHUNKED)
        for word in (b"one", b"two"):
            peer.say(chunk(word))
            assert await pieces.get() == word
        peer.say(LAST_CHUNK)
        await fetch
        await peer.close()
    fetch = client.fetch(ClientRequest(url, **settings))
    peer = await far_side.peer()
    await peer.request()
    fetch.cancel()
    async with asyncio.timeout(5):
        await peer.left()


class Nginx:
    """A running nginx: its addresses, and the page it serves."""

    def __init__(self, port: int, tls_port: int, ca_certs: str) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.tls_url = f"https://localhost:{tls_port}"
        self.ca_certs = ca_certs
        self.page = b"<p>abc</p>\n" * 50_000


@pytest.fixture
def nginx(
    io_loop: IOLoop,
    needs: Callable[[str], str],
    programs: Programs,
    far_side: FarSide,
    tmp_path: Path,
) -> Nginx:
    program = needs("nginx")
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    ca.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(
        str(tmp_path / "cert.pem")
    )
    port, tls_port, upstream = unused_port(), unused_port(), io_loop.run_sync(far_side.listen)
    nginx = Nginx(port, tls_port, str(tmp_path / "ca.pem"))
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "page.html").write_bytes(nginx.page)
    conf = NGINX_CONF.format(folder=tmp_path, port=port, tls_port=tls_port, upstream=upstream)
    (tmp_path / "nginx.conf").write_text(conf)
    programs.start(program, "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf"))
    io_loop.run_sync(lambda: until(lambda: listens(port)))
    return nginx


@pytest.mark.gen_test
async def test_nginx_serves_files_on_connections_of_three_requests(
    client: HttpClient, nginx: Nginx
) -> None:
    idle = []
    for _ in range(5):
        response = await client.fetch(f"{nginx.url}/page.html")
        assert response.body == nginx.page  # nginx would gzip it for a client that allows it
        idle.append(client.connections_idle)
    assert [1, 1, 0, 1, 1] == idle


@pytest.mark.gen_test
async def test_nginx_with_tls(client: HttpClient, nginx: Nginx) -> None:
    for _ in range(2):
        request = ClientRequest(f"{nginx.tls_url}/page.html", ca_certs=nginx.ca_certs)
        assert nginx.page == (await client.fetch(request)).body
    assert 1 == client.connections_idle


@pytest.mark.gen_test
async def test_nginx_answers_without_a_page(client: HttpClient, nginx: Nginx) -> None:
    async def status(path: str, **settings: Any) -> int:
        return (await client.fetch(nginx.url + path, raise_error=False, **settings)).code

    assert 204 == await status("/empty")
    assert 302 == await status("/away")
    assert 404 == await status("/nothing")
    too_long = b"x" * 20_000_000  # refused before it was sent to its end
    assert 413 == await status("/page.html", method="POST", body=too_long)


@pytest.mark.gen_test
async def test_nginx_closes_a_connection_that_rests(client: HttpClient, nginx: Nginx) -> None:
    await client.fetch(f"{nginx.url}/brief/page.html")
    assert 1 == client.connections_idle

    async def closed() -> bool:
        return client.connections_idle == 0

    await until(closed)
    assert 200 == (await client.fetch(f"{nginx.url}/brief/page.html")).code


@pytest.mark.gen_test
async def test_nginx_passes_on_tokens_and_our_leaving(
    client: HttpClient, far_side: FarSide, nginx: Nginx
) -> None:
    await tokens_one_by_one(client, far_side, f"{nginx.url}/upstream/")


@asynccontextmanager
async def aiohttp_server(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]], **settings: Any
) -> AsyncIterator[str]:
    app = web.Application(client_max_size=2**24)
    app.router.add_route("*", "/", handler)
    runner = web.AppRunner(app, shutdown_timeout=1, **settings)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    await runner.cleanup()


@pytest.mark.gen_test
async def test_aiohttp_streams_and_keeps_its_connection(client: HttpClient) -> None:
    async def stream(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        response = web.StreamResponse()
        await response.prepare(request)
        for at in range(0, len(body), 100_000):
            await response.write(body[at : at + 100_000])
        return response

    async with aiohttp_server(stream) as url:
        body = bytes(range(256)) * 20_000
        for _ in range(3):
            pieces: list[bytes] = []
            await client.fetch(
                ClientRequest(url, method="POST", body=body, streaming_callback=pieces.append)
            )
            assert b"".join(pieces) == body
        assert 1 == client.connections_idle
        client.close()


@pytest.mark.gen_test
async def test_aiohttp_sees_us_leave(client: HttpClient) -> None:
    asked, left = asyncio.Event(), asyncio.Event()

    async def silent(request: web.Request) -> web.StreamResponse:
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            left.set()
        raise AssertionError("unreachable")

    async with aiohttp_server(silent, handler_cancellation=True) as url:
        fetch = client.fetch(url)
        await asked.wait()
        fetch.cancel()
        async with asyncio.timeout(1):
            await left.wait()


@pytest.mark.parametrize("coding", [web.ContentCoding.gzip, web.ContentCoding.deflate])
@pytest.mark.gen_test
async def test_aiohttp_compressing_unasked_is_read(
    client: HttpClient, coding: web.ContentCoding
) -> None:
    async def compress(request: web.Request) -> web.StreamResponse:
        response = web.Response(text="hello " * 1000)
        response.enable_compression(coding)
        return response

    async with aiohttp_server(compress) as url:
        response = await client.fetch(url)
        assert b"hello " * 1000 == response.body


@pytest.fixture
def node(needs: Callable[[str], str], programs: Programs) -> tuple[str, subprocess.Popen[bytes]]:
    """Where Node's server listens, and the program, which prints what it sees."""
    program = programs.start(needs("node"), str(NODE_SERVER))
    assert program.stdout is not None
    return f"http://127.0.0.1:{int(program.stdout.readline())}", program


@pytest.mark.gen_test
async def test_node_answers(client: HttpClient, node: tuple[str, subprocess.Popen[bytes]]) -> None:
    url, _ = node
    response = await client.fetch(url, method="POST", body=b"x" * 1_000_000)
    told = json.loads(response.body)
    assert 1_000_000 == told["length"]
    assert told["headers"] == {
        "host": url.removeprefix("http://"),
        "accept-encoding": "identity",
        "user-agent": "Headrace",
        "content-length": "1000000",
    }
    pieces: list[bytes] = []
    await client.fetch(ClientRequest(f"{url}/stream", streaming_callback=pieces.append))
    assert b"".join(pieces) == b"".join(b"data: %d\n\n" % count for count in range(5))
    assert b"hello" == (await client.fetch(f"{url}/hints")).body
    with pytest.raises(ConnectionLost):
        await client.fetch(f"{url}/destroy")


@pytest.mark.gen_test
async def test_node_sees_us_leave(
    client: HttpClient, node: tuple[str, subprocess.Popen[bytes]]
) -> None:
    url, program = node
    arrived = asyncio.Event()
    fetch = client.fetch(ClientRequest(f"{url}/hang", streaming_callback=lambda _: arrived.set()))
    await arrived.wait()
    fetch.cancel()
    assert program.stdout is not None
    async with asyncio.timeout(5):
        assert b"left\n" == await asyncio.to_thread(program.stdout.readline)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_node_closing_its_connections_early_does_not_matter(
    client: HttpClient, node: tuple[str, subprocess.Popen[bytes]]
) -> None:
    url, _ = node
    for pause in (0.0, 0.09, 0.1, 0.11, 0.12):  # it closes what rested for 0.1 s
        await asyncio.sleep(pause)
        assert 200 == (await client.fetch(url, method="POST", body=b"{}")).code


@pytest.fixture
def proxy(io_loop: IOLoop, programs: Programs, tmp_path: Path) -> dict[str, Any]:
    """The settings of a request that goes through proxy.py."""
    ports = tmp_path / "ports"
    options = "--hostname 127.0.0.1 --port 0 --num-workers 1 --num-acceptors 1 --log-level ERROR"
    programs.start(
        *(sys.executable, "-m", "proxy", *options.split()),
        *("--port-file", str(ports), "--basic-auth", "headrace:s:cret"),
    )

    async def written() -> bool:
        return ports.exists() and ports.read_text().endswith("\n")

    io_loop.run_sync(lambda: until(written))
    return {
        "proxy_host": "127.0.0.1",
        "proxy_port": int(ports.read_text().split()[0]),
        "proxy_username": "headrace",
        "proxy_password": "s:cret",
    }


@pytest.mark.slow
@pytest.mark.gen_test
async def test_proxy_py_passes_on_tokens_and_our_leaving(
    client: HttpClient, far_side: FarSide, proxy: dict[str, Any], tmp_path: Path
) -> None:
    plain = f"http://localhost:{await far_side.listen()}/"
    await tokens_one_by_one(client, far_side, plain, **proxy)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_proxy_py_makes_a_tunnel_for_tls(
    client: HttpClient, proxy: dict[str, Any], nginx: Nginx
) -> None:
    for _ in range(2):
        request = ClientRequest(f"{nginx.tls_url}/page.html", ca_certs=nginx.ca_certs, **proxy)
        assert nginx.page == (await client.fetch(request)).body
    assert 1 == client.connections_idle


@pytest.mark.slow
@pytest.mark.gen_test
async def test_proxy_py_refuses_a_wrong_password_and_a_port_nobody_listens_on(
    client: HttpClient, proxy: dict[str, Any]
) -> None:
    nobody = f"http://127.0.0.1:{unused_port()}/"
    for way in (proxy, proxy | {"proxy_password": "wrong"}):
        with pytest.raises(ConnectFailed):
            await client.fetch(ClientRequest(nobody, **way))
