"""An upstream that sends too much, or something else: the answer ends, and the call with it."""

import asyncio
import gzip
import json
from typing import Any

import pytest

from tests.readers import Reader
from tests.serving import Serving
from tests.steps import until
from tests.upstreams import ScriptedUpstream

_BOMB = gzip.compress(b"data: " + b"x" * 20_000_000 + b"\n\n")


async def ended(reader: Reader) -> tuple[str, str]:
    """The status and the code that the answer ends with."""
    end = await reader.end()
    return end["status"], (end.get("error") or {"code": "-"})["code"]


@pytest.mark.slow
@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "gzip, identity", "gzip, br"])
@pytest.mark.gen_test
async def test_what_comes_compressed_is_not_inflated_without_bound(
    serve: Serving, providers: Any, upstream: ScriptedUpstream, coding: str
) -> None:
    server = await serve.start(providers=providers)
    upstream.fail(200, _BOMB, Content_Encoding=coding, Content_Type="text/event-stream")
    reader = await Reader.ask(server.url)
    assert ("failed", "provider_bad_response") == await ended(reader)
    assert "identity" == (await upstream.request()).headers["Accept-Encoding"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "piece",
    [
        b"x" * 65_536,
        b"data: " + b"x" * 65_536,
        b"data: x\n" * 8_192,
        b"{" * 65_536,
        b" " * 65_536,
        b": " + b"x" * 65_536,
    ],
)
@pytest.mark.gen_test
async def test_a_line_or_an_event_without_an_end_is_cut_off(
    serve: Serving, providers: Any, upstream: ScriptedUpstream, piece: bytes
) -> None:
    server = await serve.start(providers=providers)
    reader = await Reader.ask(server.url)
    request = await upstream.request()
    transport = request.connection.transport
    sent = 0
    while request.open:
        upstream.raw(piece)
        sent += len(piece)
        assert sent < 64_000_000  # taken by us and by buffers in between
        await asyncio.sleep(0)
        await until(lambda: transport.get_write_buffer_size() == 0 or not request.open)
    status, code = await ended(reader)
    assert "failed" == status
    assert code in ("provider_bad_response", "stream_broken")


@pytest.mark.gen_test
async def test_a_stream_without_an_end_is_cut_off_and_kept_so_far(
    serve: Serving, providers: Any, upstream: ScriptedUpstream
) -> None:
    server = await serve.start(providers=providers, relay={"max_answer_chars": 5_000})
    for _ in range(60):
        upstream.tokens("x" * 100)
    reader = await Reader.ask(server.url)
    assert ("failed", "answer_too_long") == await ended(reader)
    assert 5_000 == len(reader.so_far)
    await upstream.closed.wait()


@pytest.mark.slow
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.gen_test
async def test_another_host_is_not_asked(
    serve: Serving, providers: Any, upstream: ScriptedUpstream, status: int
) -> None:
    server = await serve.start(providers=providers)
    upstream.fail(status, b"", Location=f"{upstream.url.replace('127.0.0.1', 'localhost')}/v1/x")
    reader = await Reader.ask(server.url)
    assert "failed" == (await ended(reader))[0]
    assert 1 == len(upstream.requests)


@pytest.mark.gen_test
async def test_its_words_reach_nobody(
    serve: Serving, providers: Any, upstream: ScriptedUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    server = await serve.start(providers=providers)
    upstream.fail(400, {"error": {"message": "canary", "code": "canary\nERROR forged"}})
    reader = await Reader.ask(server.url)
    end = await reader.end()
    assert "canary" not in json.dumps(end)
    await server.relay.idle()
    assert "canary" not in caplog.text
