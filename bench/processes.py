"""Starts processes on a core of their own, reads what they use, and ends them by their ids."""

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def tree(pid: int) -> list[int]:
    """The process and its descendants."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found


def cpu_seconds(pid: int) -> float:
    """CPU time of the process and its descendants so far, user and system."""
    ticks = 0
    for each in tree(pid):
        with suppress(OSError):
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(int(field) for field in fields[11:15])  # with children that have ended
    return ticks / _TICKS


def memory_kb(pid: int) -> int:
    """The proportional set size of the process and its descendants."""
    size = 0
    for each in tree(pid):
        with suppress(OSError):
            for line in Path(f"/proc/{each}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    size += int(line.split()[1])
    return size


def core_busy_seconds(core: int) -> float:
    """How long the core has worked so far, for whomever."""
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith(f"cpu{core} "):
            user, nice, system, _, _, irq, softirq, steal, *_ = map(int, line.split()[1:])
            return (user + nice + system + irq + softirq + steal) / _TICKS
    return 0.0


async def wait_until(condition: Callable[[], object], *, seconds: float = 30) -> None:
    """Wait until `condition` holds of other processes. Raises TimeoutError after so long."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 -- other processes signal no event
            await asyncio.sleep(0.005)


async def start(
    *command: str, core: int, folder: Path, environment: Mapping[str, str] | None = None
) -> asyncio.subprocess.Process:
    """Start a command on this core. Its standard error goes to `log` in the folder."""
    with (folder / "log").open("ab") as log:
        return await asyncio.create_subprocess_exec(
            *command,
            cwd=folder,
            env={**os.environ, **(environment or {})},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )


async def stop(process: asyncio.subprocess.Process) -> None:
    """End the process and its descendants; those that do not go within ten seconds are killed."""
    if process.returncode is not None:
        return
    pids = tree(process.pid)
    process.terminate()
    with suppress(TimeoutError):
        async with asyncio.timeout(10):
            await process.wait()
    for pid in pids:
        if pid != process.pid or process.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    await process.wait()
