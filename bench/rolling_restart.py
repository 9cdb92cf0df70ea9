"""Measures how long requests take during a rolling restart.

    rolling_restart.py [--per-second 100] [--rounds 3]      as root

The units of deploy/systemd run in the systemd that the tests boot (tests/systemd_box): two
processes with one socket and one MongoDB. While they are restarted one after the other, new
connections arrive at a fixed rate, whether or not earlier ones were answered, and each requests a
list of conversations.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.deploy.installed import URL, Installed
from tests.mongod import replica_set
from tests.systemd_box.box import booted, inside

_REQUEST = b"GET /api/v1/conversations?limit=1 HTTP/1.1\r\nHost: localhost\r\n\r\n"
_PORT = int(URL.rpartition(":")[2])


async def _request(outcomes: Counter[str], took: list[float]) -> None:
    """Send one request, and record its status and the milliseconds until its response began."""
    began = time.monotonic()
    try:
        stream, writer = await asyncio.open_connection("127.0.0.1", _PORT)
        writer.write(_REQUEST)
        status = await stream.readuntil(b"\r\n")
        outcomes[status.split()[1].decode()] += 1
        writer.close()
    except (OSError, asyncio.IncompleteReadError) as error:
        outcomes[type(error).__name__] += 1
    took.append(1000 * (time.monotonic() - began))


async def _restart_under_load(installed: Installed, per_second: int) -> str:
    """Restart both processes under load, and describe how the requests fared."""
    outcomes: Counter[str] = Counter()
    took: list[float] = []
    restarting = asyncio.create_task(_restart_both(installed))
    began = due = time.monotonic()
    async with asyncio.TaskGroup() as requests:
        while not restarting.done():
            requests.create_task(_request(outcomes, took))
            due += 1 / per_second
            await asyncio.sleep(due - time.monotonic())
    await restarting
    took.sort()
    return (
        f"{len(took)} connections in {time.monotonic() - began:.1f} s: {dict(outcomes)}, "
        f"p50 {took[len(took) // 2]:.0f} ms, p99 {took[len(took) * 99 // 100]:.0f} ms, "
        f"most {took[-1]:.0f} ms"
    )


async def _restart_both(installed: Installed) -> None:
    for instance in (1, 2):
        await installed.restart(instance)


async def _measure(installed: Installed, per_second: int, rounds: int) -> None:
    await installed.start(1, 2)
    for _ in range(rounds):
        print(await _restart_under_load(installed, per_second), flush=True)


def main() -> None:
    """Boot systemd, install Headrace and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--per-second", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        box_folder, mongod_folder = Path(folder, "box"), Path(folder, "mongod")
        box_folder.mkdir()
        mongod_folder.mkdir()
        with booted(box_folder) as box, inside(box.pid), replica_set(mongod_folder) as mongod:
            installed = Installed(box)
            installed.configure(f'[storage]\nurl = "{mongod.url("headrace")}"')
            asyncio.run(_measure(installed, options.per_second, options.rounds))


if __name__ == "__main__":
    main()
