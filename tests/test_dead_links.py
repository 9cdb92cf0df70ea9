"""Readers who vanish without a word, or stay and read nothing: the server notices both."""

import asyncio
import ctypes
import json
import secrets
import socket
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn, TypeVar
from urllib.parse import urlsplit

import pytest

from tests.launching import HEARTBEAT_SECONDS, Fleet, Launched, Launcher
from tests.readers import Connection, Reader
from tests.steps import JSON, kept_answer
from tests.upstreams import ScriptedUpstream

pytestmark = pytest.mark.slow

T = TypeVar("T")

CHAT = ("POST", "/api/v1/chat")
QUESTION = {"content": "hi"}


@pytest.fixture
def fleet(launcher: Launcher, upstream: ScriptedUpstream) -> Fleet:
    return Fleet(launcher, "sqlite:///headrace.db", upstream)


def events(reader: Reader) -> str:
    """Where the answer that is read can be read again."""
    return f"/api/v1/answers/{reader.answer_id}/events"


def conversation(reader: Reader) -> str:
    return f"/api/v1/conversations/{reader.seen[0].data['conversation_id']}"


async def connected(sock: socket.socket, server: Launched, receive_buffer: int = 0) -> Connection:
    parts = urlsplit(server.url)
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, (parts.hostname, parts.port))
    return await Connection.open(server.url, sock)


# A wire that is cut

DEAD_SECONDS = 3
# Signs of life, of which there are at most two a heartbeat, for twice as long.
DEAD_BEATS = int(4 * DEAD_SECONDS / HEARTBEAT_SECONDS) + 1


class Link:
    """Two machines with a wire between them: two network namespaces and a pair of veth.

    A socket stays in the namespace that its thread was in: the server is handed one that listens
    at its end, the test connects one from the other.
    """

    # Loopback's, which can be nobody else's: with no `lo` up and `route_localnet` set they are
    # routed like any other.
    _ADDRESSES = ("127.0.5.1", "127.0.5.2")

    def __init__(self, ip: str, undo: ExitStack, fleet: Fleet) -> None:
        self._ip = ip
        self._fleet = fleet
        self._key: str | None = None
        fleet.ask_for_keys()  # programs of another machine are nobody's here
        name = f"headrace-{secrets.token_hex(4)}"
        self._ends = (f"{name}-server", f"{name}-reader")
        for end in self._ends:
            self._run("netns", "add", end)
            undo.callback(self._run, "netns", "del", end)
        server, reader = self._ends
        wire = ("type", "veth", "peer", "name", "wire", "netns", reader)
        self._run("-n", server, "link", "add", "wire", *wire)
        for end, address in zip(self._ends, self._ADDRESSES, strict=True):
            self._run("-n", end, "address", "add", f"{address}/24", "dev", "wire")
            self._run("-n", end, "link", "set", "wire", "up")
            self._inside(end, self._route_loopback)

    def listening(self) -> socket.socket:
        """A socket that listens at the server's end."""
        return self._inside(self._ends[0], lambda: socket.create_server((self._ADDRESSES[0], 0)))

    async def connected(self, server: Launched, *, receive_buffer: int = 0) -> Connection:
        """A connection from the reader's end; its machine takes so much unread, 0: as it likes."""
        sock = self._inside(self._ends[1], socket.socket)
        connection = await connected(sock, server, receive_buffer)
        self._key = self._key or await self._fleet.key()
        connection.headers["Authorization"] = f"Bearer {self._key}"
        return connection

    def cut(self) -> None:
        """Let no packet through any more, and inform neither side."""
        self._run("-n", self._ends[1], "link", "set", "wire", "down")

    def mend(self) -> None:
        self._run("-n", self._ends[1], "link", "set", "wire", "up")

    def _run(self, *arguments: str) -> None:
        subprocess.run([self._ip, *arguments], check=True, capture_output=True, timeout=20)

    @staticmethod
    def _route_loopback() -> None:
        Path("/proc/sys/net/ipv4/conf/all/route_localnet").write_text("1")

    @staticmethod
    def _inside(end: str, work: Callable[[], T]) -> T:
        """Do `work` in a thread that is in a namespace."""

        def enter() -> T:
            # Python has `os.setns` from 3.12 on.
            setns = ctypes.CDLL(None, use_errno=True).setns
            with Path("/run/netns", end).open() as namespace:
                if setns(namespace.fileno(), 0):
                    raise OSError(ctypes.get_errno(), "setns")
            return work()

        with ThreadPoolExecutor(1) as threads:
            return threads.submit(enter).result()


@pytest.fixture
def link(
    needs: Callable[[str], str], leave_out: Callable[[str, str], NoReturn], fleet: Fleet
) -> Iterator[Link]:
    ip = needs("ip")
    with ExitStack() as undo:
        try:
            made = Link(ip, undo, fleet)
        except (OSError, subprocess.SubprocessError):
            leave_out("needs network namespaces, which only root can make", "run as root")
        yield made


@pytest.mark.gen_test(timeout=60)
async def test_a_reader_whose_link_goes_dead_is_noticed_and_the_upstream_let_go(
    fleet: Fleet, link: Link, upstream: ScriptedUpstream
) -> None:
    with link.listening() as listening:
        server = await fleet.serve(listening=listening, reader_dead_seconds=DEAD_SECONDS)
    upstream.tokens("half")
    reader = await Reader.on(await link.connected(server), *CHAT, QUESTION)
    await reader.text("half")
    link.cut()

    await upstream.closed.wait()
    link.mend()
    again = await Reader.on(await link.connected(server), "GET", events(reader))
    assert "abandoned" == (await again.end())["status"]
    assert "half" == again.so_far


@pytest.mark.gen_test(timeout=120)
async def test_who_waits_for_a_whole_answer_on_a_dead_link_is_noticed_too(
    fleet: Fleet, link: Link, upstream: ScriptedUpstream
) -> None:
    with link.listening() as listening:
        server = await fleet.serve(listening=listening, reader_dead_seconds=DEAD_SECONDS)
    upstream.tokens("half")
    connection = await link.connected(server)
    waiting = asyncio.create_task(connection.call(*CHAT, QUESTION, headers=JSON))
    await upstream.request()
    link.cut()

    await upstream.closed.wait()
    waiting.cancel()


@pytest.mark.gen_test(timeout=120)
async def test_who_reads_nothing_and_is_gone_then_is_noticed_before_who_only_reads_nothing(
    fleet: Fleet, link: Link, upstream: ScriptedUpstream
) -> None:
    # Its window is shut: nothing is on the way that could be acknowledged, but for the probes.
    with link.listening() as listening:
        server = await fleet.serve(
            listening=listening,
            reader_dead_seconds=DEAD_SECONDS,
            reader_stall_seconds=3600,
            max_answer_chars=ROOM,
        )
    long_answer(upstream)
    reader = await Reader.on(await link.connected(server), *CHAT, QUESTION)
    await reader.start()
    await idler(await link.connected(server, receive_buffer=SMALL), "GET", events(reader))
    await read_to(reader, LONG)
    await reader.next(until_beats=reader.beats + DEAD_BEATS)
    assert "connection cut" not in fleet.log(server)  # it answers all probes
    link.cut()

    await upstream.closed.wait()
    server.terminate()
    await server.process.wait()
    told = [line for line in fleet.log(server).splitlines() if "its peer is gone" in line]
    assert ["suppressed=0", "suppressed=1"] == [line.split()[-1] for line in told]  # both of them


# A reader who reads nothing

SMALL = 4096  # bytes that a reader's machine takes unread, or twice as many

LONG = 2_000_000  # characters: many times what all buffers on the way hold
ROOM = 3_000_000

# Several times what a peer may be silent for.
SIPPING_SECONDS = 4 * DEAD_SECONDS

STALL_SECONDS = 2
# Signs of life, of which there are at most two a heartbeat, for longer than that.
STALLED_BEATS = int(2 * STALL_SECONDS / HEARTBEAT_SECONDS) + 1

# A reader that was cut can have been sent this much at the most: an event or two, the socket's
# buffer, and what was on its way to one who wants next to nothing.
MOST_CHARS = 300_000


def long_answer(upstream: ScriptedUpstream) -> str:
    """A live answer of some megabytes, sent in one go and not finished."""
    text = "".join(f"{n:07} " for n in range(LONG // 8))
    upstream.tokens(*(text[start : start + 4000] for start in range(0, LONG, 4000)))
    return text


async def idler(connection: Connection, method: str, path: str, body: object = None) -> Reader:
    """A client that sends a question, and then reads nothing."""
    reader = await Reader.on(connection, method, path, body)
    reader.writer.transport.pause_reading()
    return reader


async def small_connection(server: Launched) -> Connection:
    """A connection from a machine that takes next to nothing unless it is read."""
    return await connected(socket.socket(), server, SMALL)


async def left_to_read(reader: Reader) -> str:
    """What an idler who was cut can still read."""
    reader.writer.transport.resume_reading()
    with suppress(asyncio.IncompleteReadError, ConnectionResetError):
        while await reader.next() is not None:
            pass
        pytest.fail("it was not cut")
    return reader.so_far


async def read_to(reader: Reader, position: int) -> None:
    """`Reader.text` would compare the whole text again and again."""
    while (seen := await reader.next()) is not None:
        if seen.id == str(position):
            return
    pytest.fail("over too early")


@pytest.mark.gen_test(timeout=60)
async def test_who_reads_nothing_is_cut_and_the_upstream_let_go(
    fleet: Fleet, upstream: ScriptedUpstream
) -> None:
    server = await fleet.serve(reader_stall_seconds=STALL_SECONDS, max_answer_chars=ROOM)
    text = long_answer(upstream)
    reader = await idler(await small_connection(server), *CHAT, QUESTION)

    await upstream.closed.wait()
    received = await left_to_read(reader)
    assert text.startswith(received)
    assert MOST_CHARS > len(received)
    kept = await kept_answer(server, conversation(reader))
    assert ("abandoned", text) == (kept["status"], kept["blocks"][0]["text"])


@pytest.mark.gen_test(timeout=60)
async def test_who_reads_nothing_takes_nothing_from_the_other_readers(
    fleet: Fleet, upstream: ScriptedUpstream
) -> None:
    server = await fleet.serve(reader_stall_seconds=STALL_SECONDS, max_answer_chars=ROOM)
    text = long_answer(upstream)
    reader = await Reader.ask(server.url)
    await reader.start()
    idlers = [await idler(await small_connection(server), "GET", events(reader)) for _ in range(3)]
    await read_to(reader, LONG)
    await reader.next(until_beats=reader.beats + STALLED_BEATS)
    for each in idlers:
        received = await left_to_read(each)
        assert text.startswith(received)
        assert MOST_CHARS > len(received)
    upstream.tokens("the end")
    upstream.finish()

    assert "complete" == (await reader.end())["status"]
    again = await Reader.come_back(server.url, reader.answer_id)
    assert "complete" == (await again.end())["status"]
    assert text + "the end" == reader.so_far == again.so_far


@pytest.mark.gen_test(timeout=60)
async def test_who_reads_nothing_is_cut_where_the_kernel_counts_no_seconds(
    fleet: Fleet, upstream: ScriptedUpstream
) -> None:
    # To a TCP reader the kernel may lose its patience first.
    with TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{folder}/headrace")
        listening.listen()
        server = await fleet.serve(
            listening=listening, reader_stall_seconds=STALL_SECONDS, max_answer_chars=ROOM
        )
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(f"{folder}/headrace")
    long_answer(upstream)
    await idler(await Connection.open("http://localhost", sock), *CHAT, QUESTION)

    await upstream.closed.wait()
    assert "connection cut, its peer accepts no data" in fleet.log(server)


async def sipped(server: Launched, path: str, receive_buffer: int, bytes_a_second: int) -> bytes:
    """All that `path` answers with, of which little is taken for a while, and the rest at once."""
    loop, received = asyncio.get_running_loop(), b""
    with socket.socket() as sock:
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        parts = urlsplit(server.url)
        sock.setblocking(False)
        await loop.sock_connect(sock, (parts.hostname, parts.port))
        head = f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n"
        await loop.sock_sendall(sock, head.encode())
        until = loop.time() + SIPPING_SECONDS
        while loop.time() < until:
            received += await loop.sock_recv(sock, bytes_a_second // 4)
            await asyncio.sleep(0.25)
        while some := await loop.sock_recv(sock, 2**20):
            received += some
    return received


@pytest.mark.gen_test(timeout=120)
async def test_slow_but_steady_readers_stay(fleet: Fleet, upstream: ScriptedUpstream) -> None:
    # By the kernel's own clock some of them are absent: it counts while their windows are shut.
    server = await fleet.serve(
        reader_dead_seconds=DEAD_SECONDS, reader_stall_seconds=60, max_answer_chars=ROOM
    )
    text = long_answer(upstream)
    reader = await Reader.ask(server.url)
    await read_to(reader, LONG)
    upstream.finish()
    await reader.end()

    all_received = await asyncio.gather(
        *(
            sipped(server, events(reader), receive_buffer, bytes_a_second)
            for receive_buffer in (SMALL, 32_768, 0)
            for bytes_a_second in (500, 2000, 8000)
        )
    )

    for received in all_received:
        assert text == text_in(received)


def text_in(response: bytes) -> str:
    """Of the events in a whole response; the last one has to be the end."""
    body, start = b"", response.index(b"\r\n\r\n") + 4
    while (line_end := response.index(b"\r\n", start)) > 0 and response[start:line_end] != b"0":
        size = int(response[start:line_end], 16)
        body += response[line_end + 2 : line_end + 2 + size]
        start = line_end + 2 + size + 2
    events = [
        dict(line.split(": ", 1) for line in event.splitlines() if not line.startswith(":"))
        for event in body.decode().split("\n\n")
    ]
    assert ["end", None] == [event.get("event") for event in events[-2:]]
    deltas = [json.loads(event["data"]) for event in events if event.get("event") == "delta"]
    return "".join(delta["text"] for delta in deltas)


@pytest.mark.gen_test(timeout=60)
async def test_who_reads_nothing_for_a_while_still_gets_every_byte(
    fleet: Fleet, upstream: ScriptedUpstream
) -> None:
    server = await fleet.serve(reader_stall_seconds=30, max_answer_chars=ROOM)
    text = long_answer(upstream)
    reader = await Reader.ask(server.url)
    await reader.start()
    napping = await idler(await small_connection(server), "GET", events(reader))
    await read_to(reader, LONG)
    await reader.next(until_beats=reader.beats + 4)  # the sweep looks at them several times
    napping.writer.transport.resume_reading()
    upstream.finish()

    assert await reader.end() == await napping.end()
    assert text == napping.so_far
