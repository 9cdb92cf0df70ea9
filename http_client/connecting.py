"""From an endpoint to a stream that can carry requests: DNS, TCP, a proxy's tunnel, TLS.

Everything here may be cancelled at any moment and leaves no socket open. That is why
tornado.tcpclient is not used: when `TCPClient.connect` is cancelled in the same iteration of the
event loop in which its connection is established, the socket stays open and nobody can close it
(seen with Tornado 6.6.1). The event loop's `sock_connect` is not used either: it removes a
descriptor by its number in a later iteration, when the number may be that of another socket.
"""

import asyncio
import errno
import os
import socket
import ssl
from collections.abc import Callable
from functools import lru_cache
from itertools import zip_longest
from typing import Any, cast

import certifi
from tornado.netutil import Resolver

from http_client.endpoints import Endpoint, TunnelProxy
from http_client.http1 import ResponseParser
from http_client.poller import READ, WRITE, SocketPoller
from http_client.reasons import ClosedByPeer, ProxyRefused
from http_client.streams import READ_BYTES, SocketStream, TlsStream

# Seconds to wait for one address before the next is tried in parallel, as RFC 8305 has it.
_NEXT_ADDRESS_SECONDS = 0.25

# TCP keepalive: a provider that disappeared without closing is noticed after 30 + 3 x 10 s of
# silence, and no NAT or load balancer drops a stream whose model thinks for long (AWS drops one
# after 350 s, Azure after 240 s).
_KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}


def _ignore(_: str) -> None:
    """Do nothing: the default for `on_stage`."""


async def connect(
    endpoint: Endpoint,
    resolver: Resolver,
    poller: SocketPoller,
    on_stage: Callable[[str], None] = _ignore,
) -> SocketStream:
    """Open a stream to `endpoint`.

    `on_stage` is called as each stage begins, with `dns`, `tcp`, `proxy` or `tls`. Raises OSError
    (of which ssl.SSLError is a kind), UnicodeError, or InvalidResponse if a proxy's response is not
    HTTP.

    A proxy is asked for a tunnel for http:// too. Closing a tunnel closes the connection to the
    provider at once; a proxy that forwards requests may read an answer to its end after the client
    has left (Squid does if little is missing), may buffer it, and sees the API key.
    """
    context = _tls_context(endpoint.ca_certs, endpoint.validate_cert) if endpoint.secure else None
    proxy = endpoint.proxy
    host, port = (endpoint.host, endpoint.port) if proxy is None else (proxy.host, proxy.port)
    sock = await _connect_tcp(host, port, resolver, poller, on_stage)
    try:
        if proxy is not None:
            on_stage("proxy")
            await _open_tunnel(sock, endpoint, proxy, poller)
        if context is None:
            return SocketStream(sock)
        on_stage("tls")
        return await _handshake(sock, context, endpoint.host, poller)
    except BaseException:
        sock.close()
        raise


async def _connect_tcp(
    host: str,
    port: int,
    resolver: Resolver,
    poller: SocketPoller,
    on_stage: Callable[[str], None],
) -> socket.socket:
    """Connect to the address that answers first (RFC 8305, "happy eyeballs").

    IPv6 and IPv4 addresses alternate. While an address has not answered, the next one is tried in
    parallel.
    """
    on_stage("dns")
    addresses = _alternating(await resolver.resolve(host, port))
    on_stage("tcp")
    attempts: dict[asyncio.Future[None], socket.socket] = {}
    last_error: OSError = socket.gaierror(socket.EAI_NONAME, "the name has no address")
    try:
        while addresses or attempts:
            if addresses:
                family, address = addresses.pop(0)
                try:
                    sock = _socket(family)
                except OSError as error:  # the system lacks the family, or a descriptor
                    last_error = error
                    continue
                attempts[_begin_connecting(sock, address, poller)] = sock
            wait_seconds = _NEXT_ADDRESS_SECONDS if addresses else None
            done, _ = await asyncio.wait(
                attempts, timeout=wait_seconds, return_when=asyncio.FIRST_COMPLETED
            )
            for attempt in done:
                failure = attempt.exception()
                if failure is None:
                    return attempts.pop(attempt)
                attempts.pop(attempt).close()
                last_error = cast(OSError, failure)
        raise last_error
    finally:
        for attempt, sock in attempts.items():
            poller.remove(sock.fileno())
            sock.close()
            if not attempt.cancel():
                attempt.exception()  # retrieved, so that asyncio does not log it


def _alternating(addresses: list[tuple[int, Any]]) -> list[tuple[int, Any]]:
    """Order addresses as the resolver did, with the families alternating, since a whole family
    may be unreachable.
    """
    families: dict[int, list[tuple[int, Any]]] = {}
    for family, address in addresses:
        families.setdefault(family, []).append((family, address))
    ranks = zip_longest(*families.values())
    return [address for rank in ranks for address in rank if address is not None]


def _socket(family: int) -> socket.socket:
    sock = socket.socket(family)
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        if option := getattr(socket, name, None):  # macOS has another name for one of them
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _begin_connecting(
    sock: socket.socket, address: Any, poller: SocketPoller
) -> asyncio.Future[None]:
    """Return a future that is done when `sock` is connected, or fails with OSError."""
    attempt: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def on_ready(_: int) -> None:
        poller.remove(sock.fileno())
        _settle(attempt, sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))

    try:
        number = sock.connect_ex(address)
    except OSError as error:  # the address is not valid
        attempt.set_exception(error)
        return attempt
    if number == errno.EINPROGRESS:
        poller.add(sock.fileno(), on_ready, WRITE)
    else:
        _settle(attempt, number)
    return attempt


def _settle(attempt: asyncio.Future[None], number: int) -> None:
    """Resolve `attempt` with the system's error number, where 0 means success."""
    if number == 0:
        attempt.set_result(None)
    else:
        attempt.set_exception(OSError(number, os.strerror(number)))


async def _open_tunnel(
    sock: socket.socket, endpoint: Endpoint, proxy: TunnelProxy, poller: SocketPoller
) -> None:
    """Ask the proxy at the other end of `sock` to connect it to `endpoint`."""
    lines = [f"CONNECT {endpoint.authority} HTTP/1.1", f"Host: {endpoint.authority}"]
    if proxy.authorization is not None:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    sock.sendall("\r\n".join([*lines, "", ""]).encode())  # the buffer of a new socket has room
    response = ResponseParser()
    early = b""
    while response.head is None:
        await poller.ready(sock.fileno(), READ)
        received = sock.recv(READ_BYTES)
        if not received:
            raise ClosedByPeer
        early = response.feed(received)
        response.raise_for_failure()
    if not 200 <= response.head.status < 300:
        raise ProxyRefused(response.head.status)
    if early:  # it would be read as the provider's response
        raise ConnectionAbortedError("the proxy went on talking after it made the tunnel")


async def _handshake(
    sock: socket.socket, context: ssl.SSLContext, host: str, poller: SocketPoller
) -> TlsStream:
    stream = TlsStream(sock, context, host)
    while not stream.shake_hands():
        await poller.ready(sock.fileno(), READ | (WRITE if stream.is_sending else 0))
        stream.receive_handshake(READ_BYTES)
    return stream


@lru_cache(maxsize=16)  # one per CA file in the settings
def _tls_context(ca_certs: str | None, validate_cert: bool) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_certs or certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    if not validate_cert:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
