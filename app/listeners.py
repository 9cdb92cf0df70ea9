"""The listeners for the API, and for Prometheus where metrics have a port of their own."""

import logging
import resource
from contextlib import AsyncExitStack

from tornado.httpserver import HTTPServer

import handlers.health
import handlers.metrics
from settings import UNIX, Settings
from sockets.acceptor import Acceptor, affordable_connections
from sockets.binding import bind, shown
from sockets.body_limiter import UNBOUNDED, BodyLimiter
from sockets.client_connection import ConnectionLimits
from sockets.listening import CannotListen, url_of
from sockets.peer_credentials import HAS_PEER_CREDENTIALS, PeerCredentials
from sockets.peer_progress import PeerTimeouts
from sockets.probe_connections import ProbeConnections
from sockets.unread_requests import UnreadRequestLog
from telemetry.metrics import Metrics

log = logging.getLogger("headrace")


# The most connections: Prometheus has one, and a person another. The descriptors are for readers.
_MAX_SCRAPERS = 32


def http_server(
    settings: Settings, application: BodyLimiter, *, keep_alive: bool = True
) -> HTTPServer:
    """Tornado's HTTP server with these limits; without `keep_alive` a connection has one
    request.
    """
    limits = settings.limits
    server = HTTPServer(
        application,
        no_keep_alive=not keep_alive,
        # Somewhat above the limit, so that what is a little too large gets a response from this
        # server.
        max_header_size=2 * limits.max_header_bytes,
        max_body_size=UNBOUNDED,
    )
    server.conn_params.header_timeout = None  # `ClientConnection` has the deadlines
    return server


def client_acceptor(
    settings: Settings,
    http: HTTPServer,
    probe_http: HTTPServer,
    unread_log: UnreadRequestLog,
    credentials: PeerCredentials | None,
) -> Acceptor:
    """The acceptor of connections for `http`, and beyond their number of health checks for
    `probe_http`.

    It accepts fewer than configured if the limit on open files is too low.
    """
    limits = settings.limits
    connection_limits = ConnectionLimits(
        max_header_bytes=limits.max_header_bytes,
        max_headers=limits.max_headers,
        idle_seconds=limits.idle_seconds,
        head_seconds=limits.head_seconds,
        body_seconds=limits.body_seconds,
        max_buffer_bytes=2 * (limits.max_body_bytes + limits.max_header_bytes),
    )
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    affordable = affordable_connections(limits.connections, settings.most_calls, descriptors)
    if affordable < limits.connections:
        log.info("limits.connections is lowered to %d by the limit on open files", affordable)
    health = [path for path, _ in handlers.health.routes]
    below = [f"{settings.base_path}{path}" for path in health]
    return Acceptor(
        http,
        connection_limits,
        max_connections=affordable,
        unread_log=unread_log,
        peer_credentials=credentials,
        probes=ProbeConnections(probe_http, {*health, *below}),
    )


def peer_credentials(settings: Settings, stack: AsyncExitStack) -> PeerCredentials | None:
    """Finds out the users of connections, if requests need no credentials."""
    if settings.auth.mode != "none":
        return None
    if not HAS_PEER_CREDENTIALS:
        log.warning('auth.mode "none": this system does not tell who connects, only headers do')
        return None
    credentials = PeerCredentials()
    stack.callback(credentials.close)
    if credentials.trouble is not None and not settings.host.startswith(UNIX):
        log.warning('auth.mode "none" refuses everybody: %s (see doctor)', credentials.trouble)
    return credentials


def peer_timeouts(settings: Settings) -> PeerTimeouts:
    """The times after which a peer that is gone or stalled is cut off."""
    relay = settings.relay
    return PeerTimeouts(
        dead_seconds=relay.reader_dead_seconds, stall_seconds=relay.reader_stall_seconds
    )


def start_metrics_listener(
    settings: Settings, metrics: Metrics, unread_log: UnreadRequestLog, stack: AsyncExitStack
) -> str | None:
    """Start the listener for metrics, if it has a port of its own; returns its address.

    Raises CannotListen, also if another process of this server has the port.
    """
    host, port = settings.metrics.host, settings.metrics.port
    if port is None:
        return None
    try:
        sockets = bind(host, port)
    except (OSError, ValueError) as error:  # UnicodeError is one, for an invalid name
        reason = getattr(error, "strerror", None) or error
        raise CannotListen(
            f"metrics.port: cannot listen on {shown(host, port)}: {reason}; "
            "each process needs one of its own"
        ) from error
    most = handlers.metrics.MAX_BYTES
    connection_limits = ConnectionLimits(
        max_header_bytes=most,
        max_headers=settings.limits.max_headers,
        idle_seconds=handlers.metrics.IDLE_SECONDS,
        head_seconds=settings.limits.head_seconds,
        body_seconds=handlers.metrics.IDLE_SECONDS,
        max_buffer_bytes=2 * most,
    )
    http = handlers.metrics.scrape_server(metrics)
    url = f"{url_of(sockets[0])}/metrics"
    acceptor = Acceptor(
        http, connection_limits, max_connections=_MAX_SCRAPERS, unread_log=unread_log
    )
    acceptor.start(sockets)
    stack.push_async_callback(http.close_all_connections)
    stack.callback(acceptor.stop)
    return url
