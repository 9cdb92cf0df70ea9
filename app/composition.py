"""Makes a running server of the settings: store, providers, relay, handlers, sockets, in this
order.

This is the only place that knows all rooms. Whatever is opened here is closed here, in the opposite
order.
"""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from app.application import limited_application
from app.background import cancel, keep_running
from app.listeners import (
    client_acceptor,
    http_server,
    peer_credentials,
    peer_timeouts,
    start_metrics_listener,
)
from app.server import Server
from authentication import set_up_authentication
from handlers.ai_sdk.received_calls import ReceivedCalls
from handlers.attached_files import FileLimits
from handlers.cors import Cors
from handlers.disconnects import DisconnectWatcher
from handlers.event_streams import EventStreams
from handlers.log_redaction import redacted_tornado_log
from handlers.open_requests import OpenRequests
from handlers.question_body import QuestionReader
from handlers.refusal_log import RefusalLog
from handlers.response_bodies import QuestionLimits
from handlers.services import Services
from handlers.store_health import StoreHealth
from http_client.client import HttpClient
from providers.building import build_provider
from providers.demo import DemoUpstream
from relay.admission import Allowance
from relay.answer_record import AnswerRecord, log_answer
from relay.limits import Limits
from relay.models import Models, Source
from relay.relay import Relay
from settings import Settings, SettingsError
from sockets.body_budget import BodyBudget
from sockets.listening import is_shared, listen, url_of
from sockets.peer_monitor import PeerMonitor
from storage.contract import OutboxStore
from storage.factory import from_url
from telemetry.lag import watch_lag
from telemetry.log_event import LogEvent
from telemetry.metrics import Metrics, SocketStats
from webhooks.building import webhooks_of
from webhooks.sender import DeliveryResult
from webhooks.webhooks import Webhooks

log = logging.getLogger("headrace")

# Seconds for readers to receive their answers' endings at a shutdown. Others get them when they
# reconnect, since they are stored.
_ENDINGS_SECONDS = 5.0


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Server]:
    """Serve within this block; leaving it ends every answer as interrupted and stores them all.

    Raises StorageError or CannotListen, whose messages are for the operator, if it cannot start.
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
            listeners.append(_span_maker(stack))
        webhooks = await _webhooks(settings, storage, metrics, stack)
        relay = Relay(
            storage,
            models,
            _relay_limits(settings),
            call_each(*listeners),
            outbox=webhooks,
        )
        await relay.open()

        open_requests = OpenRequests()
        event_streams = EventStreams(
            heartbeat_seconds=settings.relay.heartbeat_seconds,
            first_sign_seconds=settings.relay.first_sign_seconds,
        )
        stack.callback(event_streams.close)
        disconnects = DisconnectWatcher()
        stack.callback(disconnects.close)
        cors = Cors(settings.cors.allow_origins)
        authentication = set_up_authentication(settings.auth, cors, storage, open_requests)
        stack.callback(authentication.close)
        tasks: list[Callable[[], Awaitable[None]]] = [
            *relay.background_tasks(),
            *authentication.background_tasks,
        ]
        tasks.append(partial(watch_lag, metrics.lagged))
        if webhooks is not None:
            tasks.extend(webhooks.background_tasks())
        store_health = StoreHealth(storage)
        stack.push_async_callback(store_health.close)
        tasks.append(store_health.run)
        refusal_log = RefusalLog(store_health)
        stack.callback(refusal_log.close)
        unread_log = stack.enter_context(redacted_tornado_log())
        for task in tasks:
            stack.push_async_callback(cancel, asyncio.create_task(keep_running(task)))

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
            max_file_body_bytes=settings.limits.max_file_body_bytes,
            question_limits=_question_limits(settings),
            question_reader=QuestionReader(
                relay.file_threads,
                FileLimits(settings.limits.max_file_bytes, settings.limits.max_files),
                max_body_bytes=settings.limits.max_body_bytes,
            ),
            received_calls=ReceivedCalls(),
            body_budget=BodyBudget(settings.limits.max_bodies_bytes),
            file_body_budget=BodyBudget(
                settings.limits.max_file_bodies_bytes, free_bytes=settings.limits.max_body_bytes
            ),
            base_path=settings.base_path,
            metrics=metrics,
            metrics_here=settings.metrics.port is None and not is_shared(settings),
        )
        application = limited_application(settings, services, unread_log)
        http = http_server(settings, application)
        probe_http = http_server(settings, application, keep_alive=False)
        metrics_url = start_metrics_listener(settings, metrics, unread_log, stack)
        sockets = listen(settings)
        url = url_of(sockets[0])
        acceptor = client_acceptor(
            settings, http, probe_http, unread_log, peer_credentials(settings, stack)
        )
        metrics.watch(
            lambda: relay.stats,
            lambda: SocketStats(
                readers=event_streams.open_count,
                connections=acceptor.connections,
                refused=acceptor.refused,
                upstream_in_use=client.connections_in_use,
                upstream_resting=client.connections_idle,
            ),
        )
        acceptor.start(sockets)
        peers = PeerMonitor(acceptor.open, peer_timeouts(settings))
        peers.start()
        stack.callback(peers.stop)
        stack.push_async_callback(http.close_all_connections)
        stack.push_async_callback(probe_http.close_all_connections)
        stack.push_async_callback(open_requests.wait_for_none, timeout=_ENDINGS_SECONDS)
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


async def _webhooks(
    settings: Settings, storage: OutboxStore, metrics: Metrics, stack: AsyncExitStack
) -> Webhooks | None:
    """The configured webhooks; None if there are none. Raises StorageError."""
    if not settings.webhooks:
        return None
    webhooks = Webhooks(webhooks_of(settings.webhooks), storage, metrics.webhook_tried)
    stack.push_async_callback(webhooks.close)
    await webhooks.open()
    metrics.watch_webhooks(DeliveryResult, lambda: webhooks.waiting)
    return webhooks


def _question_limits(settings: Settings) -> QuestionLimits:
    limits = settings.limits
    return QuestionLimits(
        max_question_chars=limits.max_question_chars,
        max_files=limits.max_files,
        max_file_bytes=limits.max_file_bytes,
        max_body_bytes=limits.max_body_bytes,
        max_file_body_bytes=limits.max_file_body_bytes,
    )


def _relay_limits(settings: Settings) -> Limits:
    limits = settings.limits
    return Limits(
        allowance=Allowance(
            answers=limits.answers,
            answers_per_user=limits.answers_per_user,
            requests_per_user=limits.requests_per_user,
            streams_per_user=limits.streams_per_user,
            questions_per_minute=limits.questions_per_minute,
            tokens_per_day=limits.tokens_per_day,
            stored_bytes=limits.kept_bytes_per_user,
            prompt_file_bytes=limits.max_file_bodies_bytes,
        ),
        max_unsent_bytes=limits.max_unsent_bytes,
        max_question_chars=limits.max_question_chars,
        max_answer_chars=settings.relay.max_answer_chars,
        context_chars=settings.context.max_chars,
        context_messages=settings.context.max_messages,
        context_part_bytes=settings.context.max_part_bytes,
        default_grace_seconds=0.0 if settings.relay.on_disconnect == "cancel" else None,
        keyed_grace_seconds=settings.relay.grace_seconds,
        checkpoint_seconds=settings.relay.checkpoint_seconds,
        attach_seconds=settings.relay.attach_seconds,
        pace_seconds=settings.relay.pace_ms / 1000,
        lease_seconds=settings.relay.lease_seconds,
    )


def call_each(*listeners: Callable[[AnswerRecord], None]) -> Callable[[AnswerRecord], None]:
    """A listener that passes each ended answer to all of these, whatever one of them raises."""

    def call_each(record: AnswerRecord) -> None:
        for listener in listeners:
            try:
                listener(record)
            except Exception as error:  # a bug, which must not cost the other listeners the record
                log.error(LogEvent("answer not recorded", answer=record.answer_id), exc_info=error)

    return call_each


def _span_maker(stack: AsyncExitStack) -> Callable[[AnswerRecord], None]:
    """The maker of traces. Raises SettingsError if its packages are not installed."""
    try:
        # Imported here, since its packages are optional.
        from telemetry.traces import Traces, otlp_exporter
    except ImportError as error:
        raise SettingsError(
            f"traces.enabled: {error.name} is not installed; requirements-traces.txt has it"
        ) from error
    traces = Traces(otlp_exporter())
    stack.push_async_callback(traces.close)
    return traces.finished
