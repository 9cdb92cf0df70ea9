"""The limits of this machine: open files, the queue of connections, and whether ports are free."""

import asyncio
import errno
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import msgspec

from doctor.findings import Finding, ok, warning, wrong
from http_client.client import ClientRequest, HttpClient
from http_client.errors import HttpClientError
from settings import UNIX, Settings
from sockets.acceptor import OTHER_DESCRIPTORS, affordable_connections
from sockets.binding import BACKLOG, bind, shown

_SOMAXCONN = Path("/proc/sys/net/core/somaxconn")

# Seconds to wait for a server that has the port: it is on this machine.
_PROBE_SECONDS = 2.0


def limits(settings: Settings) -> Iterator[Finding]:
    """Compares the kernel's limits with what the settings need."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)  # the server raises its soft limit to this
    calls = settings.most_calls
    wanted = settings.limits.connections
    needed = wanted + calls + OTHER_DESCRIPTORS
    affordable = affordable_connections(wanted, calls, most)
    if most == resource.RLIM_INFINITY or most >= needed:
        yield ok("open files", f"{_number(most)} allowed, {needed:,} can be needed")
    else:
        yield warning(
            "open files",
            f"{_number(most)} allowed here, while limits.connections = {wanted:,} and {calls:,} "
            f"upstream calls need {needed:,}: the server would accept {affordable:,} connections",
            f"LimitNOFILE={needed} in the unit, or a higher hard limit (`ulimit -Hn`), or lower "
            "limits.connections; a unit's limit is not this shell's",
        )
    try:
        queue = int(_SOMAXCONN.read_text())
    except (OSError, ValueError):  # not Linux
        return
    if queue >= BACKLOG:
        yield ok("backlog", f"{queue:,} connections may wait to be accepted")
    else:
        yield warning(
            "backlog",
            f"{queue:,} connections may wait to be accepted, and the server asks for {BACKLOG:,}: "
            "in a burst the others wait for a second or more",
            f"sysctl net.core.somaxconn={BACKLOG}",
        )


async def ports(settings: Settings, client: HttpClient) -> list[Finding]:
    """Whether the ports are free, or taken by a running Headrace."""
    found = [
        await _port("port", settings.host, settings.port, settings.reuse_port, "/healthz", client)
    ]
    metrics = settings.metrics
    if metrics.port is not None:
        found.append(
            await _port("metrics.port", metrics.host, metrics.port, False, "/metrics", client)
        )
    return found


async def _port(
    about: str, host: str, port: int, shared: bool, path: str, client: HttpClient
) -> Finding:
    if host.startswith(UNIX):
        return await _unix_socket(about, host.removeprefix(UNIX))
    if port == 0:
        return ok(about, "any free port")
    where = shown(host, port)
    try:
        _try(host, port, shared)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            if await _is_ours(f"http://{where}{path}", client):
                return ok(about, f"{where} is used by a Headrace that responds")
            return wrong(
                about,
                f"{where} is used, and not by a Headrace that responds",
                f"`ss -ltnp 'sport = :{port}'` says who has it; or set {about}",
            )
        if error.errno == errno.EACCES:
            return wrong(
                about,
                f"this user may not bind {where}",
                "use a port from 1024 on, systemd's socket, or CAP_NET_BIND_SERVICE",
            )
        name = about.replace("port", "host")
        return wrong(about, f"{where} cannot be opened: {error.strerror}", f"set {name}")
    return ok(about, f"{where} is free")


async def _unix_socket(about: str, path: str) -> Finding:
    """Whether a server could listen at `path`; a socket without a listener is replaced."""
    if (trouble := _path_obstacle(about, path)) is not None:
        return trouble
    try:
        reader, writer = await asyncio.open_unix_connection(path)
    except OSError:
        return ok(about, f"{path} is free")
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    try:
        async with asyncio.timeout(_PROBE_SECONDS):
            answer = await reader.read()
    except (OSError, TimeoutError):
        answer = b""
    writer.close()
    if b'{"status":"ok"}' in answer:
        return ok(about, f"{path} is used by a Headrace that responds")
    return wrong(about, f"{path} is used, and not by a Headrace that responds", "set host")


def _path_obstacle(about: str, path: str) -> Finding | None:
    """Why no socket can be created at `path`; None if nothing prevents it."""
    place = Path(path).resolve()
    if not os.access(place.parent, os.W_OK | os.X_OK):
        return wrong(
            about,
            f"{place.parent} does not exist or is not writable",
            "create it (RuntimeDirectory= in a unit), or set host",
        )
    if place.exists() and not place.is_socket():
        return wrong(about, f"{path} exists and is not a socket", "remove it, or set host")
    return None


def _try(host: str, port: int, shared: bool) -> None:
    """Bind the port as the server would, and close it again. Raises OSError."""
    # Where processes share a port, the kernel gives connections to whoever listens, however
    # briefly.
    for trial in bind(host, port, reuse_port=shared, listens=not shared):
        trial.close()


async def _is_ours(url: str, client: HttpClient) -> bool:
    """Whether a Headrace answers at `url`."""
    try:
        async with asyncio.timeout(_PROBE_SECONDS):
            response = await client.fetch(ClientRequest(url), raise_error=False)
    except (HttpClientError, TimeoutError):
        return False
    if url.endswith("/metrics"):
        return b"headrace_" in response.body
    try:
        return bool(msgspec.json.decode(response.body) == {"status": "ok"})
    except msgspec.DecodeError:
        return False


def _number(limit: int) -> str:
    return "any number" if limit == resource.RLIM_INFINITY else f"{limit:,}"
