"""Headrace's composition root and command line: settings → storage → providers → relay → app → run.

server.py [--config FILE]                 serve in the foreground
server.py [--config FILE] check-config    print the effective settings, secrets masked
"""

import argparse
import asyncio
import gc
import logging
import os
import secrets
import signal
import socket
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

import handlers.answers
import handlers.asking
import handlers.conversations
import handlers.health
import handlers.models
from handlers.base import NotFoundHandler, Services
from handlers.guard import Guard
from handlers.presence import Presence
from providers.building import build_provider
from providers.client import UpstreamClient
from providers.demo import DemoUpstream
from providers.provider import Provider
from relay.checkpoints import Checkpoints
from relay.leases import keep_lease, sweep_orphans
from relay.models import Models
from relay.relay import Limits, Relay
from settings import Settings, SettingsError, describe, load
from storage.base import Storage, StorageError
from storage.opening import from_url

log = logging.getLogger("headrace")

# Tornado's 128 costs the 129th client that connects at the same time a SYN retry of one second.
_BACKLOG = 4096

# With the kernel's default a reader that reads nothing is given megabytes before a flush waits;
# with this it is about a hundred kilobytes.
_SEND_BUFFER_BYTES = 32 * 1024

# Collection took a tenth of the CPU with Python's first threshold of 700: a stream's objects are
# freed by their counts, and cycles are few.
_GC_FIRST_THRESHOLD = 50_000

# Headers of a request: browsers stay below 8 KiB, with room for long tokens.
_MAX_HEADER_BYTES = 32 * 1024

# At the end every reader is sent its answer's ending. Who does not take it within this long has it
# when they come back: it is stored.
_LAST_WORDS_SECONDS = 5.0

_ROUTES = [
    *handlers.conversations.routes,
    *handlers.asking.routes,
    *handlers.answers.routes,
    *handlers.models.routes,
    *handlers.health.routes,
]


class CannotStart(Exception):
    """Why the server does not start, in one line for the operator."""


class Server:
    """A running server: where it listens, and what can be asked of it."""

    def __init__(self, url: str, relay: Relay, presence: Presence) -> None:
        self.url = url
        self.relay = relay
        self.presence = presence


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Server]:
    """Serve within this block; leaving it ends every answer as interrupted and keeps them all.

    Raises StorageError or CannotStart, with words for the operator, if it cannot start.
    """
    async with AsyncExitStack() as stack:
        storage = from_url(
            settings.storage.url,
            process=secrets.token_hex(16),
            lease_seconds=settings.relay.lease_seconds,
        )
        stack.push_async_callback(storage.close)
        await storage.open()
        models = await _models(settings, stack)
        checkpoints = Checkpoints(storage, interval=settings.relay.checkpoint_seconds)
        relay = Relay(storage, models, checkpoints, _limits(settings))
        await storage.renew_lease()
        await relay.end_orphans()

        presence = Presence(heartbeat_seconds=settings.relay.heartbeat_seconds)
        stack.callback(presence.close)
        lease_seconds = settings.relay.lease_seconds
        for chore in (
            checkpoints.run(),
            keep_lease(storage, lease_seconds=lease_seconds),
            sweep_orphans(relay, lease_seconds=lease_seconds),
        ):
            stack.push_async_callback(_cancel, _begun(chore))

        http = _http_server(settings, _services(settings, storage, models, relay, presence))
        sockets = _listen(settings.host, settings.port)
        http.add_sockets(sockets)
        stack.push_async_callback(http.close_all_connections)
        stack.push_async_callback(presence.nobody, patience=_LAST_WORDS_SECONDS)
        stack.push_async_callback(relay.close)
        stack.callback(http.stop)
        yield Server(_url(settings.host, sockets[0]), relay, presence)


async def _models(settings: Settings, stack: AsyncExitStack) -> Models:
    """The configured providers, sharing one client; the demo's upstream is started here."""
    client = UpstreamClient(max_connections=settings.upstream.max_connections)
    stack.callback(client.close)
    providers: dict[str, Provider] = {}
    for name, configured in settings.providers.items():
        base_url = configured.base_url
        if configured.dialect == "demo":
            demo = DemoUpstream()
            demo.start()
            stack.push_async_callback(demo.close)
            base_url = demo.base_url
        providers[name] = build_provider(
            name, configured, base_url=base_url, client=client, timeouts=settings.timeouts
        )
    models = Models(providers, settings.effective_default_model)
    stack.push_async_callback(models.close)
    return models


def _limits(settings: Settings) -> Limits:
    return Limits(
        max_answer_chars=settings.relay.max_answer_chars,
        context_chars=settings.context.max_chars,
        attach_seconds=settings.relay.attach_seconds,
        lease_seconds=settings.relay.lease_seconds,
    )


def _services(
    settings: Settings, storage: Storage, models: Models, relay: Relay, presence: Presence
) -> Services:
    return Services(
        relay=relay,
        storage=storage,
        models=models,
        presence=presence,
        guard=Guard(settings.cors.allow_origins),
        patience=0.0 if settings.relay.on_disconnect == "cancel" else None,
        max_body_bytes=settings.limits.max_body_bytes,
    )


def _http_server(settings: Settings, services: Services) -> HTTPServer:
    values = {"services": services}
    application = Application(
        [(pattern, handler, values) for pattern, handler in _ROUTES],
        default_handler_class=NotFoundHandler,
        default_handler_args=values,
        log_function=_log_request,
    )
    return HTTPServer(
        application,
        max_header_size=_MAX_HEADER_BYTES,
        # Somewhat above the limit: what is a little too large is refused in words.
        max_body_size=2 * settings.limits.max_body_bytes,
        max_buffer_size=2 * settings.limits.max_body_bytes + _MAX_HEADER_BYTES,
    )


def _listen(host: str, port: int) -> list[socket.socket]:
    try:
        sockets = bind_sockets(port, host, backlog=_BACKLOG)
    except OSError as error:
        raise CannotStart(f"cannot listen on {host}:{port}: {error.strerror}") from error
    for listening in sockets:  # connections inherit both
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sockets


def _url(host: str, listening: socket.socket) -> str:
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{listening.getsockname()[1]}"


def _log_request(handler: RequestHandler) -> None:
    """One line at DEBUG, without the query: answers have their own line when they end."""
    request = handler.request
    milliseconds = 1000 * request.request_time()
    log.debug(
        "request %s %s %d %.1fms",
        request.method,
        request.path,
        handler.get_status(),
        milliseconds,
    )


def _begun(chore: Coroutine[None, None, None]) -> asyncio.Task[None]:
    """A task that should never end by itself; if a bug ends it, the log says so."""

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            log.error("a chore of the server ended", exc_info=task.exception())

    task = asyncio.create_task(chore)
    task.add_done_callback(ended)
    return task


async def _cancel(chore: asyncio.Task[None]) -> None:
    chore.cancel()
    await asyncio.wait({chore})


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with running(settings) as server:
        gc.collect()
        gc.freeze()
        gc.set_threshold(_GC_FIRST_THRESHOLD)
        print(f"Headrace is ready at {server.url}", flush=True)
        await stopping.wait()
        log.info("stopping live_answers=%d", server.relay.live)


def main(arguments: list[str]) -> int:
    """The command line. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="server.py", description="Relays LLM streams to readers.")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings (headrace.toml)")
    parser.add_argument(
        "command",
        nargs="?",
        choices=("serve", "check-config"),
        default="serve",
        help="check-config prints the effective settings, secrets masked",
    )
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        settings = load(options.config, os.environ)
        if options.command == "check-config":
            print(describe(settings), end="")
        else:
            asyncio.run(serve(settings))
    except (SettingsError, StorageError, CannotStart) as error:
        print(f"headrace: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
