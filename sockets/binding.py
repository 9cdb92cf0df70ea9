"""Binds TCP sockets to every address of a host, all on one port.

`::` is one socket for IPv6 and IPv4, whose IPv4 peers have addresses such as `::ffff:192.0.2.1`; a
machine without IPv6 uses `0.0.0.0`. A name is bound at all of its addresses, so that `localhost`
works whichever of its two a client tries; `*` means all addresses of both families.
"""

import errno
import logging
import socket
from typing import Any

log = logging.getLogger("headrace.listening")

# Tornado's 128 costs the 129th client that connects at the same time a SYN retry of one second.
BACKLOG = 4096

_EVERYWHERE = "::"
_EVERYWHERE_IPV4 = "0.0.0.0"

# How the kernel says that it was built, or booted, without IPv6, or that it has none of its
# addresses, as in many a container.
_NOT_HERE = {
    errno.EAFNOSUPPORT: "this machine has no IPv6",
    errno.EADDRNOTAVAIL: "this machine has no such address",
}

# A free port of the first address may be taken at the second: then another one is tried.
_TRIES = 8


def bind(
    host: str, port: int, *, reuse_port: bool = False, listens: bool = True
) -> list[socket.socket]:
    """Sockets that listen at `host`, or are only bound. Port 0 is any free one, the same for all.

    Raises OSError.
    """
    for _ in range(_TRIES - 1):
        try:
            return _bound(host, port, reuse_port, listens)
        except OSError as error:
            if port != 0 or error.errno != errno.EADDRINUSE:
                raise
    return _bound(host, port, reuse_port, listens)


def shown(host: str, port: int) -> str:
    """Host and port as in a URL."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _bound(host: str, port: int, reuse_port: bool, listens: bool) -> list[socket.socket]:
    found: list[socket.socket] = []
    missing: OSError | None = None
    for family, address in _addresses(host, port):
        chosen = found[0].getsockname()[1] if found else port
        try:
            here = (address[0], chosen, *address[2:])
            found.append(_open(family, here, host == _EVERYWHERE, reuse_port, listens))
        except OSError as error:
            reason = _NOT_HERE.get(error.errno or 0)
            if reason is not None and family == socket.AF_INET6:
                missing = OSError(error.errno, reason)
                continue
            for opened in found:
                opened.close()
            raise OSError(error.errno, reason or error.strerror) from error
    if found and missing is not None:
        log.info("listening on %s with IPv4 only: %s", host, missing.strerror)
    if found:
        return found
    if host == _EVERYWHERE:
        log.info("this machine has no IPv6: listening on %s", _EVERYWHERE_IPV4)
        return _bound(_EVERYWHERE_IPV4, port, reuse_port, listens)
    assert missing is not None, "a lookup without an error has a result"
    raise missing


def _addresses(host: str, port: int) -> list[tuple[socket.AddressFamily, Any]]:
    """Families and addresses, each once, IPv4 first, whose address is the one that is shown."""
    flags = socket.AI_PASSIVE
    looked_up = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return sorted({(family, address) for family, _, _, _, address in looked_up})


def _open(
    family: socket.AddressFamily, address: Any, takes_both: bool, reuse_port: bool, listens: bool
) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            # The defaults differ between systems.
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not takes_both)
        opened.setblocking(False)
        opened.bind(address)
        if listens:
            opened.listen(BACKLOG)
    except OSError:
        opened.close()
        raise
    return opened
