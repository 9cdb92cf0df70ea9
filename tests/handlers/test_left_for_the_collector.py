"""What a reader that disconnects leaves behind: nothing that waits for the garbage collector."""

import gc
import socket
import struct

import pytest

from app.server import Server
from relay.answer import Answer
from tests.readers import Reader
from tests.upstreams import ScriptedUpstream


def answers() -> int:
    """How many answers are in memory. Others' weak proxies among the objects take no isinstance."""
    return sum(type(each) is Answer for each in gc.get_objects())


@pytest.mark.gen_test
async def test_a_reader_that_is_gone_when_it_is_written_to_leaves_no_answer_in_memory(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("Hel")
    reader = await Reader.ask(headrace.url, "hi")
    await reader.text("Hel")
    gc.collect()
    assert 1 == answers()
    gc.disable()
    try:
        # In this order: the server reads the token before it notices the reset.
        upstream.tokens("lo")
        client = reader.writer.get_extra_info("socket")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        reader.writer.transport.abort()
        await upstream.closed.wait()
        await headrace.open_requests.wait_for_none(timeout=5)
        await headrace.relay.idle()

        assert 0 == answers()
    finally:
        gc.enable()
