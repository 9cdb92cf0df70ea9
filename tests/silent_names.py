"""A server whose name server is silent about some names; prints what came of it as JSON.

Run by `test_silent_names.py` in a network of its own, with a `resolv.conf` that names 127.0.0.1.
There a name server answers for `healthy.example`, for `half.example` in one family only, and is
silent about all else, for longer than the test lasts.
"""

import asyncio
import json
import socket
import struct
import sys
import threading
from pathlib import Path

from providers.demo import DemoUpstream
from tests.launching import Launched, Launcher
from tests.readers import call
from tests.steps import JSON

SILENT = 8  # questions to providers that are never found, of four names each asked for twice
HEALTHY = 10
A = 1


def name_server() -> tuple[socket.socket, set[str], asyncio.Event]:
    """Answers until its socket is closed; which names it was asked for, and when all were."""
    serving = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    serving.bind(("127.0.0.1", 53))
    loop, asked, all_asked = asyncio.get_running_loop(), set[str](), asyncio.Event()

    def serve() -> None:
        while True:
            try:
                query, client = serving.recvfrom(512)
            except OSError:
                return
            labels, at = [], 12
            while length := query[at]:
                labels.append(query[at + 1 : at + 1 + length].decode())
                at += 1 + length
            name = ".".join(labels)
            (kind,) = struct.unpack_from(">H", query, at + 1)
            asked.add(name)
            if len([each for each in asked if each.startswith("silent")]) == SILENT // 2:
                loop.call_soon_threadsafe(all_asked.set)
            if name == "healthy.example" or (name == "half.example" and kind == A):
                serving.sendto(reply(query, at + 5, kind), client)

    threading.Thread(target=serve, daemon=True).start()
    return serving, asked, all_asked


def reply(query: bytes, end: int, kind: int) -> bytes:
    """127.0.0.1 for an A; for anything else that there is none."""
    answers = b"\xc0\x0c" + struct.pack(">HHIH4s", A, 1, 0, 4, bytes((127, 0, 0, 1)))
    count = int(kind == A)
    head = query[:2] + b"\x81\x80" + struct.pack(">HHHH", 1, count, 0, 0)
    return head + query[12:end] + answers * count


async def asked(server: Launched, provider: str) -> str:
    question = {"content": "hi", "model": f"{provider}/m"}
    said = await call(server.url, "POST", "/api/v1/chat", question, headers=JSON)
    status: str = said.body["status"]
    return status


async def main(folder: Path) -> None:
    serving, _, all_asked = name_server()
    upstream = DemoUpstream(seconds_per_token=0)
    upstream.start()
    port = upstream.base_url.split(":")[2].partition("/")[0]
    launcher = Launcher(folder)
    names = ["healthy", "half", *(f"silent{number}" for number in range(SILENT // 2))]
    launcher.settings.write_text(
        "port = 0\n[relay]\ndrain_seconds = 0\n[timeouts]\nconnect = 600\n"
        + "".join(
            f'[providers.{name}]\ndialect = "openai"\nmodels = ["m"]\n'
            f'base_url = "http://{name}.example:{port}/v1"\n'
            for name in names
        )
    )
    server = await launcher.serve()
    lost = [asyncio.create_task(asked(server, f"silent{n // 2}")) for n in range(SILENT)]
    await all_asked.wait()
    found = await asyncio.gather(
        *(asked(server, ("healthy", "half")[number % 2]) for number in range(HEALTHY))
    )
    server.terminate()
    code = await server.process.wait()
    for each in lost:
        each.cancel()
    await asyncio.wait(lost)
    sys.stdout.write(json.dumps({"found": found, "code": code}) + "\n")
    await launcher.end_all()
    await upstream.close()
    serving.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
