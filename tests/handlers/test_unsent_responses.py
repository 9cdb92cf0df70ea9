"""Responses that nobody takes: what each of them holds, and what all of them may."""

import fcntl
import socket
import struct
import termios
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from typing import Any

import pytest

from app.server import Server
from handlers import page
from handlers.page import BuiltFile
from model.blocks import ImageBlock
from relay.unsent_budget import FREE_BYTES
from tests.auth_servers import AuthServers
from tests.faults import FaultyStorage
from tests.readers import Reader, call
from tests.serving import Serving
from tests.steps import JSON, post, sending, until
from tests.storage.samples import begun, ending
from tests.upstreams import ScriptedUpstream

# What a write has around its events: the response's head, or a chunk's length.
FRAME = 1000

# A socket's send buffer is given 32 KiB, which the kernel doubles.
KERNEL = 2 * 32 * 1024


class SilentClients:
    """Clients that ask and take nothing."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._open = ExitStack()
        self.clients: list[socket.socket] = []

    def ask(self, path: str, times: int = 1, **headers: str) -> None:
        for _ in range(times):
            client = self._open.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", int(self.server.url.rpartition(":")[2])))
            lines = "".join(f"{name.replace('_', '-')}: {it}\r\n" for name, it in headers.items())
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n".encode())
            self.clients.append(client)

    async def all_wait(self) -> None:
        """Return when the server has more for each of them than their kernels take."""
        await until(
            lambda: (
                len(self.streams) == len(self.clients)
                and all(len(stream._write_buffer) > 0 for stream in self.streams)
            )
        )

    @property
    def held(self) -> int:
        """The most that the server holds for one of them."""
        return max(len(stream._write_buffer) for stream in self.streams)

    @property
    def in_kernel(self) -> int:
        """The most that the kernel holds for one of them on the server's side."""
        return max(
            struct.unpack("i", fcntl.ioctl(stream.socket, termios.TIOCOUTQ, b"\0" * 4))[0]
            for stream in self.streams
        )

    @property
    def streams(self) -> list[Any]:
        return list(self.server.acceptor.open)

    async def leave(self) -> None:
        self._open.close()
        self.clients.clear()
        await until(lambda: not self.streams)


@asynccontextmanager
async def silent_clients(server: Server) -> AsyncIterator[SilentClients]:
    clients = SilentClients(server)
    try:
        yield clients
    finally:
        await clients.leave()


async def answered(
    server: Server, upstream: ScriptedUpstream, text: str, **headers: str
) -> tuple[str, str]:
    """The ids of a conversation, and of its answer, which is `text` ten times."""
    upstream.tokens(*[text] * 10)
    upstream.finish()
    asked = await call(
        server.url, "POST", "/api/v1/chat", {"content": "q"}, headers={**JSON, **headers}
    )
    return asked.body["conversation_id"], asked.body["id"]


@pytest.fixture
def server(io_loop: Any, serve: Serving, providers: Any, store: FaultyStorage) -> Server:
    server: Server = io_loop.run_sync(lambda: serve.start(providers=providers))
    return server


# Streams


@pytest.mark.slow
@pytest.mark.parametrize("letter", ["x", "😀", "\x01", "\u2028"], ids=["x", "emoji", "nul", "2028"])
@pytest.mark.gen_test
async def test_readers_of_an_ended_answer_share_its_text_and_hold_one_write_each(
    server: Server, upstream: ScriptedUpstream, store: FaultyStorage, letter: str
) -> None:
    _, answer_id = await answered(server, upstream, letter * 100_000)
    store.calls.clear()

    async with silent_clients(server) as clients:
        clients.ask(f"/api/v1/answers/{answer_id}/events", times=50)
        await clients.all_wait()

        assert (1, 49) == (store.calls.count("message"), store.calls.count("answer_status"))
        assert clients.held <= FREE_BYTES + FRAME
        assert clients.in_kernel <= KERNEL
        assert server.relay.unsent_budget.held <= 4 * 1_000_000 + FRAME

    await until(lambda: server.event_streams.open_count == 0)
    assert 0 == server.relay.unsent_budget.held
    whole = await Reader.come_back(server.url, answer_id)
    assert "complete" == (await whole.end())["status"]
    assert letter * 1_000_000 == whole.so_far


@pytest.mark.gen_test
async def test_readers_of_a_live_answer_hold_one_write_each(
    server: Server, upstream: ScriptedUpstream
) -> None:
    upstream.tokens(*["\x01" * 90_000] * 10)
    reader = await Reader.ask(server.url)
    await reader.text("\x01" * 900_000)

    async with silent_clients(server) as clients:
        clients.ask(f"/api/v1/answers/{reader.answer_id}/events", times=20)
        await until(lambda: server.event_streams.open_count == 21)
        await until(lambda: sum(len(s._write_buffer) > 0 for s in clients.streams) == 20)

        assert clients.held <= FREE_BYTES + FRAME
        assert 0 == server.relay.unsent_budget.held
        reader.close()


@pytest.mark.gen_test
async def test_an_answer_that_ends_under_its_readers_counts_and_is_shared_with_who_comes_then(
    server: Server, upstream: ScriptedUpstream, store: FaultyStorage
) -> None:
    upstream.tokens(*["x" * 90_000] * 10)
    reader = await Reader.ask(server.url)
    await reader.text("x" * 900_000)

    async with silent_clients(server) as clients:
        path = f"/api/v1/answers/{reader.answer_id}/events"
        clients.ask(path, times=5)
        await until(lambda: server.event_streams.open_count == 6)
        assert 0 == server.relay.unsent_budget.held
        upstream.finish()
        await reader.end()
        reader.close()
        store.calls.clear()

        clients.ask(path, times=5)
        await clients.all_wait()

        assert (0, 5) == (store.calls.count("message"), store.calls.count("answer_status"))
        assert 900_000 - FREE_BYTES < server.relay.unsent_budget.held < 910_000

    await until(lambda: server.relay.unsent_budget.held == 0)


@pytest.mark.slow
@pytest.mark.parametrize("live", [True, False], ids=["live", "ended"])
@pytest.mark.gen_test
async def test_a_reset_is_made_as_it_is_read(
    server: Server, upstream: ScriptedUpstream, live: bool
) -> None:
    upstream.tokens(*["\x01" * 90_000] * 10)
    reader = await Reader.ask(server.url, on_disconnect="finish")
    await reader.text("\x01" * 900_000)
    if not live:
        upstream.finish()
        await reader.end()

    async with silent_clients(server) as clients:
        path = f"/api/v1/answers/{reader.answer_id}/events"
        clients.ask(path, times=20, Last_Event_ID="999999999")
        await until(lambda: sum(len(s._write_buffer) > 0 for s in clients.streams) == 20)
        assert clients.held <= FREE_BYTES + FRAME
        assert server.relay.unsent_budget.held <= 1_000_000

        ahead = await Reader.come_back(server.url, reader.answer_id, "999999999")
        await ahead.start()
        reset = await ahead.next()
        assert reset is not None
        assert ("reset", "900000") == (reset.event, reset.id)
        assert [{"type": "text", "text": "\x01" * 900_000}] == reset.data["blocks"]
        ahead.close()
        reader.close()
        upstream.finish()


@pytest.mark.gen_test
async def test_a_picture_that_comes_as_one_event_is_written_in_pieces_and_counted(
    serve: Serving, store: FaultyStorage
) -> None:
    server = await serve.start(limits={"max_unsent_bytes": 40_000_000})
    assert store.wrapped is not None
    answer = await begun(store.wrapped, "local")
    picture = ImageBlock(url="data:image/png;base64," + "x" * 1_000_000)
    await store.wrapped.end_answer(answer.id, store.wrapped.process, ending(picture))
    path = f"/api/v1/answers/{answer.id}/events"

    async with silent_clients(server) as clients:
        clients.ask(path, times=4)  # and the record is the fifth of a user's five megabytes
        await clients.all_wait()
        assert clients.held <= FREE_BYTES + FRAME
        assert 4_500_000 < server.relay.unsent_budget.held < 5_000_000

        late = await Reader.come_back(server.url, answer.id)
        assert await late.start()
        assert await late.next() is None  # no `end`: it is to come back
        assert 1000 <= late.retries[-1] <= 5000
        late.close()

    await until(lambda: server.relay.unsent_budget.held == 0)
    whole = await Reader.come_back(server.url, answer.id)
    await whole.end()
    assert picture.url == whole.seen[1].data["block"]["url"]


@pytest.mark.gen_test
async def test_a_stream_holds_nothing_of_its_question(
    server: Server, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("a")
    body = b'{"content": "%b", "system": "%b"}' % (b"x" * 200_000, "😀".encode() * 100_000)
    head = post(body).removesuffix(b"\r\n\r\n" + body)
    asking = head + b"\r\nIdempotency-Key: k\r\n\r\n" + body
    first, writer = await sending(server, asking)
    assert b"event: start" in await first.readuntil(b"event: start")

    tracemalloc.start()
    try:
        others = [await sending(server, asking) for _ in range(20)]
        for stream, _ in others:
            await stream.readuntil(b'{"text":"a"}')
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert 21 == server.event_streams.open_count
    assert held < len(others) * len(body) / 4
    for _, other in [*others, (first, writer)]:
        other.close()


# Whole responses


@pytest.mark.gen_test
async def test_long_pages_that_nobody_takes_are_refused_past_a_users_part_of_what_there_is(
    serve: Serving, providers: Any, upstream: ScriptedUpstream
) -> None:
    limits = {"max_unsent_bytes": 16_000_000}
    server = await serve.start(providers=providers, limits=limits)
    conversation_id, _ = await answered(server, upstream, "x" * 90_000)
    path = f"/api/v1/conversations/{conversation_id}/messages"

    async with silent_clients(server) as clients:
        clients.ask(path, times=2)
        await clients.all_wait()
        held = server.relay.unsent_budget.held
        refused = await call(server.url, "GET", path)
        short = await call(server.url, "GET", "/api/v1/conversations")

        assert 1_800_000 - 2 * FREE_BYTES < held < 1_810_000
        assert (429, "too_much_unread") == (refused.status, refused.body["error"]["code"])
        assert "2" == refused.headers["retry-after"]
        assert held == server.relay.unsent_budget.held
        assert 200 == short.status

    await until(lambda: server.relay.unsent_budget.held == 0)
    again = await call(server.url, "GET", path)
    assert 900_000 == len(again.body["data"][-1]["blocks"][0]["text"])
    assert 0 == server.relay.unsent_budget.held


@pytest.mark.gen_test
async def test_an_answer_for_which_there_is_no_room_is_told_to_be_asked_for_again(
    serve: Serving, providers: Any, upstream: ScriptedUpstream
) -> None:
    limits = {"max_unsent_bytes": 16_000_000}
    server = await serve.start(providers=providers, limits=limits)
    conversation_id, answer_id = await answered(server, upstream, "x" * 90_000)

    async with silent_clients(server) as clients:
        clients.ask(f"/api/v1/conversations/{conversation_id}/messages", times=2)
        await clients.all_wait()
        reader = await Reader.come_back(server.url, answer_id)

        assert (200, None) == (reader.status, await reader.next())
        assert 1000 <= reader.retries[0] <= 5000
        reader.close()

    await until(lambda: server.relay.unsent_budget.held == 0)
    reader = await Reader.come_back(server.url, answer_id)
    assert "complete" == (await reader.end())["status"]


@pytest.mark.slow
@pytest.mark.gen_test
async def test_users_who_read_nothing_keep_others_from_long_pages_only_all_together(
    auth_servers: AuthServers, providers: Any, upstream: ScriptedUpstream
) -> None:
    server = await auth_servers.open(providers=providers, limits={"max_unsent_bytes": 3_000_000})
    upstream.tokens(*["x" * 90_000] * 10)
    upstream.finish()
    paths = []
    for name in ("alice", "bob", "carol", "dave"):
        user = await auth_servers.create_key(name)
        asked = await call(
            server.url, "POST", "/api/v1/chat", {"content": "q"}, headers=JSON | user.headers
        )
        path = f"/api/v1/conversations/{asked.body['conversation_id']}/messages"
        paths.append((path, user.headers))

    async with silent_clients(server) as clients:
        for path, headers in paths[:3]:
            clients.ask(path, **headers)
        await clients.all_wait()
        path, headers = paths[3]
        refused = await call(server.url, "GET", path, headers=headers)
        short = await call(server.url, "GET", "/api/v1/conversations", headers=headers)

        assert (503, "overloaded") == (refused.status, refused.body["error"]["code"])
        assert "2" == refused.headers["retry-after"]
        assert 200 == short.status


@pytest.mark.slow
@pytest.mark.gen_test
async def test_the_pages_own_files_are_held_a_piece_at_a_time(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = BuiltFile("text/javascript", b"x" * 3_000_000, None)
    monkeypatch.setattr(page, "built_files", lambda _: {"assets/a.js": script})

    async with silent_clients(server) as clients:
        clients.ask("/assets/a.js", times=20)
        await clients.all_wait()
        assert clients.held <= FREE_BYTES + FRAME

    got = await call(server.url, "GET", "/assets/a.js")
    assert script.body == got.body
    ask = b"HEAD /assets/a.js HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    stream, writer = await sending(server, ask)
    head = await stream.read()
    assert b"Content-Length: 3000000\r\n" in head
    assert head.endswith(b"\r\n\r\n")
    writer.close()
