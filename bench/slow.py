"""How long ordinary requests take while three hundred slow clients are there: slowhttptest's.

    slow.py [--seconds 20]     p50 and p99 without them, and then beside each of its three ways

Debian's package `slowhttptest` has to be there. The requests are one after the other, on a
connection that is kept and on new ones in turn.
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
import time

from run import Bench, benched

_SLOW = 300
_WAYS = {
    "nobody": None,
    "heads that do not end": ["-H"],
    "bodies that trickle": ["-B", "-t", "POST", "-s", "8192"],
    "readers of a few bytes": ["-X", "-w", "1", "-y", "2", "-n", "1", "-z", "1", "-k", "3"],
}
_REQUEST = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n"  # it asks the store, too


async def timed(bench: Bench, until: float) -> list[float]:
    """How many milliseconds each request took, until the clock says so."""
    took = []
    kept = await asyncio.open_connection("127.0.0.1", bench.port)
    while time.monotonic() < until:
        began = time.monotonic()
        new = await asyncio.open_connection("127.0.0.1", bench.port)
        for reader, writer in (new, kept):
            writer.write(_REQUEST)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            await reader.readexactly(length)
            took.append(1000 * (time.monotonic() - began))
            began = time.monotonic()
        new[1].close()
        await asyncio.sleep(0.005)
    kept[1].close()
    return took


async def slow_clients(command: list[str], folder: str) -> None:
    """Keep them coming until cancelled: those that the server has hung up on end their program."""
    while True:
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.DEVNULL, cwd=folder
        )
        try:
            await process.wait()
        except asyncio.CancelledError:
            process.terminate()
            await process.wait()
            raise


async def main() -> None:
    """Every way, each on a server of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=20)
    options = parser.parse_args()
    program = shutil.which("slowhttptest")
    if program is None:
        sys.exit("slowhttptest is not installed")
    for name, way in _WAYS.items():
        with tempfile.TemporaryDirectory() as folder:
            async with benched(None) as (bench,):
                slow = None
                if way is not None:
                    command = [program, *way, "-c", str(_SLOW), "-r", "300", "-i", "1", "-x", "24"]
                    command += ["-l", str(options.seconds + 5), "-p", "3"]
                    command += ["-u", f"http://127.0.0.1:{bench.port}/api/v1/chat"]
                    slow = asyncio.create_task(slow_clients(command, folder))
                    await asyncio.sleep(3)  # until all of them are there
                before = bench.descriptors()
                took = sorted(await timed(bench, time.monotonic() + options.seconds))
                if slow is not None:
                    slow.cancel()
                    await asyncio.wait([slow])
        p50, p99 = took[len(took) // 2], took[len(took) * 99 // 100]
        print(
            f"beside {name}: {len(took)} requests, p50 {p50:.1f} ms, p99 {p99:.1f} ms, "
            f"most {took[-1]:.1f} ms, {before} descriptors"
        )


if __name__ == "__main__":
    asyncio.run(main())
