"""How much of what was sent to a peer has arrived: the kernel knows, and Tornado does not say."""

import socket
import struct

# Where `tcpi_bytes_acked` stands in the kernel's `struct tcp_info`, since Linux 4.1: 8 bytes, 24
# numbers of 4 bytes and two of 8 before it.
_BYTES_ACKED = struct.Struct("@120xQ")


def bytes_taken(connection: socket.socket | None) -> int:
    """How many bytes the peer's machine has acknowledged; 0 where nobody counts them."""
    if connection is None or connection.family not in (socket.AF_INET, socket.AF_INET6):
        return 0
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_ACKED.size)
    if len(info) < _BYTES_ACKED.size:
        return 0
    (taken,) = _BYTES_ACKED.unpack(info)
    return int(taken)
