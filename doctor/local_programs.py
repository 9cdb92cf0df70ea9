"""Programs on this machine that a server without keys could serve by mistake."""

import ipaddress
import os
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

from doctor.findings import Finding, ok, warning, wrong
from settings import UNIX, Settings
from settings.addresses import is_loopback
from sockets.peer_credentials import HAS_PEER_CREDENTIALS, NOBODY, PeerCredentials

# The ports on which web servers and proxies listen to the network.
_WEB_PORTS = (80, 443)

_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LISTENS = "0A"  # in their fourth column

_KEYS = 'auth.mode = "keys"'


def local_programs(settings: Settings) -> Iterator[Finding]:
    """Findings about programs that could pass for the server's own user."""
    if settings.auth.mode != "none":
        return
    about = 'auth.mode "none"'
    if not HAS_PEER_CREDENTIALS:
        yield warning(
            about,
            "this system does not report the user of a connection: a proxy that adds no "
            "headers is served",
            _KEYS,
        )
        return
    if not settings.host.startswith(UNIX):
        with closing(PeerCredentials()) as owners:
            trouble = owners.trouble
        if trouble is not None:
            yield wrong(
                about,
                f"the user of a connection cannot be determined, so every request is refused: "
                f"{trouble}",
                f"AF_NETLINK in the unit's RestrictAddressFamilies, or {_KEYS}",
            )
            return
    found = publicly_bound_ports(table for path in _TABLES if (table := _read(path)))
    if found:
        listed = " and ".join(map(str, found))
        yield warning(
            about,
            f"a program on this machine listens to the network on port {listed}: a proxy that adds "
            "no headers is refused, unless it runs as this user or root",
            f"if it is to serve Headrace: {_KEYS}",
        )
    if os.geteuid() == NOBODY:
        yield warning(
            about,
            "this user is nobody, which many programs run as, proxies among them: only root's "
            "programs are served",
            f"a user of its own for the server, or {_KEYS}",
        )
    elif os.geteuid() == 0:
        yield warning(
            about,
            "this user is root, so every proxy that runs as root (in a container, most do) is "
            "served",
            f"a user of its own for the server, or {_KEYS}",
        )
    elif not found:
        yield ok(about, "serves the programs of this user, and of root")


def publicly_bound_ports(tables: Iterator[str]) -> list[int]:
    """The web ports on which a program listens on an address other than loopback."""
    found = set()
    for table in tables:
        for line in table.splitlines()[1:]:
            _, local, _, state, *_ = line.split()
            address, _, port = local.partition(":")
            number = int(port, 16)
            if state == _LISTENS and number in _WEB_PORTS and not is_loopback(_address(address)):
                found.add(number)
    return sorted(found)


def _address(hexadecimal: str) -> str:
    """The address in the kernel's format: words of four bytes, each in native byte order."""
    words = [hexadecimal[at : at + 8] for at in range(0, len(hexadecimal), 8)]
    packed = b"".join(bytes.fromhex(word)[::-1] for word in words)
    return str(ipaddress.ip_address(packed))


def _read(path: Path) -> str:
    with suppress(OSError):  # not readable in this sandbox
        return path.read_text()
    return ""
