"""How a peer accepts data: what the kernel knows of it, and when that is too little.

A peer is *gone* if its machine acknowledges nothing, not even probes of its window, while there is
something to acknowledge. A peer is *stalled* if its machine responds but its program accepts
nothing, while data waits in this process for it; what waits in the kernel's buffer only costs
nothing.
"""

import socket
import struct
from typing import NamedTuple

# Of the kernel's `struct tcp_info`: probes of a shut window without an answer, packets without one,
# milliseconds since anything was acknowledged, and, since Linux 4.1, the bytes acknowledged so far.
_INFO = struct.Struct("@3xB20xI28xI60xQ")


class PeerStatus(NamedTuple):
    """What the kernel knows of a peer."""

    is_unanswered: bool  # something was sent that it has not acknowledged yet
    silent_seconds: float  # since it acknowledged anything
    taken: int  # bytes, of all that it was sent


def peer_status(connection: socket.socket) -> PeerStatus | None:
    """Return what the kernel knows of the peer; None for UNIX sockets and on other systems."""
    if connection.family not in (socket.AF_INET, socket.AF_INET6):
        return None
    option = getattr(socket, "TCP_INFO", None)
    if option is None:
        return None
    info = connection.getsockopt(socket.IPPROTO_TCP, option, _INFO.size)
    if len(info) < _INFO.size:
        return None
    probes, packets, silent, taken = _INFO.unpack(info)
    return PeerStatus(bool(probes or packets), silent / 1000, taken)


class PeerTimeouts(NamedTuple):
    """After how many seconds a peer counts as gone, and as stalled."""

    dead_seconds: float
    stall_seconds: float


class PeerProgress:
    """The progress of one connection, from check to check."""

    __slots__ = ("_taken", "_unanswered", "_waits_since")

    def __init__(self) -> None:
        self._taken = 0
        self._waits_since: float | None = None
        self._unanswered = False

    def reason_to_close(
        self,
        time: float,
        timeouts: PeerTimeouts,
        *,
        status: PeerStatus | None,
        sent: int,
        waits: bool,
    ) -> str | None:
        """Return why the connection is to be closed, in words for the log; None if it is not.

        `sent` is how many bytes the kernel has accepted for the peer; `waits` says that it accepts
        no more.
        """
        taken = sent if status is None else status.taken
        if not waits:
            self._waits_since = None
        elif self._waits_since is None or taken != self._taken:
            self._waits_since = time
        elif time - self._waits_since >= timeouts.stall_seconds:
            return "accepts no data"
        self._taken = taken
        # Twice in a row: probes of a window that stays shut are minutes apart, and a probe that was
        # sent a moment ago is not answered yet, although the peer may be there.
        before, self._unanswered = self._unanswered, status is not None and status.is_unanswered
        if status is not None and before and self._unanswered:
            return "is gone" if status.silent_seconds >= timeouts.dead_seconds else None
        return None
