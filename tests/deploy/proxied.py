"""What stands between Headrace in the box and its readers: a proxy, and a wire that can be cut."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trustme

from tests.readers import Connection
from tests.systemd_box.box import Box, inside

_DEPLOY = Path(__file__).parents[2] / "deploy"
_CERTIFICATE = "/etc/ssl/certs/ssl-cert-snakeoil.pem"
_KEY = "/etc/ssl/private/ssl-cert-snakeoil.key"


class Proxy:
    """One of the two, with its settings as shipped."""

    def __init__(self, box: Box, name: str) -> None:
        self.box = box
        self.name = name
        shipped = {"nginx": "nginx.conf", "caddy": "Caddyfile"}[name]
        self.text = (_DEPLOY / shipped).read_text("utf-8")
        self._path = f"/etc/{name}/{shipped}"
        box.borrow(f"{name}.service")
        issued = trustme.CA().issue_cert("127.0.0.1")
        box.write(_CERTIFICATE, issued.cert_chain_pems[0].bytes().decode())
        # Caddy is not root when it reads its own.
        box.write(_KEY, issued.private_key_pem.bytes().decode())
        (box.root / Path(_KEY).parent.relative_to("/")).chmod(0o755)

    async def start(self) -> None:
        """Start it as Debian does."""
        if self.name == "caddy":  # there is nobody here to get a certificate from
            self.text = self.text.replace(
                "headrace.example.org {", f":443 {{\ntls {_CERTIFICATE} {_KEY}"
            )
        self.box.write(self._path, self.text)
        await self.box.run("systemctl", "daemon-reload")
        await self.box.run("systemctl", "start", self.name)

    async def logs(self) -> str:
        """Everything that it has written down."""
        files = (self.box.root / "var/log" / self.name).glob("*")
        own = "".join(file.read_text() for file in files if file.suffix == ".log")
        return own + await self.box.journal("-u", self.name)


class Phone:
    """A machine of its own, on a wire to the box; its network lasts as long as its process."""

    _ADDRESSES = ("192.0.2.1", "192.0.2.2")  # the box's, its own: set aside for such use

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._enter = ("nsenter", f"--target={process.pid}", "--net")
        self._process = process

    @classmethod
    @asynccontextmanager
    async def near(cls) -> "AsyncIterator[Phone]":
        """A phone with a link to the network that this thread is in, for as long as the block."""
        process = await asyncio.create_subprocess_exec(
            *("unshare", "--net", "sh", "-c", "echo; exec sleep infinity"),
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            assert process.stdout is not None
            await process.stdout.readline()
            phone = cls(process)
            await phone._connect()
            yield phone
        finally:
            process.kill()
            await process.wait()

    async def _connect(self) -> None:
        await _ip("link", "add", "wire", "type", "veth", "peer", "name", "far")
        await _ip("link", "set", "far", "netns", str(self._process.pid))
        for end, name, address in zip(
            ((), self._enter), ("wire", "far"), self._ADDRESSES, strict=True
        ):
            await _ip("address", "add", f"{address}/24", "dev", name, enter=end)
            await _ip("link", "set", name, "up", enter=end)

    async def connection(self) -> Connection:
        """A connection of its own to the proxy."""
        with inside(self._process.pid):
            ours = socket.socket()
        ours.setblocking(False)
        await asyncio.get_running_loop().sock_connect(ours, (self._ADDRESSES[0], 443))
        return await Connection.open(f"https://{self._ADDRESSES[0]}", ours)

    async def vanish(self) -> None:
        """Let no packet through any more, and inform neither side."""
        await _ip("link", "set", "far", "down", enter=self._enter)


async def _ip(*arguments: str, enter: tuple[str, ...] = ()) -> None:
    process = await asyncio.create_subprocess_exec(*enter, "ip", *arguments)
    assert 0 == await process.wait()
