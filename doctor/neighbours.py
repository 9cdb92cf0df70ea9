"""Who else is on this machine, while the server lets everybody in who is."""

import ipaddress
import os
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

from doctor.findings import Finding, look, ok, wrong
from settings import UNIX, Settings
from sockets.peer_credentials import HAS_PEER_CREDENTIALS, NOBODY, PeerCredentials

# Where proxies listen to the world.
_WEB_PORTS = (80, 443)

_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LISTENS = "0A"  # in their fourth column

_KEYS = 'auth.mode = "keys"'


def neighbours(settings: Settings) -> Iterator[Finding]:
    """What could pass for the server's own user without being that."""
    if settings.auth.mode != "none":
        return
    about = 'auth.mode "none"'
    if not HAS_PEER_CREDENTIALS:
        yield look(
            about,
            "this system does not tell whose program asks; a proxy that adds no headers passes",
            _KEYS,
        )
        return
    if not settings.host.startswith(UNIX):
        with closing(PeerCredentials()) as owners:
            trouble = owners.trouble
        if trouble is not None:
            yield wrong(
                about,
                f"it cannot be told whose program asks, and so everybody is refused: {trouble}",
                f"AF_NETLINK in the unit's RestrictAddressFamilies, or {_KEYS}",
            )
            return
    found = ports_to_the_world(table for path in _TABLES if (table := _read(path)))
    if found:
        listed = " and ".join(map(str, found))
        yield look(
            about,
            f"something on this machine listens to the world on port {listed}: what a proxy "
            "forwards here without a word is refused unless it runs as this user or root",
            f"if it is to serve Headrace: {_KEYS}",
        )
    if os.geteuid() == NOBODY:
        yield look(
            about,
            "this is nobody, as whom many programs run, proxies among them: no program but root's "
            "is served",
            f"a user of its own for the server, or {_KEYS}",
        )
    elif os.geteuid() == 0:
        yield look(
            about,
            "this is root, and so every proxy that runs as root (in a container, most do) would "
            "pass for a program of the server's own",
            f"a user of its own for the server, or {_KEYS}",
        )
    elif not found:
        yield ok(about, "serves the programs of this user, and of root")


def ports_to_the_world(tables: Iterator[str]) -> list[int]:
    """Those of the web's ports on which somebody listens beyond loopback."""
    found = set()
    for table in tables:
        for line in table.splitlines()[1:]:
            _, local, _, state, *_ = line.split()
            address, _, port = local.partition(":")
            number = int(port, 16)
            if state == _LISTENS and number in _WEB_PORTS and not _address(address).is_loopback:
                found.add(number)
    return sorted(found)


def _address(hexadecimal: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """As the kernel prints it: words of four bytes, each in the machine's own order."""
    words = [hexadecimal[at : at + 8] for at in range(0, len(hexadecimal), 8)]
    packed = b"".join(bytes.fromhex(word)[::-1] for word in words)
    return ipaddress.ip_address(packed)


def _read(path: Path) -> str:
    with suppress(OSError):  # not to be seen from here
        return path.read_text()
    return ""
