"""What a server holds for readers who ask and take nothing: memory, and the most it was meanwhile.

unread.py                  each part, on a server of its own
unread.py ended --readers 200

live       of an answer of a million characters that is being written
ended      of the same, ended
emoji      of the same with an emoji in it: Python keeps all of it in four bytes a character
apart      of as many ended answers as there are readers, of 100,000 characters each
pages      of the list of messages that has such an answer in it
"""

import argparse
import asyncio
import resource
import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from readers import Reader, open_reader
from run import Bench, benched

_KINDS = {"live": "held", "ended": "long", "emoji": "emoji", "pages": "long"}
_TOKENS = 1000  # of a thousand characters each


class Silent:
    """Sockets that ask, and are never read but to see how a response begins."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._open = ExitStack()
        self._sockets: list[socket.socket] = []

    def ask(self, path: str) -> None:
        """One more, on a connection of its own."""
        asking = self._open.enter_context(socket.socket())
        asking.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        asking.connect(("127.0.0.1", self._bench.port))
        asking.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        self._sockets.append(asking)

    def answered(self) -> int:
        """How many have a response, as far as it goes."""
        return sum(self._begins(each) != b"" for each in self._sockets)

    def served(self) -> int:
        """How many of those have something of what they asked for."""
        begins = (self._begins(each) for each in self._sockets)
        return sum(b"event: start" in begun or b'{"data":' in begun for begun in begins)

    def _begins(self, asking: socket.socket) -> bytes:
        try:
            return asking.recv(2000, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return b""

    def leave(self) -> None:
        """Hang up."""
        self._open.close()


async def written(bench: Bench, model: str, tag: str) -> Reader:
    """An answer by that model, read as far as it goes."""
    reader = await open_reader(bench.port, model, tag)
    async with asyncio.timeout(60):
        while sum(map(len, reader.received)) < 1000 * int(model.split("-")[1]):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        if not model.startswith("held"):
            await reader.over.wait()
    return reader


async def still(look: Callable[[], int]) -> int:
    """What is looked at once it has stood still for two seconds."""
    seen: list[int] = []
    while len(seen) < 10 or max(seen[-10:]) - min(seen[-10:]) > 500:
        seen.append(look())
        await asyncio.sleep(0.2)
    return seen[-1]


async def unread(bench: Bench, part: str, count: int) -> None:
    """So many readers of one thing, or of one each."""
    paths = [await _path(bench, part, number) for number in range(count if part == "apart" else 1)]
    before = await still(bench.memory_kb)
    _forget_peak(bench)
    silent = Silent(bench)
    for number in range(count):
        silent.ask(paths[number % len(paths)])
        await asyncio.sleep(0)
    async with asyncio.timeout(300):
        while silent.answered() < count:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    held = await still(bench.memory_kb) - before
    print(f"unread: {part}, {count} who take nothing, {silent.served()} of them served")
    print(f"  held                      {held / 1000:.0f} MB, {held / count:.0f} KB each")
    print(f"  at most                   {(_peak_kb(bench) - before) / 1000:.0f} MB")
    silent.leave()


async def _path(bench: Bench, part: str, number: int) -> str:
    """What to read: the events of an answer that is made for it, or the messages beside it."""
    model = f"long-{_TOKENS // 10}-0" if part == "apart" else f"{_KINDS[part]}-{_TOKENS}-0"
    reader = await written(bench, model, f"{part}{number}")
    if part == "pages":
        return f"/api/v1/conversations/{reader.answer_id.partition('-')[0]}/messages"
    return f"/api/v1/answers/{reader.answer_id}/events"


def _forget_peak(bench: Bench) -> None:
    Path(f"/proc/{bench.pid}/clear_refs").write_text("5")


def _peak_kb(bench: Bench) -> int:
    lines = Path(f"/proc/{bench.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


async def main() -> None:
    """The parts that were named, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=[*_KINDS, "apart"])
    parser.add_argument("--readers", type=int, default=1000)
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    for part in options.parts:
        async with benched(None) as (bench,):
            await unread(
                bench, part, min(200, options.readers) if part == "pages" else options.readers
            )


if __name__ == "__main__":
    asyncio.run(main())
