"""The sockets that the server listens on: its own, or those passed on by a supervisor.

A supervisor's sockets (systemd's protocol: LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES) stay open while
processes come and go, so that a restart refuses nobody. With `reuse_port` several processes share a
port. Connections inherit the options that are set here.
"""

import os
import re
import socket
import stat
from collections.abc import Mapping
from contextlib import suppress

from settings import UNIX, Settings
from settings.addresses import is_loopback
from sockets.binding import BACKLOG, bind, shown

# Bytes of the send buffer. With the kernel's default a client that does not read gets megabytes
# before a flush waits; with this it is about a hundred kilobytes.
_SEND_BUFFER_BYTES = 32 * 1024

# A UNIX socket is for the server's user and its group, such as a proxy's.
_UNIX_MODE = 0o660

# The first of systemd's descriptors, and the names of this server's sockets: by default a socket
# unit's own name, or its FileDescriptorName.
_FIRST_DESCRIPTOR = 3
_NAMES = ("headrace", "headrace.socket")
_UNNAMED = ""  # without names all of them are meant
_FAMILIES = (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)

# The kernel asks whether a peer is there that is sent nothing: after a sixth of the time by which
# it counts as gone, and then twice as often. Streams have signs of life; this is for who waits.
_PROBE_AFTER = 1 / 6
_PROBE_EVERY = 1 / 12


class CannotListen(Exception):
    """Why the server cannot listen, in one line for the operator."""


def listen(settings: Settings, environ: Mapping[str, str] = os.environ) -> list[socket.socket]:
    """The listening sockets. Raises CannotListen."""
    sockets = _inherited(environ)
    if not sockets:
        sockets = _bound(settings)
    elif settings.auth.mode == "none" and not all(map(_is_private, sockets)):
        raise CannotListen(
            'auth.mode "none" admits everyone, but the inherited socket is not loopback'
        )
    for listening in sockets:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        if listening.family != socket.AF_UNIX:
            _notice_dead_peers(listening, settings.relay.reader_dead_seconds)
    return sockets


def is_shared(settings: Settings, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether other processes may take connections from the same port."""
    return settings.reuse_port or environ.get("LISTEN_PID") == str(os.getpid())


def url_of(listening: socket.socket) -> str:
    """The URL at which clients reach it."""
    if listening.family == socket.AF_UNIX:
        return f"unix:{listening.getsockname()}"
    return f"http://{shown(*listening.getsockname()[:2])}"


def _bound(settings: Settings) -> list[socket.socket]:
    host, port = settings.host, settings.port
    try:
        if host.startswith(UNIX):
            return [_unix_socket(host.removeprefix(UNIX))]
        return bind(host, port, reuse_port=settings.reuse_port)
    except (OSError, ValueError) as error:
        where = host if host.startswith(UNIX) else shown(host, port)
        reason = getattr(error, "strerror", None) or error
        raise CannotListen(f"cannot listen on {where}: {reason}") from error


def _unix_socket(path: str) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX)
    try:
        _clear(path)
        listening.setblocking(False)
        listening.bind(path)
        os.chmod(path, _UNIX_MODE)
        listening.listen(BACKLOG)
    except (OSError, ValueError):
        listening.close()
        raise
    return listening


def _clear(path: str) -> None:
    """Remove the socket file of a killed process, unless another process listens on it."""
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            raise ValueError("a file that is not a socket has that name")
        with socket.socket(socket.AF_UNIX) as asking:
            if asking.connect_ex(path) == 0:
                raise ValueError("another process listens there")
        os.unlink(path)


def _inherited(environ: Mapping[str, str]) -> list[socket.socket]:
    """Return all sockets that were passed on, since clients of one that is never accepted from
    would hang.
    """
    if environ.get("LISTEN_PID") != str(os.getpid()):  # none, or meant for the parent process
        return []
    count, names = environ.get("LISTEN_FDS", ""), environ.get("LISTEN_FDNAMES")
    given = names.split(":") if names else [_UNNAMED]
    if not re.fullmatch("[0-9]{1,4}", count) or (names and len(given) != int(count)):
        raise CannotListen("LISTEN_FDS and LISTEN_FDNAMES do not match")
    if foreign := sorted({name for name in given if name not in (*_NAMES, _UNNAMED)}):
        raise CannotListen(
            f"sockets with other names were passed on: {', '.join(map(repr, foreign))}; those "
            f"for this server have FileDescriptorName={_NAMES[0]}, or no name"
        )
    return [_taken(_FIRST_DESCRIPTOR + each) for each in range(int(count))]


def _taken(descriptor: int) -> socket.socket:
    """A passed-on descriptor as a listening socket."""
    try:
        taken = socket.socket(fileno=descriptor)
    except OSError as error:
        raise CannotListen(
            f"LISTEN_FDS: descriptor {descriptor} is not a socket: {error.strerror}"
        ) from error
    # A descriptor that is refused stays open: it belongs to the supervisor.
    if taken.family not in _FAMILIES or taken.type != socket.SOCK_STREAM:
        kind = f"{taken.family!s} {taken.type!s}"  # plain numbers where Python has no name
        taken.detach()
        raise CannotListen(
            f"LISTEN_FDS: descriptor {descriptor} is not an IP or UNIX stream socket, but {kind}"
        )
    if not taken.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        taken.detach()
        raise CannotListen(
            f"LISTEN_FDS: descriptor {descriptor} does not listen: "
            "the server's socket unit needs Accept=no"
        )
    taken.setblocking(False)
    taken.set_inheritable(False)
    return taken


def _is_private(listening: socket.socket) -> bool:
    if listening.family == socket.AF_UNIX:
        return True
    return is_loopback(listening.getsockname()[0])


def _notice_dead_peers(listening: socket.socket, dead_seconds: float) -> None:
    """Have the kernel close connections whose peer is gone, while no data is sent to it.

    TCP_USER_TIMEOUT is not used, since it takes slow peers for dead ones: see `peer_monitor.py`.
    """
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):  # macOS spells it differently
        after = max(1, round(dead_seconds * _PROBE_AFTER))
        every = max(1, round(dead_seconds * _PROBE_EVERY))
        tries = max(1, round((dead_seconds - after) / every))
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, after)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, every)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, tries)
