"""From a URL to a stream that can carry requests: DNS, TCP, a proxy's tunnel, TLS.

Everything here may be cancelled at any moment and leaves no socket open. That is why
tornado.tcpclient is not used: when `TCPClient.connect` is cancelled in the same iteration of the
event loop in which its connection is established, the socket stays open and nobody can close it
(seen with Tornado 6.6.1).
"""

import asyncio
import re
import socket
import ssl
from base64 import b64encode
from collections.abc import Callable
from functools import lru_cache
from itertools import zip_longest
from typing import Any, NamedTuple, cast
from urllib.parse import urlsplit

import certifi
from tornado.iostream import IOStream, StreamClosedError
from tornado.netutil import Resolver

from http_client.http1 import ResponseParser
from http_client.reasons import NotTls, ProxyRefused

# Bytes of one read. A TLS record is at most this long; a streamed token has a few hundred bytes.
READ_BYTES = 16 * 1024

# Bytes. Tornado allocates and clears this much for each attempt to read, and makes two attempts per
# token; its default of 64 KiB would cost 1 µs more per token. A read may be half of this buffer.
_STREAM_BUFFER_BYTES = 2 * READ_BYTES

# Seconds to wait for one address before the next is tried in parallel, as RFC 8305 has it.
_NEXT_ADDRESS_SECONDS = 0.25

# TCP keepalive: a provider that disappeared without closing is noticed after 30 + 3 x 10 s of
# silence, and no NAT or load balancer drops a stream whose model thinks for long (AWS drops one
# after 350 s, Azure after 240 s).
_KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}

_HOST = re.compile(r"[0-9A-Za-z_:][0-9A-Za-z_:.%\-]*")


class TunnelProxy(NamedTuple):
    """An HTTP proxy that opens tunnels (CONNECT)."""

    host: str
    port: int
    authorization: str | None  # the value of the header Proxy-Authorization

    @classmethod
    def of(cls, host: str, port: int, username: str | None, password: str | None) -> "TunnelProxy":
        """Build a proxy's address, with Basic credentials if there is a user.

        Raises ValueError if `host` is not a host name.
        """
        if username is None:
            return cls(_checked(host), port, None)
        credentials = f"{username}:{password or ''}".encode()
        return cls(_checked(host), port, "Basic " + b64encode(credentials).decode())


class Endpoint(NamedTuple):
    """Where a connection leads, and how.

    A connection may be reused for any request to an equal endpoint.
    """

    host: str
    port: int
    secure: bool
    validate_cert: bool = True
    ca_certs: str | None = None  # None: certifi's certificates
    proxy: TunnelProxy | None = None

    @property
    def authority(self) -> str:
        """`host:port`, with an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def host_header(self) -> str:
        """The authority, without the port if it is the scheme's default."""
        return self.authority.removesuffix(":443" if self.secure else ":80")

    def __repr__(self) -> str:  # the fields hold the proxy's password
        return f"<Endpoint {'https' if self.secure else 'http'}://{self.authority}>"


def parse_url(url: str) -> tuple[Endpoint, str]:
    """Return the endpoint and the request target of `url`.

    Raises ValueError, which does not quote the URL.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise ValueError("an address begins with http:// or https://")
    if parts.username is not None:
        raise ValueError("credentials belong in a header, not in the address")
    secure = parts.scheme == "https"
    port = parts.port if parts.port is not None else 443 if secure else 80
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Endpoint(_checked(parts.hostname or ""), port, secure), target


def _ignore(_: str) -> None:
    """Do nothing: the default for `on_stage`."""


async def connect(
    endpoint: Endpoint, resolver: Resolver, on_stage: Callable[[str], None] = _ignore
) -> IOStream:
    """Open a stream to `endpoint`.

    `on_stage` is called as each stage begins, with `dns`, `tcp`, `proxy` or `tls`. Raises OSError
    (of which ssl.SSLError is a kind), UnicodeError, or InvalidResponse if a proxy's response is not
    HTTP.

    A proxy is asked for a tunnel for http:// too. Closing a tunnel closes the connection to the
    provider at once; a proxy that forwards requests may read an answer to its end after the client
    has left (Squid does if little is missing), may buffer it, and sees the API key.
    """
    context = _tls_context(endpoint.ca_certs, endpoint.validate_cert) if endpoint.secure else None
    if (proxy := endpoint.proxy) is None:
        stream = await _connect_tcp(endpoint.host, endpoint.port, resolver, on_stage)
    else:
        stream = await _connect_tcp(proxy.host, proxy.port, resolver, on_stage)
        on_stage("proxy")
        try:
            await _open_tunnel(stream, endpoint, proxy)
        except BaseException:
            stream.close()
            raise
    if context is None:
        return stream
    on_stage("tls")
    return await _handshake(stream, context, endpoint.host)


async def _connect_tcp(
    host: str, port: int, resolver: Resolver, on_stage: Callable[[str], None]
) -> IOStream:
    """Connect to the address that answers first (RFC 8305, "happy eyeballs").

    IPv6 and IPv4 addresses alternate. While an address has not answered, the next one is tried in
    parallel.
    """
    on_stage("dns")
    addresses = _alternating(await resolver.resolve(host, port))
    on_stage("tcp")
    attempts: dict[asyncio.Future[IOStream], IOStream] = {}
    last_error: OSError = socket.gaierror(socket.EAI_NONAME, "the name has no address")
    try:
        while addresses or attempts:
            if addresses:
                family, address = addresses.pop(0)
                try:
                    stream = _stream(family)
                except OSError as error:  # the system lacks the family, or a descriptor
                    last_error = error
                    continue
                attempts[stream.connect(address)] = stream
            wait_seconds = _NEXT_ADDRESS_SECONDS if addresses else None
            done, _ = await asyncio.wait(
                attempts, timeout=wait_seconds, return_when=asyncio.FIRST_COMPLETED
            )
            for attempt in done:
                stream = attempts.pop(attempt)
                failure = attempt.exception()
                if failure is None:
                    return stream
                last_error = cast(OSError, failure)
        raise stream_error(last_error) or last_error
    finally:
        for stream in attempts.values():
            stream.close()


def _alternating(addresses: list[tuple[int, Any]]) -> list[tuple[int, Any]]:
    """Order addresses as the resolver did, with the families alternating, since a whole family
    may be unreachable.
    """
    families: dict[int, list[tuple[int, Any]]] = {}
    for family, address in addresses:
        families.setdefault(family, []).append((family, address))
    ranks = zip_longest(*families.values())
    return [address for rank in ranks for address in rank if address is not None]


def _stream(family: int) -> IOStream:
    sock = socket.socket(family)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        if option := getattr(socket, name, None):  # macOS has another name for one of them
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
    stream = IOStream(sock, max_buffer_size=_STREAM_BUFFER_BYTES, read_chunk_size=READ_BYTES)
    stream.set_nodelay(True)
    return stream


async def _open_tunnel(stream: IOStream, endpoint: Endpoint, proxy: TunnelProxy) -> None:
    """Ask the proxy at the other end of `stream` to connect it to `endpoint`."""
    lines = [f"CONNECT {endpoint.authority} HTTP/1.1", f"Host: {endpoint.authority}"]
    if proxy.authorization is not None:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    await stream.write("\r\n".join([*lines, "", ""]).encode())
    response = ResponseParser()
    early = b""
    while response.head is None:
        early = response.feed(await stream.read_bytes(READ_BYTES, partial=True))
        response.raise_for_failure()
    if not 200 <= response.head.status < 300:
        raise ProxyRefused(response.head.status)
    if early:  # it would be read as the provider's response
        raise ConnectionAbortedError("the proxy went on talking after it made the tunnel")


async def _handshake(stream: IOStream, context: ssl.SSLContext, host: str) -> IOStream:
    try:
        handshake = stream.start_tls(False, context, server_hostname=host)
    except ValueError as error:  # bytes were received already: a TLS server never sends first
        stream.close()
        raise NotTls("the other side does not speak TLS") from error
    try:
        return await handshake
    except asyncio.CancelledError:
        # If this is cancelled in the iteration in which it succeeded, nothing else refers to the
        # stream.
        if not handshake.cancelled() and handshake.exception() is None:
            handshake.result().close()
        raise


@lru_cache(maxsize=16)  # one per CA file in the settings
def _tls_context(ca_certs: str | None, validate_cert: bool) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_certs or certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    if not validate_cert:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def stream_error(error: OSError) -> BaseException | None:
    """Return the system's or TLS's error that a stream failed with; None if the other side
    closed the stream.
    """
    return error.real_error if isinstance(error, StreamClosedError) else error


def _checked(host: str) -> str:
    if not _HOST.fullmatch(host):
        raise ValueError("the address has no host, or one that is not ASCII")
    return host
