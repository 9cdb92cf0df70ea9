"""Compares Headrace's HTTP client with Tornado's: CPU per chunk and memory per stream.

    client.py                  both clients, each in a process of its own, three times
    client.py ours paced       one measurement in this process, against --port

Chunks arrive one by one (100 streams, 40 ms apart), or faster than they are read (500 streams,
20 ms apart). For the memory, 2,000 streams are held open. All on loopback, without TLS.
"""

import argparse
import asyncio
import gc
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.simple_httpclient import SimpleAsyncHTTPClient

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from http_client.client import HttpClient  # noqa: E402 -- needs the path above

# Number of streams, chunks of each, and milliseconds between chunks.
WORK = {"paced": (100, 150, 40), "busy": (500, 100, 20), "held": (2000, 2, 600_000)}


class Measurement:
    """Measures one client with one kind of work."""

    def __init__(self, client: AsyncHTTPClient, port: int) -> None:
        self._client = client
        self._url = f"http://127.0.0.1:{port}/v1/chat/completions"
        self._calls = 0
        self._expected = 0
        self._all_open = asyncio.Event()  # set when each stream has received its first chunk

    async def run(self, work: str) -> None:
        """Do the work and print its cost."""
        streams, chunks, pause = WORK[work]
        await asyncio.gather(*[self._stream(2, 1, number) for number in range(20)])  # warm up
        gc.collect()
        gc.freeze()  # as the server does after its start
        self._calls, memory, cpu = 0, _memory_kb(), time.process_time()
        self._expected = streams
        fetches = [
            asyncio.ensure_future(self._stream(chunks, pause, number)) for number in range(streams)
        ]
        if work == "held":
            await self._all_open.wait()
            print(f"{(_memory_kb() - memory) / streams:7.1f} KB per open stream", flush=True)
            os._exit(0)  # cancelling would let Tornado's client log 2,000 tracebacks
        else:
            await asyncio.gather(*fetches)
            cpu = 1e6 * (time.process_time() - cpu) / streams / chunks
            print(f"{cpu:7.1f} µs per chunk, {self._calls / streams / chunks:.2f} calls for one")

    async def _stream(self, chunks: int, pause: int, number: int) -> None:
        message = {"role": "user", "content": f"stream{number}"}
        body = json.dumps({"model": f"paced-{chunks}-{pause}", "messages": [message]})
        request = HTTPRequest(
            self._url,
            method="POST",
            body=body,
            connect_timeout=60,
            request_timeout=0,
            decompress_response=False,
            streaming_callback=self._take,
        )
        await self._client.fetch(request)

    def _take(self, chunk: bytes) -> None:
        self._calls += 1
        if self._calls == self._expected:
            self._all_open.set()


def _memory_kb() -> int:
    gc.collect()
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


async def _measure(name: str, work: str, port: int) -> None:
    client: AsyncHTTPClient
    if name == "ours":
        client = HttpClient()
    else:
        client = SimpleAsyncHTTPClient(force_instance=True, max_clients=10_000)
    await Measurement(client, port).run(work)


def _compare() -> None:
    for work in WORK:
        for name in ("ours", "tornado") * 3:
            upstream = subprocess.Popen(
                [sys.executable, str(HERE / "upstream.py")], stdout=subprocess.PIPE, text=True
            )
            assert upstream.stdout is not None
            port = upstream.stdout.readline().strip()
            command = [sys.executable, __file__, name, work, "--port", port]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            print(f"{work:6} {name:8} {done.stdout.strip()}", flush=True)
            upstream.terminate()
            upstream.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", nargs="?", choices=("ours", "tornado"))
    parser.add_argument("work", nargs="?", choices=tuple(WORK))
    parser.add_argument("--port", type=int)
    options = parser.parse_args()
    if options.name is None:
        _compare()
    else:
        asyncio.run(_measure(options.name, options.work, options.port))
