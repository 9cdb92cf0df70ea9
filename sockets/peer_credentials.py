"""Which user's program is at the other end of a connection within this machine.

A proxy that adds no headers (nginx's bare `proxy_pass` sends the server's own Host) looks like any
program of this machine, but rarely runs as the server's user. The kernel knows who opened a socket.
It is asked once for each connection by netlink, which takes microseconds however many there are;
reading `/proc/net/tcp` takes milliseconds.

This works on Linux, for sockets of the server's own network namespace, where loopback is.
"""

import os
import socket
import struct
import sys
from contextlib import suppress
from typing import NamedTuple

# The prefix of an IPv4 address in an IPv6 one.
_MAPPED = "::ffff:"

# From linux/sock_diag.h, linux/netlink.h and linux/inet_diag.h.
_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST = 1
_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_WANTED = struct.Struct("=BBBxI")  # family, protocol, extensions, states
_PORTS = struct.Struct(">HH")  # its own, and that of its peer, as they travel
_ADDRESS_BYTES = 16  # room for an IPv6 address; an IPv4 one is followed by zeros
_ANY_COOKIE = struct.pack("=III", 0, 0xFFFFFFFF, 0xFFFFFFFF)  # of any interface, any socket
_FOUND = struct.Struct("=BBBB")  # family, state, timer, retransmits
_OWNER = struct.Struct("=II")  # uid, inode
_BEFORE_OWNER = 12  # bytes: when the timer ends, what waits to be read and to be sent

# Of a UNIX socket: process, user and group at the time of connecting.
_UCRED = struct.Struct("=iII")

# The states in which a program still has the socket open: established, or closed for writing only.
_HELD_STATES = frozenset({1, 4, 5})

# An answer about one socket is a tenth of this.
_MOST_BYTES = 4096

# root, whom every user has to trust.
_ROOT = 0

# nobody: unrelated programs run as this user, nginx by default among them, and the kernel uses it
# for users that the server's namespace does not have.
NOBODY = 65_534

HAS_PEER_CREDENTIALS = sys.platform == "linux"  # others may have netlink, but not this of it
"""Whether this system is one that says who is at the other end."""


class PeerUser(NamedTuple):
    """The user at the other end; `uid` None: unknown."""

    uid: int | None

    @property
    def is_ours(self) -> bool:
        """Whether it is a program of the server's own user, or of root."""
        return self.uid in (os.geteuid(), _ROOT) and self.uid != NOBODY


class PeerCredentials:
    """Asks the kernel for the user of a peer.

    The kernel responds at once, so this does not block.

    It works only where `HAS_PEER_CREDENTIALS` is True.
    """

    def __init__(self) -> None:
        self._asked = 0
        self._kernel: socket.socket | None = None
        self.trouble: str | None = (
            None  # why users of TCP connections cannot be found out; None if they can
        )
        try:
            kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
            self._kernel = socket.socket(socket.AF_NETLINK, kind, _NETLINK_SOCK_DIAG)
            self.trouble = self._tried()
        except OSError as error:
            self.trouble = f"the kernel may not be asked: {error.strerror}"

    def of(self, accepted: socket.socket) -> PeerUser:
        """Return the user who opened the other end of an accepted connection.

        A peer that has closed its socket has no owner any more: it is unknown, although the kernel
        then reports 0, which is root.
        """
        try:
            if accepted.family == socket.AF_UNIX:
                credentials = accepted.getsockopt(
                    socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size
                )
                return PeerUser(_UCRED.unpack(credentials)[1])
            return PeerUser(self._owner(accepted.getpeername(), accepted.getsockname()))
        except OSError:  # disconnected already, or the kernel does not know
            return PeerUser(None)

    def close(self) -> None:
        """Close the netlink socket."""
        if self._kernel is not None:
            self._kernel.close()

    def _tried(self) -> str | None:
        """Return why it does not work, tried with a connection of our own; None if it works.

        Raises OSError.
        """
        with (
            socket.create_server(("127.0.0.1", 0)) as listening,
            socket.create_connection(listening.getsockname()),
            listening.accept()[0] as accepted,
        ):
            return "the kernel does not say" if self.of(accepted).uid is None else None

    def _owner(self, peer: tuple[str, int], us: tuple[str, int]) -> int | None:
        """Return the user with the socket from `peer` to `us`. Raises OSError."""
        if self._kernel is None:
            return None
        family, ends = _ends(peer, us)
        self._asked = (self._asked + 1) % 2**32
        question = _WANTED.pack(family, socket.IPPROTO_TCP, 0, 0xFFFFFFFF) + ends + _ANY_COOKIE
        length = _HEADER.size + len(question)
        header = _HEADER.pack(length, _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, self._asked, 0)
        self._kernel.send(header + question)
        while True:
            answer = self._kernel.recv(_MOST_BYTES)
            if _HEADER.unpack_from(answer)[3] == self._asked:  # not an earlier response
                return owner_in(answer, ends)


def _ends(peer: tuple[str, int], us: tuple[str, int]) -> tuple[int, bytes]:
    """The family, and the peer's socket in the kernel's terms: its ports and addresses."""
    theirs, ours = _unmapped(peer[0]), _unmapped(us[0])
    family = socket.AF_INET6 if ":" in theirs else socket.AF_INET
    packed = [
        socket.inet_pton(family, each).ljust(_ADDRESS_BYTES, b"\0") for each in (theirs, ours)
    ]
    return family, _PORTS.pack(peer[1], us[1]) + b"".join(packed)


def _unmapped(address: str) -> str:
    """An address as its own socket has it, without the prefix of a dual stack."""
    return address.removeprefix(_MAPPED) if "." in address else address


def owner_in(answer: bytes, ends: bytes) -> int | None:
    """Return the user in the kernel's response, if it is about this socket and the socket is
    open.
    """
    with suppress(struct.error):
        _, kind, _, _, _ = _HEADER.unpack_from(answer)
        _, state, _, _ = _FOUND.unpack_from(answer, _HEADER.size)
        begin = _HEADER.size + _FOUND.size
        owner_at = begin + len(ends) + len(_ANY_COOKIE) + _BEFORE_OWNER
        uid, inode = _OWNER.unpack_from(answer, owner_at)
        # For a closed socket the kernel returns one that listens.
        is_that = kind == _SOCK_DIAG_BY_FAMILY and answer[begin : begin + len(ends)] == ends
        if is_that and state in _HELD_STATES and inode != 0:
            return int(uid)
    return None
