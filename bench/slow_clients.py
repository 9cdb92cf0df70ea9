"""Measures how long ordinary requests take while 300 slow clients are connected.

    slow_clients.py [--seconds 20]     p50 and p99 without slow clients, and with each kind of them

The slow clients are those of Debian's package `slowhttptest`, which has to be installed. The
measured requests follow one another, in turn on a kept connection and on a new one.
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
import time

from servers import BenchServer, started_servers

_SLOW_CLIENTS = 300
# Names of the kinds, and the options that make slowhttptest behave so.
_KINDS = {
    "none": None,
    "request heads that do not end": ["-H"],
    "request bodies that trickle": ["-B", "-t", "POST", "-s", "8192"],
    "responses that are read slowly": ["-X", "-w", "1", "-y", "2", "-n", "1", "-z", "1", "-k", "3"],
}
_REQUEST = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n"  # readiness also queries the store


async def durations_ms(server: BenchServer, until: float) -> list[float]:
    """Send requests until the given time, and return the milliseconds that each took."""
    took = []
    kept = await asyncio.open_connection("127.0.0.1", server.port)
    while time.monotonic() < until:
        began = time.monotonic()
        new = await asyncio.open_connection("127.0.0.1", server.port)
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
    """Run slowhttptest again and again: it exits when the server has disconnected its clients."""
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
    """Measure beside each kind of slow clients, on a server of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=20)
    options = parser.parse_args()
    program = shutil.which("slowhttptest")
    if program is None:
        sys.exit("slowhttptest is not installed")
    for name, kind in _KINDS.items():
        with tempfile.TemporaryDirectory() as folder:
            async with started_servers() as (server,):
                slow = None
                if kind is not None:
                    command = [
                        program,
                        *kind,
                        "-c",
                        str(_SLOW_CLIENTS),
                        "-r",
                        "300",
                        "-i",
                        "1",
                        "-x",
                        "24",
                    ]
                    command += ["-l", str(options.seconds + 5), "-p", "3"]
                    command += ["-u", f"http://127.0.0.1:{server.port}/api/v1/chat"]
                    slow = asyncio.create_task(slow_clients(command, folder))
                    await asyncio.sleep(3)  # until all of them are connected
                before = server.descriptors()
                took = sorted(await durations_ms(server, time.monotonic() + options.seconds))
                if slow is not None:
                    slow.cancel()
                    await asyncio.wait([slow])
        p50, p99 = took[len(took) // 2], took[len(took) * 99 // 100]
        print(
            f"slow clients: {name}; {len(took)} requests, p50 {p50:.1f} ms, p99 {p99:.1f} ms, "
            f"at most {took[-1]:.1f} ms, {before} descriptors"
        )


if __name__ == "__main__":
    asyncio.run(main())
