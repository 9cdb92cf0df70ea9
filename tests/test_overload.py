"""A process that runs out of descriptors: it says 503, its readers go on, and it recovers."""

import asyncio
import itertools
import os
import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.launching import Launched, Launcher
from tests.mongod import free_ports
from tests.readers import Reader, call
from tests.upstreams import ScriptedUpstream


@pytest.fixture(params=["sqlite", "mongo"])
def settled(
    request: pytest.FixtureRequest, launcher: Launcher, upstream: ScriptedUpstream
) -> Launcher:
    url = "sqlite:///headrace.db"
    if request.param == "mongo":
        url = request.getfixturevalue("mongo_url")
    launcher.settings.write_text(
        f'port = 0\n[storage]\nurl = "{url}"\n'
        "[relay]\ncheckpoint_seconds = 0.05\nheartbeat_seconds = 0.2\n"
        f'[providers.openai]\nbase_url = "{upstream.url}/v1"\nmodels = ["m"]\n'
        'api_key = "k"\n'
    )
    return launcher


@pytest.fixture
def clients() -> Iterator[ExitStack]:
    """Sockets that a test opens in numbers; closed at its end, or before."""
    with ExitStack() as stack:
        yield stack


def allow(server: Launched, more: int) -> None:
    """Let the process have so many descriptors beyond those that it has.

    The limit is on their numbers, and there may be some to spare below the highest.
    """
    taken = set(map(int, os.listdir(f"/proc/{server.process.pid}/fd")))
    free = (number for number in itertools.count() if number not in taken)
    limit = next(itertools.islice(free, more, None))
    _, hard = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (limit, hard))


def connect(server: Launched, clients: ExitStack) -> socket.socket:
    address = urlsplit(server.url)
    client = socket.create_connection((address.hostname, address.port), timeout=5)
    return clients.enter_context(client)


async def cpu_seconds(server: Launched, during: float) -> float:
    """What it uses of a core in so many seconds."""

    def used() -> float:
        fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    before = used()
    await asyncio.sleep(during)  # the time it is measured over
    return used() - before


@pytest.mark.slow
@pytest.mark.gen_test
async def test_without_descriptors_it_refuses_and_goes_on_and_recovers(
    settled: Launcher, upstream: ScriptedUpstream, clients: ExitStack
) -> None:
    server = await settled.serve()
    upstream.tokens("Hel")
    reader = await Reader.ask(server.url)
    await reader.text("Hel")
    waiting = await Reader.come_back(server.url, reader.answer_id)
    await waiting.text("Hel")
    allow(server, 20)

    flood = [connect(server, clients) for _ in range(120)]
    for client in flood:
        client.settimeout(0.2)
    refusals = 0
    for client in flood[40:]:
        with suppress(TimeoutError):
            refusals += (await asyncio.to_thread(client.recv, 100)).startswith(b"HTTP/1.1 503")
    assert refusals >= 70
    assert await cpu_seconds(server, 1.0) < 0.5  # it does not spin

    upstream.tokens("lo")
    await reader.text("Hello")
    await waiting.text("Hello")
    clients.close()
    async with asyncio.timeout(10):
        while (await call(server.url, "GET", "/readyz")).status != 200:
            pass
    upstream.finish()
    assert "complete" == (await reader.end())["status"]
    again = await Reader.ask(server.url)
    assert "complete" == (await again.end())["status"]
    assert server.process.returncode is None


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_question_without_a_descriptor_for_its_upstream_fails_in_words(
    settled: Launcher, upstream: ScriptedUpstream, clients: ExitStack
) -> None:
    server = await settled.serve()
    upstream.tokens("a")
    upstream.finish()
    warm = await Reader.ask(server.url)
    await warm.end()
    asking = await Reader.ask(server.url)
    await asking.end()
    held = [connect(server, clients) for _ in range(30)]
    for client in held:
        client.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await asyncio.to_thread(client.recv, 4096)).startswith(b"HTTP/1.1 200")
    upstream.next_request()
    allow(server, 0)

    statuses = set()
    for client in held:
        body = b'{"content": "q"}'
        client.send(
            b"POST /api/v1/chat HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        )
    for client in held:
        upstream.finish()
        statuses.add((await asyncio.to_thread(client.recv, 4096)).split()[1])

    assert statuses <= {b"200", b"502", b"503", b"504"}
    assert statuses & {b"502", b"503", b"504"}
    clients.close()
    async with asyncio.timeout(10):
        while (await call(server.url, "GET", "/readyz")).status != 200:
            pass
    assert "complete" == (await (await Reader.ask(server.url)).end())["status"]


@pytest.mark.slow
@pytest.mark.gen_test
async def test_without_descriptors_a_scrape_is_refused_and_the_next_one_served(
    settled: Launcher, upstream: ScriptedUpstream, clients: ExitStack
) -> None:
    (port,) = free_ports(1)
    with settled.settings.open("a") as file:
        file.write(f"[metrics]\nport = {port}\n")
    server = await settled.serve()
    scraped = server._replace(url=f"http://127.0.0.1:{port}")
    first = connect(scraped, clients)
    first.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert b"HTTP/1.1 200" == await asyncio.to_thread(first.recv, 12)
    while await asyncio.to_thread(first.recv, 65_536):  # until its descriptor is free again
        pass
    allow(server, 0)

    scrape = connect(scraped, clients)
    assert (await asyncio.to_thread(scrape.recv, 100)).startswith(b"HTTP/1.1 503")
    assert await cpu_seconds(server, 1.0) < 0.5  # it does not spin

    allow(server, 20)
    assert 200 == (await call(scraped.url, "GET", "/metrics")).status
