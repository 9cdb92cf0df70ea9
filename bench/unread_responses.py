"""Measures the memory that a server needs for clients who send requests and read no responses.

    unread_responses.py                        each case, on a server of its own
    unread_responses.py ended --readers 200

live       the events of one live answer of a million characters
ended      the same of an answer that has ended
emoji      the same with an emoji in it, for which Python needs four bytes for each character
separate   the events of as many ended answers as there are readers, of 100,000 characters each
pages      the page of messages that contains such an answer
"""

import argparse
import asyncio
import resource
import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from readers import Reader, ask
from servers import BenchServer, started_servers

_MODELS = {"live": "held", "ended": "long", "emoji": "emoji", "pages": "long"}
_TOKENS = 1000  # of a thousand characters each


class UnreadRequests:
    """Requests whose responses are never read, except for a peek at how each begins."""

    def __init__(self, server: BenchServer) -> None:
        self._server = server
        self._open = ExitStack()
        self._sockets: list[socket.socket] = []

    def send(self, path: str) -> None:
        """Send a request on a new connection."""
        connection = self._open.enter_context(socket.socket())
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", self._server.port))
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        self._sockets.append(connection)

    def answered(self) -> int:
        """How many have received the beginning of a response."""
        return sum(self._peek(each) != b"" for each in self._sockets)

    def served(self) -> int:
        """How many of the responses are not refusals."""
        beginnings = (self._peek(each) for each in self._sockets)
        return sum(b"event: start" in each or b'{"data":' in each for each in beginnings)

    def _peek(self, connection: socket.socket) -> bytes:
        try:
            return connection.recv(2000, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        """Close all connections."""
        self._open.close()


async def generated(server: BenchServer, model: str, tag: str) -> Reader:
    """Have an answer generated, and read it as far as it goes."""
    reader = await ask(server.port, model, tag)
    async with asyncio.timeout(60):
        while sum(map(len, reader.received)) < 1000 * int(model.split("-")[1]):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        if not model.startswith("held"):
            await reader.closed.wait()
    return reader


async def settled(measure: Callable[[], int]) -> int:
    """Measure until the value has hardly changed for two seconds, and return it."""
    seen: list[int] = []
    while len(seen) < 10 or max(seen[-10:]) - min(seen[-10:]) > 500:
        seen.append(measure())
        await asyncio.sleep(0.2)
    return seen[-1]


async def unread(server: BenchServer, case: str, count: int) -> None:
    """Send `count` requests, for one resource or each for its own, and measure the memory."""
    resources = count if case == "separate" else 1
    paths = [await _path(server, case, number) for number in range(resources)]
    before = await settled(server.memory_kb)
    _reset_peak(server)
    requests = UnreadRequests(server)
    for number in range(count):
        requests.send(paths[number % len(paths)])
        await asyncio.sleep(0)
    async with asyncio.timeout(300):
        while requests.answered() < count:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    held = await settled(server.memory_kb) - before
    print(f"unread: {case}, {count} requests, {requests.served()} of them served")
    print(f"  held                      {held / 1000:.0f} MB, {held / count:.0f} KB each")
    print(f"  at most                   {(_peak_kb(server) - before) / 1000:.0f} MB")
    requests.close()


async def _path(server: BenchServer, case: str, number: int) -> str:
    """Have an answer generated, and return the path of its events or of the page with it."""
    model = f"long-{_TOKENS // 10}-0" if case == "separate" else f"{_MODELS[case]}-{_TOKENS}-0"
    reader = await generated(server, model, f"{case}{number}")
    if case == "pages":
        return f"/api/v1/conversations/{reader.answer_id.partition('-')[0]}/messages"
    return f"/api/v1/answers/{reader.answer_id}/events"


def _reset_peak(server: BenchServer) -> None:
    Path(f"/proc/{server.pid}/clear_refs").write_text("5")


def _peak_kb(server: BenchServer) -> int:
    lines = Path(f"/proc/{server.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


async def main() -> None:
    """Measure the cases that are named, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", default=[*_MODELS, "separate"])
    parser.add_argument("--readers", type=int, default=1000)
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    for case in options.cases:
        async with started_servers() as (server,):
            readers = min(200, options.readers) if case == "pages" else options.readers
            await unread(server, case, readers)


if __name__ == "__main__":
    asyncio.run(main())
