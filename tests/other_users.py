"""Programs of other users of this machine, as tests need them: only root can start those.

`OtherUser` connects where it is told, sends, and shows what came back. Fixture: `needs_root` leaves
a test out where nobody can become another user.
"""

import asyncio
import os
import sys
from collections.abc import Callable
from typing import NoReturn

import pytest

# Nobody's, on every system.
NOBODY = 65_534

# Connects, as another user from there on, and does what it is told by lines: (s)end the rest of the
# line (hex), shut (w)riting down, (c)lose, each answered by a line; (r)ead all there is.
_PROGRAM = """
import encodings.idna, os, socket, sys  # all while files may be read
host, port, uid = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
os.setgroups([])
os.setgid(uid)
os.setuid(uid)
if port:
    s = socket.create_connection((host, port))
else:
    s = socket.socket(socket.AF_UNIX)
    s.connect(host)
print("connected", flush=True)
for line in sys.stdin:
    if line[0] == "s":
        s.sendall(bytes.fromhex(line[1:]))
    elif line[0] == "w":
        s.shutdown(socket.SHUT_WR)
    elif line[0] == "c":
        s.close()
    elif line[0] == "r":
        while data := s.recv(65536):
            sys.stdout.write(data.decode())
        break
    print("done", flush=True)
"""


class OtherUser:
    """A connection of another user's."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def at(cls, host: str, port: int, uid: int = NOBODY) -> "OtherUser":
        """Connect to an address, or with port 0 to a socket in the file system."""
        pipe = asyncio.subprocess.PIPE
        command = (sys.executable, "-S", "-c", _PROGRAM, host, str(port), str(uid))
        process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
        stranger = cls(process)
        await stranger._line()
        return stranger

    async def send(self, data: str) -> None:
        await self._do(f"s{data.encode().hex()}")

    async def shut(self) -> None:
        """Say that no more will be sent."""
        await self._do("w")

    async def close(self) -> None:
        await self._do("c")

    async def rest(self) -> str:
        """Everything that comes back until the other side closes; and so ends."""
        said, _ = await self._process.communicate(b"r\n")
        return said.decode()

    async def end(self) -> None:
        """Go away."""
        await self._process.communicate(b"")

    async def _do(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        await self._line()

    async def _line(self) -> None:
        assert self._process.stdout is not None
        assert await self._process.stdout.readline(), "it has failed"


@pytest.fixture
def needs_root(leave_out: Callable[[str, str], NoReturn]) -> None:
    if os.geteuid() != 0:
        leave_out("needs root, to become another user", "run as root")
