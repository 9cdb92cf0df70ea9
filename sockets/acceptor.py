"""Accepts connections up to the limit, and answers those beyond it with 503.

A process without free descriptors would loop in Tornado's own acceptor, since the connection that
cannot be accepted wakes it again at once. Here a descriptor is kept in reserve, and released for
the moment that it takes to send a 503.
"""

import asyncio
import errno
import logging
import os
import resource
import socket
from collections.abc import Iterable
from contextlib import suppress
from functools import partial

from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop

from sockets.client_connection import ClientConnection, ConnectionLimits
from sockets.error_responses import error_response
from sockets.peer_credentials import PeerCredentials
from sockets.probe_connections import MAX_PROBE_CONNECTIONS, ProbeConnections
from sockets.request_turns import RequestTurns
from sockets.unread_requests import UnreadRequestLog
from telemetry.log_event import LogEvent
from telemetry.rate_limited_log import RateLimitedLog

log = logging.getLogger("headrace.accepting")

# Connections accepted in a row before the event loop gets a turn. In the next turn each of them
# brings a question, which takes up to a millisecond, and the streams that are open wait for that.
_BATCH = 16

# Descriptors that are not client connections: the store, the log, listening sockets, name lookups
# of the system, and probe connections.
OTHER_DESCRIPTORS = 128 + 2 * MAX_PROBE_CONNECTIONS

# Seconds for a refused client to read the response; after an immediate close some would get a reset
# instead. So many at a time, which is a few hundred refusals a second.
_LINGER_SECONDS = 0.2
_MAX_LINGERING = 64

# Seconds for `Retry-After`: connections come and go.
_RETRY_AFTER = 2

# Seconds to pause when the system has no memory or descriptors left.
_PAUSE = 0.1

_OVERLOADED = error_response(
    "503 Service Unavailable",
    "overloaded",
    f"The server has as many connections as it can hold. Try again in {_RETRY_AFTER} s.",
    retry_after=_RETRY_AFTER,
)


class Acceptor:
    """Accepts connections for `http` until stopped; `limits` are those of each connection.

    `unread_log` logs requests that are refused before they are read. With `peer_credentials` each
    connection knows the user at its other end. With `probes` health checks are answered beyond the
    limit.
    """

    def __init__(
        self,
        http: HTTPServer,
        limits: ConnectionLimits,
        *,
        max_connections: int,
        unread_log: UnreadRequestLog,
        peer_credentials: PeerCredentials | None = None,
        probes: ProbeConnections | None = None,
    ) -> None:
        self._http = http
        self._limits = limits
        self.max_connections = max_connections
        self._peer_credentials = peer_credentials
        self._probes = probes
        self._loop = IOLoop.current()
        self._sockets: list[socket.socket] = []
        self._turns = RequestTurns()
        self.open: set[ClientConnection] = set()  # others may read it, not change it
        self._lingering: dict[socket.socket, asyncio.TimerHandle] = {}
        self._reserve: int | None = _spare_descriptor()
        self._unread_log = unread_log
        self._refusal_log = RateLimitedLog(log, example="open")
        self.refused = 0  # connections that were answered with `overloaded`

    def start(self, sockets: Iterable[socket.socket]) -> None:
        """Accept from `sockets`, which the acceptor owns from now on."""
        self._sockets = list(sockets)
        for listening in self._sockets:
            self._resume(listening)

    def stop(self) -> None:
        """Stop accepting; open connections stay open. Further calls have no effect."""
        while self._sockets:
            listening = self._sockets.pop()
            self._loop.remove_handler(listening)
            listening.close()
        if self._probes is not None:
            self._probes.close()
        for refused, timer in list(self._lingering.items()):
            timer.cancel()
            self._end_linger(refused)
        if self._reserve is not None:
            os.close(self._reserve)
            self._reserve = None
        self._refusal_log.close()

    @property
    def connections(self) -> int:
        """The number of open connections."""
        return len(self.open)

    def _ready(self, listening: socket.socket, _events: int) -> None:
        for _ in range(_BATCH):
            try:
                accepted, address = listening.accept()
            except BlockingIOError:
                return
            except ConnectionAbortedError:  # the client has disconnected already
                continue
            except OSError as error:
                if error.errno == errno.EMFILE and self._refuse_with_reserve(listening):
                    continue
                self._pause(listening, error)
                return
            self._accept_connection(accepted, address)

    def _accept_connection(self, accepted: socket.socket, address: object) -> None:
        http, probes = self._http, None
        if len(self.open) >= self.max_connections:
            self._log_refusal("the limit of connections is reached")
            probes = self._probes
            if probes is None or not probes.has_room(accepted):
                self._refuse(accepted)
                return
        on_refused = partial(self._unread_log.write, sender=_host(address))
        if probes is not None:
            http = probes.http
            connection: ClientConnection = probes.connection(
                accepted, self._limits, on_refused, self._refuse
            )
        else:
            connection = ClientConnection(
                accepted, self._limits, self.open.discard, on_refused, self._turns
            )
            self.open.add(connection)
        if (
            self._peer_credentials is not None
        ):  # asked now, since a peer that disconnects has no owner any more
            connection.peer_user = self._peer_credentials.of(accepted)
        http.handle_stream(connection, address)  # type: ignore[arg-type]

    def _refuse(self, accepted: socket.socket) -> None:
        """Send 503 without reading the request, and close the connection a little later."""
        self.refused += 1
        accepted.setblocking(False)
        try:
            accepted.send(_OVERLOADED)
            accepted.shutdown(socket.SHUT_WR)
        except OSError:  # disconnected already
            accepted.close()
            return
        if len(self._lingering) >= _MAX_LINGERING:
            self._hang_up(accepted)
            return
        loop = asyncio.get_running_loop()
        self._lingering[accepted] = loop.call_later(_LINGER_SECONDS, self._end_linger, accepted)

    def _end_linger(self, refused: socket.socket) -> None:
        del self._lingering[refused]
        self._hang_up(refused)

    def _hang_up(self, refused: socket.socket) -> None:
        """Close the connection; unread bytes are read first, since they would turn it into a
        reset.
        """
        with refused, suppress(OSError):
            refused.recv(self._limits.max_header_bytes)

    def _refuse_with_reserve(self, listening: socket.socket) -> bool:
        """Release the reserve descriptor to send a refusal. False: there is none."""
        self._log_refusal("out of descriptors: raise the limit on open files")
        if self._reserve is None:
            self._reserve = _spare_descriptor()
            return False
        os.close(self._reserve)
        self._reserve = None
        try:
            accepted, _ = listening.accept()
        except OSError:
            return False
        else:
            accepted.setblocking(False)
            with suppress(OSError):
                accepted.send(_OVERLOADED)
                self.refused += 1
                accepted.shutdown(socket.SHUT_WR)
            self._hang_up(accepted)
            return True
        finally:
            self._reserve = _spare_descriptor()

    def _pause(self, listening: socket.socket, error: OSError) -> None:
        self._log_refusal(f"cannot accept: {error.strerror}")
        self._loop.remove_handler(listening)
        self._loop.call_later(_PAUSE, self._resume, listening)

    def _resume(self, listening: socket.socket) -> None:
        if listening in self._sockets:
            self._loop.add_handler(listening, self._ready, IOLoop.READ)

    def _log_refusal(self, what: str) -> None:
        event = LogEvent(f"connections refused: {what}", open=len(self.open))
        self._refusal_log.log(event, logging.WARNING)


def affordable_connections(wanted: int, calls: int, descriptors: int) -> int:
    """The number of connections that leaves descriptors for provider calls and everything else.

    With few descriptors that is half of them, whatever was configured.
    """
    if descriptors == resource.RLIM_INFINITY:
        return wanted
    return min(wanted, max(descriptors // 2, descriptors - calls - OTHER_DESCRIPTORS))


def take_all_descriptors() -> None:
    """Raise the soft limit on open files to the hard limit: 1,024 is meant for select()."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # some systems do not accept the limit that they report
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _host(address: object) -> str | None:
    """The host of a socket's address; None for a UNIX socket."""
    return str(address[0]) if isinstance(address, tuple) else None


def _spare_descriptor() -> int | None:
    try:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
