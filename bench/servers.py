"""Starts an upstream and servers for a benchmark, and reads what a server's process uses."""

import asyncio
import os
import sys
import tempfile
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import processes

HERE = Path(__file__).parent


class BenchServer(msgspec.Struct):
    """A started server: its port and its upstream's, its process, and the file that it logs to."""

    port: int
    upstream_port: int
    process: asyncio.subprocess.Process
    log: Path

    @property
    def pid(self) -> int:
        """The id of its process."""
        return self.process.pid

    def upstream_stats(self) -> dict[str, object]:
        """The upstream's `GET /stats`."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.upstream_port}/stats") as response:
            stats: dict[str, object] = msgspec.json.decode(response.read())
        return stats

    def metrics(self) -> bytes:
        """The server's `GET /metrics`."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics") as response:
            metrics: bytes = response.read()
        return metrics

    def cpu_seconds(self) -> float:
        """CPU time that the server has used so far, user and system."""
        return processes.cpu_seconds(self.pid)

    def memory_kb(self) -> int:
        """The server's proportional set size."""
        return processes.memory_kb(self.pid)

    def descriptors(self) -> int:
        """How many files and sockets the server has open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))


@asynccontextmanager
async def started_servers(
    storage: str | None = None, count: int = 1, program: Path = HERE.parent / "server.py"
) -> AsyncIterator[list[BenchServer]]:
    """Start an upstream and `count` servers, and end them by their process ids.

    `storage` is a database's URL that they share; a fresh SQLite file by default. `program` stands
    for server.py.
    """
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        started = [await _start(str(HERE / "upstream.py"), log=log)]
        try:
            upstream_port = int(await _first_line(started[0]))
            settings = _write_settings(folder, storage, upstream_port)
            servers = []
            for _ in range(count):
                process = await _start(str(program), "--config", settings, log=log)
                started.insert(0, process)
                port = int((await _first_line(process)).rpartition(":")[2])
                servers.append(BenchServer(port, upstream_port, process, log))
            yield servers
        finally:
            for process in started:
                process.terminate()
                await process.wait()


def _write_settings(folder: str, storage: str | None, upstream_port: int) -> str:
    """Write settings with the upstream as the only provider, and return the file's name."""
    file = Path(folder, "headrace.toml")
    file.write_text(
        f'port = 0\n[storage]\nurl = "{storage or f"sqlite:///{folder}/bench.db"}"\n'
        '[providers.bench]\ndialect = "openai"\nmodels = ["paced-100-20"]\n'
        f'base_url = "http://127.0.0.1:{upstream_port}/v1"\n'
        "[limits]\nanswers = 1_000_000\nanswers_per_user = 0\nquestions_per_minute = 0\n"
        "kept_bytes_per_user = 0\nrequests_per_user = 0\nstreams_per_user = 0\n"
    )
    return str(file)


async def _start(*arguments: str, log: Path) -> asyncio.subprocess.Process:
    with log.open("ab") as errors:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
        )


async def _first_line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(30):
        return (await process.stdout.readline()).decode().strip()
