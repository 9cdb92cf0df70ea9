"""Growth is written in the call stack that brought it, and readers cannot tell.

A server whose source the test drives, so that nothing happens between a growth and what follows.
"""

import asyncio
import os
import re
import socket
from collections.abc import Callable
from typing import Any

import pytest
from tornado.http1connection import HTTP1Connection
from tornado.ioloop import IOLoop

from app import composition
from app.server import Server
from handlers.streaming import StreamingHandler
from handlers.wires import native
from model.blocks import ProviderData
from model.messages import FinishReason
from providers.sink import Finish
from relay.fan_out import AT_ONCE
from relay.pacing import Pacer
from relay.unsent_budget import FREE_BYTES
from tests.readers import Reader
from tests.relay.scripted_source import ScriptedSource
from tests.serving import Serving
from tests.steps import post, sending

BODY = b'{"content": "q", "on_disconnect": "finish"}'
WARM = "0"  # the token after which a reader is known to wait for the next one


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> ScriptedSource:
    scripted = ScriptedSource()
    monkeypatch.setattr(composition, "build_provider", lambda *_, **__: scripted)
    return scripted


@pytest.fixture
def server(
    io_loop: IOLoop, source: ScriptedSource, serve: Serving, providers: dict[str, dict[str, Any]]
) -> Server:
    started: Server = io_loop.run_sync(lambda: serve.start(providers=providers))
    return started


async def _asked(server: Server, source: ScriptedSource, *, others: int = 0) -> list[Reader]:
    """The reader who asked, and so many others, all of whom have read all there is."""
    reader = await Reader.ask(server.url, on_disconnect="finish")
    await reader.start()
    await source.asked.wait()
    readers = [reader]
    for _other in range(others):
        readers.append(await Reader.come_back(server.url, reader.answer_id, "0"))
        await readers[-1].start()
    source.say(WARM)
    for each in readers:
        await each.text(WARM)
    return readers


def _arrived(reader: Reader) -> bytes:
    """What the kernel has for the reader at this moment."""
    client: socket.socket = reader.writer.get_extra_info("socket")
    with socket.socket(fileno=os.dup(client.fileno())) as other:
        try:
            return other.recv(65_536, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return b""


@pytest.mark.gen_test
async def test_a_token_has_left_when_the_upstreams_callback_returns(
    server: Server, source: ScriptedSource
) -> None:
    (reader,) = await _asked(server, source)

    source.sinks[-1].text("Hel")
    source.sinks[-1].text("lo")
    source.sinks[-1].deliver()
    arrived = _arrived(reader)

    event = b'id: 6\nevent: delta\ndata: {"text":"Hello"}\n\n'
    assert b"%x\r\n%b\r\n" % (len(event), event) == arrived
    source.end()
    assert "complete" == (await reader.end())["status"]


@pytest.mark.gen_test
async def test_a_token_makes_no_call_of_tornados_connection_and_no_callback_of_the_loop(
    server: Server, source: ScriptedSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    (reader,) = await _asked(server, source)
    called = []
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(HTTP1Connection, "write", lambda *_: called.append("write"))
    monkeypatch.setattr(loop, "call_soon", lambda *_, **__: called.append("call_soon"))

    for _token in range(10):
        source.say("x")
    monkeypatch.undo()

    assert [] == called
    source.end()
    await reader.end()
    assert WARM + "x" * 10 == reader.so_far


@pytest.mark.gen_test
async def test_up_to_a_bound_of_readers_are_written_to_at_once_and_the_others_soon(
    server: Server, source: ScriptedSource
) -> None:
    readers = await _asked(server, source, others=AT_ONCE + 4)

    source.say("token")
    at_once = sum(b"token" in _arrived(each) for each in readers)
    source.end()

    assert AT_ONCE == at_once
    for each in readers:
        assert "complete" == (await each.end())["status"]
        assert WARM + "token" == each.so_far


@pytest.mark.gen_test
async def test_an_error_while_a_token_is_written_to_one_reader_concerns_nobody_else(
    server: Server,
    source: ScriptedSource,
    monkeypatch: pytest.MonkeyPatch,
    expect_log: Callable[[str, str], None],
) -> None:
    expect_log("headrace.http", "^request failed")
    asking, other = await _asked(server, source, others=1)
    write = StreamingHandler.write

    def spoiled(handler: StreamingHandler, chunk: bytes) -> None:
        if handler.request.method == "POST":
            raise ZeroDivisionError
        write(handler, chunk)

    monkeypatch.setattr(StreamingHandler, "write", spoiled)
    source.say("a")
    with pytest.raises(asyncio.IncompleteReadError):  # it breaks off, and does not seem to end
        await asking.next()
    source.say("b")
    source.end()

    assert "complete" == (await other.end())["status"]
    assert WARM + "ab" == other.so_far


@pytest.mark.gen_test
async def test_a_reader_whose_socket_is_full_gets_longer_growth_once_it_takes_some(
    server: Server, source: ScriptedSource
) -> None:
    (reader,) = await _asked(server, source)
    (theirs,) = server.acceptor.open
    reader.writer.transport.pause_reading()
    while not theirs.writing():
        source.say("x" * 4000)
        await asyncio.sleep(0)
    waiting = len(theirs._write_buffer)

    for _token in range(1000):
        source.say("y" * 100)
    waiting_later = len(theirs._write_buffer)
    reader.writer.transport.resume_reading()
    source.end()

    assert waiting == waiting_later <= FREE_BYTES
    assert "complete" == (await reader.end())["status"]
    assert "y" * 100_000 == reader.so_far.lstrip(WARM + "x")
    later = [each for each in reader.seen if "y" in each.data.get("text", "")]
    assert len(later) < 20


@pytest.mark.gen_test
async def test_signs_of_life_and_the_end_follow_what_was_pushed(
    source: ScriptedSource, serve: Serving, providers: dict[str, dict[str, Any]]
) -> None:
    server = await serve.start(providers=providers, relay={"heartbeat_seconds": 0.2})
    (reader,) = await _asked(server, source)

    source.say("a")
    await reader.text(WARM + "a")
    assert await reader.next(until_beats=2) is None
    source.say("b")
    source.end()

    assert "complete" == (await reader.end())["status"]
    assert WARM + "ab" == reader.so_far


@pytest.mark.gen_test
async def test_a_flush_of_nothing_does_not_end_the_response(
    server: Server, source: ScriptedSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    (reader,) = await _asked(server, source)
    monkeypatch.setattr(native, "growth", lambda *_: b"")
    source.say("a")
    monkeypatch.undo()

    source.say("b")
    source.end()

    assert "complete" == (await reader.end())["status"]
    assert WARM + "b" == reader.so_far


@pytest.mark.gen_test
async def test_a_reader_that_disconnects_stops_nothing_before_its_connection_is_closed(
    server: Server, source: ScriptedSource
) -> None:
    leaving, other = await _asked(server, source, others=1)
    leaving.writer.transport.abort()

    for _token in range(20):
        source.say("x")
        await asyncio.sleep(0)
    source.end()

    assert "complete" == (await other.end())["status"]
    assert WARM + "x" * 20 == other.so_far
    assert not source.left.is_set()


@pytest.mark.gen_test
async def test_the_end_brings_at_once_what_a_busy_process_holds(
    server: Server, source: ScriptedSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Pacer, "window", 3600.0)
    (reader,) = await _asked(server, source)  # whose first token is not held

    source.say("a")
    source.say("b")
    arrived = _arrived(reader)
    source.end()

    assert b"" == arrived
    assert "complete" == (await reader.end())["status"]
    assert ["0", "ab"] == [each.data["text"] for each in reader.seen if each.event == "delta"]


def _texts(source: ScriptedSource, *texts: str) -> None:
    for text in texts:
        source.say(text)


def _mixed(source: ScriptedSource) -> None:
    sink = source.sinks[-1]
    sink.reasoning("hm")
    sink.deliver()
    sink.text("yes")
    sink.tool_call("id", "search")
    sink.deliver()
    sink.arguments('{"a":')
    sink.arguments("1}")
    sink.deliver()


def _long_event(source: ScriptedSource) -> None:
    sink = source.sinks[-1]
    sink.reasoning("hm")
    sink.data(ProviderData("openai", "m", {"signature": "s" * (2 * FREE_BYTES)}))
    sink.deliver()
    source.say("seen")


CASES: dict[str, Callable[[ScriptedSource], None]] = {
    "nothing": _texts,
    "one token": lambda source: _texts(source, "a"),
    "two tokens": lambda source: _texts(source, "a", "b"),
    "an emoji": lambda source: _texts(source, "👨‍👩‍👧"),
    "line ends": lambda source: _texts(source, "a\u2028b", "\u2029\u0085", "\r\n"),
    "a write": lambda source: _texts(source, "x" * 8192),
    "more than a write": lambda source: _texts(source, "水" * 30_000, "x"),
    "several blocks": _mixed,
    "data longer than a write": _long_event,
    "a tool call": lambda source: source.sinks[-1].tool_call("id", "name"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("mark", [Finish(FinishReason.STOP, "stop"), None])
@pytest.mark.gen_test
async def test_a_response_has_the_bytes_that_tornado_would_send(
    server: Server,
    source: ScriptedSource,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    mark: Finish | None,
) -> None:
    received = []
    for _way in ("ours", "Tornado's"):
        source.asked.clear()
        source.ends.clear()
        stream, writer = await sending(server, post(BODY, connection="close"))
        await source.asked.wait()
        source.say(WARM)
        response = await stream.readuntil(b'{"text":"0"}\n\n\r\n')
        CASES[name](source)
        source.sinks[-1].finish(mark)
        source.ends.set()
        response += await stream.read()
        received.append(_VARYING.sub(b"", response))
        writer.close()
        monkeypatch.setattr(StreamingHandler, "begin_chunks", lambda _: None)

    assert received[0] == received[1]
    assert b"event: end" in received[0]
    assert received[0].endswith(b"\r\n0\r\n\r\n")


# What differs between two answers: ids, times, and the lengths of chunks with these.
_VARYING = re.compile(
    rb'Date: .*|X-Request-Id: .*|"[a-z]+_id":"[^"]*"|"timing":\{[^}]*\}'
    rb"|[0-9a-f]+\r\n(?=id: [0-9]+-end)"
)
