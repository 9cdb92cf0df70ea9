"""Headrace's composition root and command line: settings → storage → providers → relay → app → run.

server.py [--config FILE]                 serve in the foreground
server.py [--config FILE] check-config    print the effective settings, secrets masked
server.py [--config FILE] doctor [--ask]  look for what is wrong, and say what to do
server.py [--config FILE] migrate         bring the store to this version, and say what was changed
server.py [--config FILE] backup FILE     copy the SQLite file, also beside a server that runs
server.py [--config FILE] restore FILE    put a backup in its place
server.py [--config FILE] check [FILE]    look through it, or a backup of it
server.py [--config FILE] create-key --user NAME [--admin] [--days N] [--models …] [--note TEXT]
server.py [--config FILE] list-keys [--user NAME]
server.py [--config FILE] revoke-key ID… | --user NAME

Those from `migrate` on work on the store itself (`commands.py`), and need no server.
"""

import argparse
import asyncio
import gc
import logging
import os
import resource
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path

from tornado.httpserver import HTTPServer
from tornado.web import Application, RequestHandler

import commands
import handlers.answers
import handlers.api_docs
import handlers.asking
import handlers.conversations
import handlers.health
import handlers.me
import handlers.metrics
import handlers.models
import handlers.page
import handlers.server_options
from auth.api_key_commands import CannotManage
from authentication import set_up_authentication
from doctor.examination import examine
from handlers.base import NotFoundHandler, Services
from handlers.cors import Cors
from handlers.disconnects import DisconnectWatcher
from handlers.event_streams import EventStreams
from handlers.log_redaction import redacted_tornado_log
from handlers.open_requests import OpenRequests
from handlers.refusal_log import RefusalLog
from handlers.store_health import StoreHealth
from http_client.client import HttpClient
from providers.building import build_provider
from providers.demo import DemoUpstream
from relay.admission import Allowance
from relay.answer_record import AnswerRecord, log_answer
from relay.models import Models, Source
from relay.relay import Limits, Relay
from service_links import service_links
from settings import (
    PREFIX,
    UNIX,
    Settings,
    SettingsError,
    describe,
    load,
    load_storage,
)
from sockets.acceptor import Acceptor, affordable_connections, take_all_descriptors
from sockets.binding import bind, shown
from sockets.body_budget import BodyBudget
from sockets.body_limiter import UNBOUNDED, BodyLimiter
from sockets.client_connection import ConnectionLimits
from sockets.listening import CannotListen, is_shared, listen, url_of
from sockets.peer_credentials import HAS_PEER_CREDENTIALS, PeerCredentials
from sockets.peer_monitor import PeerMonitor
from sockets.peer_progress import PeerTimeouts
from sockets.probe_connections import ProbeConnections
from sockets.unread_requests import UnreadRequestLog
from storage.errors import StorageError
from storage.opening import from_url
from supervision import Supervisor
from telemetry import logs
from telemetry.lag import watch_lag
from telemetry.log_event import LogEvent
from telemetry.metrics import Metrics, Sockets

log = logging.getLogger("headrace")

# Collection took a tenth of the CPU with Python's first threshold of 700: a stream's objects are
# freed by their counts, and cycles are few.
_GC_FIRST_THRESHOLD = 50_000

# Whoever was accepted just before the listening ended sends a question within a round trip, and is
# answered as ever. Without this wait a rolling restart under load refused some of them.
_LAST_GUESTS_SECONDS = 1.0

# From glibc's malloc.h, and what it begins with itself: bytes.
_M_MMAP_THRESHOLD = -3
_MMAP_THRESHOLD = 128 * 1024

# At the end every reader is sent its answer's ending. Who does not take it within this long has it
# when they come back: it is stored.
_LAST_WORDS_SECONDS = 5.0

# A chore that a bug ended is begun again: without its lease, say, this process would soon be taken
# for dead. Not at once, or the log would be full of it.
_AFTER_A_BUG_SECONDS = 1.0

# A terminal that is closed says so twice, by the kernel and by its shell, and systemd ends a
# session by SIGTERM and SIGHUP at once: the second time is no second thought of anybody's.
_ONE_HANGUP_SECONDS = 0.2

# Prometheus has one connection, and a person who looks another. They leave descriptors to readers.
_MOST_SCRAPERS = 32

_ROUTES = [
    *handlers.conversations.routes,
    *handlers.asking.routes,
    *handlers.answers.routes,
    *handlers.models.routes,
    *handlers.me.routes,
    *handlers.health.routes,
    *handlers.page.routes,
    *handlers.metrics.routes,
    *handlers.api_docs.routes,
    *handlers.server_options.routes,
]


class Server:
    """A running server: where it listens, and what can be asked of it."""

    def __init__(
        self,
        url: str,
        acceptor: Acceptor,
        relay: Relay,
        open_requests: OpenRequests,
        event_streams: EventStreams,
        metrics_url: str | None = None,
    ) -> None:
        self.url = url
        self.metrics_url = metrics_url
        self.acceptor = acceptor
        self.relay = relay
        self.open_requests = open_requests
        self.event_streams = event_streams

    async def drain(self, *, patience: float, hurry: asyncio.Event) -> None:
        """Listen no more, take nothing new, and return once no answer is live.

        At the latest that is after `patience` seconds, or when `hurry` is set.
        """
        self.relay.retire()
        self.acceptor.stop()  # a supervisor's socket stays open, for the next process to use
        lingering = min(_LAST_GUESTS_SECONDS, patience)
        with suppress(TimeoutError):
            async with asyncio.timeout(lingering):
                await hurry.wait()
        self.relay.refuse()
        waits = [asyncio.create_task(self.relay.idle()), asyncio.create_task(hurry.wait())]
        await asyncio.wait(waits, timeout=patience - lingering, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        await asyncio.wait(waits)


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Server]:
    """Serve within this block; leaving it ends every answer as interrupted and keeps them all.

    Raises StorageError or CannotListen, with words for the operator, if it cannot start.
    """
    async with AsyncExitStack() as stack:
        storage = from_url(
            settings.storage.url,
            process=secrets.token_hex(16),
            lease_seconds=settings.relay.lease_seconds,
        )
        stack.push_async_callback(storage.close)
        await storage.open()
        client = HttpClient(max_connections=settings.upstream.max_connections)
        stack.callback(client.close)
        models = await _models(settings, client, stack)
        metrics = Metrics(models.names())
        listeners: list[Callable[[AnswerRecord], None]] = [log_answer, metrics.finished]
        if settings.traces.enabled:
            listeners.append(_traced(stack))
        relay = Relay(storage, models, _limits(settings), _told_to(*listeners))
        await relay.open()

        open_requests = OpenRequests()
        event_streams = EventStreams(heartbeat_seconds=settings.relay.heartbeat_seconds)
        stack.callback(event_streams.close)
        disconnects = DisconnectWatcher()
        stack.callback(disconnects.close)
        cors = Cors(settings.cors.allow_origins)
        authentication = set_up_authentication(settings.auth, cors, storage, open_requests)
        stack.callback(authentication.close)
        chores: list[Callable[[], Awaitable[None]]] = [*relay.chores(), *authentication.chores]
        chores.append(partial(watch_lag, metrics.lagged))
        store_health = StoreHealth(storage)
        stack.push_async_callback(store_health.close)
        chores.append(store_health.run)
        refusal_log = RefusalLog(store_health)
        stack.callback(refusal_log.close)
        unread = stack.enter_context(redacted_tornado_log())
        for chore in chores:
            stack.push_async_callback(_cancel, asyncio.create_task(_kept_up(chore)))

        services = Services(
            relay=relay,
            storage=storage,
            store_health=store_health,
            refusal_log=refusal_log,
            models=models,
            open_requests=open_requests,
            event_streams=event_streams,
            disconnects=disconnects,
            authenticator=authentication.authenticator,
            tickets=authentication.tickets,
            cors=cors,
            max_body_bytes=settings.limits.max_body_bytes,
            body_budget=BodyBudget(settings.limits.max_bodies_bytes),
            base_path=settings.base_path,
            metrics=metrics,
            metrics_here=settings.metrics.port is None and not is_shared(settings),
        )
        bodies = _bodies(settings, services, unread)
        http = _http_server(settings, bodies)
        spare_http = _http_server(settings, bodies, keeps=False)
        metrics_url = _scraped(settings, metrics, unread, stack)
        sockets = listen(settings)
        url = url_of(sockets[0])
        acceptor = _acceptor(settings, http, spare_http, unread, _owners(settings, stack))
        metrics.watch(
            lambda: relay.stats,
            lambda: Sockets(
                readers=event_streams.open_count,
                connections=acceptor.connections,
                refused=acceptor.refused,
                upstream_in_use=client.connections_in_use,
                upstream_resting=client.connections_idle,
            ),
        )
        acceptor.start(sockets)
        peers = PeerMonitor(acceptor.open, _patience(settings))
        peers.start()
        stack.callback(peers.stop)
        stack.push_async_callback(http.close_all_connections)
        stack.push_async_callback(spare_http.close_all_connections)
        stack.push_async_callback(open_requests.wait_for_none, timeout=_LAST_WORDS_SECONDS)
        stack.push_async_callback(relay.close)
        stack.callback(acceptor.stop)
        yield Server(url, acceptor, relay, open_requests, event_streams, metrics_url)


async def _models(settings: Settings, client: HttpClient, stack: AsyncExitStack) -> Models:
    """The configured providers, sharing one client; the demo's upstream is started here."""
    providers: dict[str, Source] = {}
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
    limits = settings.limits
    return Limits(
        allowance=Allowance(
            answers=limits.answers,
            answers_per_user=limits.answers_per_user,
            requests_per_user=limits.requests_per_user,
            streams_per_user=limits.streams_per_user,
            questions_per_minute=limits.questions_per_minute,
            tokens_per_day=limits.tokens_per_day,
            kept_bytes=limits.kept_bytes_per_user,
        ),
        max_unsent_bytes=limits.max_unsent_bytes,
        max_question_chars=limits.max_question_chars,
        max_answer_chars=settings.relay.max_answer_chars,
        context_chars=settings.context.max_chars,
        context_messages=settings.context.max_messages,
        grace_seconds=0.0 if settings.relay.on_disconnect == "cancel" else None,
        keyed_grace_seconds=settings.relay.grace_seconds,
        checkpoint_seconds=settings.relay.checkpoint_seconds,
        attach_seconds=settings.relay.attach_seconds,
        lease_seconds=settings.relay.lease_seconds,
    )


def _told_to(*listeners: Callable[[AnswerRecord], None]) -> Callable[[AnswerRecord], None]:
    """Tell each of them of every answer that ended."""

    def tell(record: AnswerRecord) -> None:
        for listener in listeners:
            listener(record)

    return tell


def _traced(stack: AsyncExitStack) -> Callable[[AnswerRecord], None]:
    """What makes spans of answers. Raises SettingsError if its packages are not installed."""
    try:
        # Not at the top: it is an extra, and a server without it need not have it.
        from telemetry.traces import Traces, otlp_exporter
    except ImportError as error:
        raise SettingsError(
            f"traces.enabled: {error.name} is not installed; requirements-traces.txt has it"
        ) from error
    traces = Traces(otlp_exporter())
    stack.push_async_callback(traces.close)
    return traces.finished


def _scraped(
    settings: Settings, metrics: Metrics, unread: UnreadRequestLog, stack: AsyncExitStack
) -> str | None:
    """The address of the metrics' own listener, which is started here, if they have one.

    Raises CannotListen: also of a port that another process of ours has.
    """
    host, port = settings.metrics.host, settings.metrics.port
    if port is None:
        return None
    try:
        sockets = bind(host, port)
    except (OSError, ValueError) as error:  # a UnicodeError, of what is no name
        reason = getattr(error, "strerror", None) or error
        raise CannotListen(
            f"metrics.port: cannot listen on {shown(host, port)}: {reason}; "
            "each process needs one of its own"
        ) from error
    most = handlers.metrics.MAX_BYTES
    bounds = ConnectionLimits(
        max_header_bytes=most,
        max_headers=settings.limits.max_headers,
        head_seconds=settings.limits.head_seconds,
        max_buffer_bytes=2 * most,
    )
    http = handlers.metrics.scrape_server(metrics)
    url = f"{url_of(sockets[0])}/metrics"
    acceptor = Acceptor(http, bounds, max_connections=_MOST_SCRAPERS, unread_log=unread)
    acceptor.start(sockets)
    stack.push_async_callback(http.close_all_connections)
    stack.callback(acceptor.stop)
    return url


def _bodies(settings: Settings, services: Services, unread: UnreadRequestLog) -> BodyLimiter:
    """The application, and ahead of it what bounds the bodies of requests."""
    values = {"services": services}
    routes = [*_ROUTES, *handlers.page.base_path_redirect(settings.base_path)]
    application = Application(
        [(pattern, handler, values) for pattern, handler in routes],
        default_handler_class=NotFoundHandler,
        default_handler_args=values,
        log_function=_log_request,
    )
    limits = settings.limits

    def tell(code: str) -> None:
        services.metrics.refused(code)
        level = logging.WARNING if code == "overloaded" else logging.INFO
        unread.write(code, level=level)

    return BodyLimiter(
        application,
        max_body_bytes=limits.max_body_bytes,
        budget=services.body_budget,
        on_refused=tell,
        base_path=settings.base_path,
        readable=services.cors.readable,
    )


def _http_server(settings: Settings, bodies: BodyLimiter, *, keeps: bool = True) -> HTTPServer:
    limits = settings.limits
    return HTTPServer(
        bodies,
        no_keep_alive=not keeps,
        # Somewhat above the limit: what is a little too large is refused in words.
        max_header_size=2 * limits.max_header_bytes,
        max_body_size=UNBOUNDED,
        body_timeout=limits.body_seconds,
        idle_connection_timeout=limits.idle_seconds,
    )


def _owners(settings: Settings, stack: AsyncExitStack) -> PeerCredentials | None:
    """What tells whose program connects, where nobody shows a key."""
    if settings.auth.mode != "none":
        return None
    if not HAS_PEER_CREDENTIALS:
        log.warning('auth.mode "none": this system does not tell who connects, only headers do')
        return None
    owners = PeerCredentials()
    stack.callback(owners.close)
    if owners.trouble is not None and not settings.host.startswith(UNIX):
        log.warning('auth.mode "none" refuses everybody: %s (see doctor)', owners.trouble)
    return owners


def _acceptor(
    settings: Settings,
    http: HTTPServer,
    spare_http: HTTPServer,
    unread: UnreadRequestLog,
    owners: PeerCredentials | None,
) -> Acceptor:
    limits = settings.limits
    bounds = ConnectionLimits(
        max_header_bytes=limits.max_header_bytes,
        max_headers=limits.max_headers,
        head_seconds=limits.head_seconds,
        max_buffer_bytes=2 * (limits.max_body_bytes + limits.max_header_bytes),
    )
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    affordable = affordable_connections(limits.connections, settings.most_calls, descriptors)
    if affordable < limits.connections:
        log.info("limits.connections is more than the limit on open files bears: %d", affordable)
    health = [path for path, _ in handlers.health.routes]
    below = [f"{settings.base_path}{path}" for path in health]
    return Acceptor(
        http,
        bounds,
        max_connections=affordable,
        unread_log=unread,
        peer_credentials=owners,
        probes=ProbeConnections(spare_http, {*health, *below}),
    )


def _patience(settings: Settings) -> PeerTimeouts:
    relay = settings.relay
    return PeerTimeouts(
        dead_seconds=relay.reader_dead_seconds, stall_seconds=relay.reader_stall_seconds
    )


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


async def _kept_up(chore: Callable[[], Awaitable[None]]) -> None:
    """Do what should never end. If a bug ends it, the log says so, and it is begun again."""
    while True:
        try:
            await chore()
        except Exception as error:
            log.error("a chore of the server ended", exc_info=error)
        await asyncio.sleep(_AFTER_A_BUG_SECONDS)


async def _cancel(chore: asyncio.Task[None]) -> None:
    chore.cancel()
    await asyncio.wait({chore})


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM, SIGINT or SIGHUP, and drain then; a second one cuts that short."""
    stopping, hurry = asyncio.Event(), asyncio.Event()

    last, last_at = 0, float("-inf")

    def signalled(number: int) -> None:
        nonlocal last, last_at
        is_one = signal.SIGHUP in (last, number) and loop.time() < last_at + _ONE_HANGUP_SECONDS
        last, last_at = number, loop.time()
        if not is_one:
            (hurry if stopping.is_set() else stopping).set()

    take_all_descriptors()
    _give_memory_back()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signalled, number)
    # A terminal that was closed, or a habit: there is nothing that could be read anew. Who started
    # the server by nohup does not mean it to hear of that.
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        loop.add_signal_handler(signal.SIGHUP, signalled, signal.SIGHUP)
    supervisor = Supervisor()
    async with AsyncExitStack() as stack:
        telling = asyncio.create_task(_kept_up(supervisor.keep_telling))
        stack.push_async_callback(_cancel, telling)
        server = await stack.enter_async_context(running(settings))
        gc.collect()
        gc.freeze()
        gc.set_threshold(_GC_FIRST_THRESHOLD)
        if server.metrics_url is not None:
            log.info("metrics at %s", server.metrics_url)
        print(f"Headrace is ready at {server.url}", flush=True)
        supervisor.ready(partial(_in_words, server, "serving"))
        await stopping.wait()
        supervisor.stopping(partial(_in_words, server, "draining"))
        log.info(LogEvent("draining", live_answers=server.relay.live))
        await server.drain(patience=settings.relay.drain_seconds, hurry=hurry)
        log.info(LogEvent("stopping", live_answers=server.relay.live))


def _give_memory_back() -> None:
    """Have glibc give long pages back to the system when they are freed, whatever it has seen.

    Else it learns from the first that is freed to keep such, and 35 of a megabyte each, between
    others that were freed, take 117 MB. This costs half a millisecond a megabyte.
    """
    # Another C library has no such function; and where memory cannot be made executable, ctypes
    # may not load.
    with suppress(ImportError, AttributeError, OSError, MemoryError):
        import ctypes

        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _MMAP_THRESHOLD)


def _in_words(server: Server, what: str) -> str:
    """How the server does, for the person who asks systemd."""
    live, readers = server.relay.live, server.event_streams.open_count
    return f"{what} {live} live answer{'s' * (live != 1)} to {readers} reader{'s' * (readers != 1)}"


def main(arguments: list[str]) -> int:
    """The command line. Returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        if options.command in commands.NAMES:
            return commands.run(options, load_storage(options.config, os.environ))
        settings = load(options.config, os.environ)
        logs.configure(settings.log.format, settings.log.level)
        if options.command == "check-config":
            print(describe(settings), end="")
        elif options.command == "doctor":
            return 0 if asyncio.run(examine(settings, ask=options.ask, say=print)) else 1
        else:
            if links := service_links(os.environ, PREFIX):
                log.info("a Kubernetes Service's, and no settings: %s", ", ".join(sorted(links)))
            asyncio.run(serve(settings))
    except (SettingsError, StorageError, CannotListen, CannotManage) as error:
        print(f"headrace: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="server.py", description="Relays LLM streams to readers.")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings (headrace.toml)")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND")
    parser.set_defaults(command="serve")
    subparsers.add_parser("serve", help="run the server in the foreground (the default)")
    subparsers.add_parser("check-config", help="print the effective settings, secrets masked")
    doctor = subparsers.add_parser("doctor", help="check settings, machine, store and providers")
    doctor.add_argument("--ask", action="store_true", help="also ask each provider for one token")
    commands.add_to(subparsers)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
