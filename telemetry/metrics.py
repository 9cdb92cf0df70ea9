"""Metrics for Prometheus: counters of what happened, and gauges of the current state.

Nothing is counted per token. Counters and histograms change when an answer ends, when a request is
refused, and four times a second for the event loop's lag; gauges are read at each scrape.

Each process has a registry and is a target of its own. The library's multi-process mode would keep
every number in memory-mapped files, which stay when a process dies, and could not read gauges of
other processes.

No label has a value that a client chose: models that the operator does not list are "other".
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import product
from typing import Any, NamedTuple

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from model.messages import Status
from model.usage import Grade, Usage
from relay.answer_record import AnswerRecord
from relay.stats import RelayStats

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# The label of models that the operator does not list: clients may name any.
_OTHER = "other"

# Seconds, from a cached first token to the slowest answer that the default `timeouts` permit.
_FIRST_TOKEN = (0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60)
_ANSWER = (0.5, 1, 2.5, 5, 10, 20, 40, 60, 120, 300, 600)
# Seconds. A cancel takes a millisecond; more than a tenth of a second means that something blocks
# the loop.
_CANCEL = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5)
_LAG = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)

# Without this every counter has a second line with its creation time, which Prometheus does not
# use.
disable_created_metrics()  # type: ignore[no-untyped-call]


class SocketStats(NamedTuple):
    """The state of this process' sockets at one moment."""

    readers: int  # open event streams
    connections: int  # of clients
    refused: int  # connections that were refused since the start
    upstream_in_use: int
    upstream_resting: int


class _ModelSeries(NamedTuple):
    """The series of one model that each of its answers counts in.

    They are looked up once: finding a series by its labels costs more than counting in it.
    """

    answers: dict[Status, Counter]
    seconds: Histogram
    input_tokens: Counter
    output_tokens: Counter


class Metrics:
    """The metrics of one process."""

    def __init__(self, models: Iterable[str]) -> None:
        self._registry = CollectorRegistry()
        self._models = frozenset(models)
        ProcessCollector(registry=self._registry)
        registry = self._registry
        self._answers = Counter(
            "headrace_answers",
            "Number of answers that have ended.",
            ["model", "status"],
            registry=registry,
        )
        self._first_token = Histogram(
            "headrace_first_token_seconds",
            "Seconds from a question to the first token of its answer.",
            ["model"],
            buckets=_FIRST_TOKEN,
            registry=registry,
        )
        self._seconds = Histogram(
            "headrace_answer_seconds",
            "Seconds from a question to the end of its answer.",
            ["model"],
            buckets=_ANSWER,
            registry=registry,
        )
        self._tokens = Counter(
            "headrace_tokens",
            "Number of tokens of ended answers, as reported by the provider or estimated.",
            ["model", "kind"],
            registry=registry,
        )
        self._token_parts = Counter(
            "headrace_token_parts",
            "Number of those tokens that were read from the provider's cache, written to it, or "
            "spent on reasoning.",
            ["model", "part"],
            registry=registry,
        )
        self._uncertain_usage = Counter(
            "headrace_uncertain_usage",
            "Number of ended answers whose tokens are estimated, or are the provider's figures up "
            "to a cut-off.",
            ["model", "grade"],
            registry=registry,
        )
        self._upstream_errors = Counter(
            "headrace_upstream_errors",
            "Number of answers that ended because the provider failed.",
            ["provider", "code"],
            registry=registry,
        )
        self._cancel = Histogram(
            "headrace_cancel_seconds",
            "Seconds from the cancelling of an answer, such as when its last reader disconnects, "
            "to the closing of the connection to the provider.",
            buckets=_CANCEL,
            registry=registry,
        )
        self._refused = Counter(
            "headrace_requests_refused",
            "Number of requests that were answered with an error.",
            ["reason"],
            registry=registry,
        )
        self._webhook_deliveries = Counter(
            "headrace_webhook_deliveries",
            "Number of tries to deliver an event to a webhook, by what became of them.",
            ["webhook", "result"],
            registry=registry,
        )
        self._lag = Histogram(
            "headrace_event_loop_lag_seconds",
            "Seconds by which the event loop was late for a timer.",
            buckets=_LAG,
            registry=registry,
        )
        self._of_models: dict[str, _ModelSeries] = {}
        # The series exist from the start, so that rates are right from the first event on.
        for model in (*self._models, _OTHER):
            for status in Status:
                if status is not Status.LIVE:
                    self._answers.labels(model, status)

    def watch(self, relay: Callable[[], RelayStats], sockets: Callable[[], SocketStats]) -> None:
        """Read the state of the relay and the sockets at each scrape."""
        self._registry.register(_StatsCollector(relay, sockets))

    def watch_webhooks(
        self, results: Iterable[str], waiting: Callable[[], Mapping[str, int]]
    ) -> None:
        """Read at each scrape how many deliveries wait, by webhook; tries have these results."""
        for webhook, result in product(waiting(), results):
            self._webhook_deliveries.labels(webhook, result)
        self._registry.register(_WaitingCollector(waiting))

    def finished(self, record: AnswerRecord) -> None:
        """Count an ended answer."""
        model = record.model if record.model in self._models else _OTHER
        series = self._of_models.get(model) or self._begin_series(model)
        series.answers[record.status].inc()
        series.seconds.observe(record.total_seconds)
        series.input_tokens.inc(record.usage.input_tokens)
        series.output_tokens.inc(record.usage.output_tokens)
        if record.usage != Usage(record.usage.input_tokens, record.usage.output_tokens):
            self._count_parts(model, record.usage)
        if record.first_token_seconds is not None:
            self._first_token.labels(model).observe(record.first_token_seconds)
        if record.upstream_code is not None:
            self._upstream_errors.labels(record.provider, record.upstream_code).inc()
        if record.cancel_seconds is not None:
            self._cancel.observe(record.cancel_seconds)

    def _count_parts(self, model: str, usage: Usage) -> None:
        for part, tokens in (
            ("cached", usage.cached_tokens),
            ("cache_written", usage.cache_written_tokens),
            ("reasoning", usage.reasoning_tokens),
        ):
            if tokens:
                self._token_parts.labels(model, part).inc(tokens)
        if usage.grade is not Grade.MEASURED:
            self._uncertain_usage.labels(model, usage.grade).inc()

    def _begin_series(self, model: str) -> _ModelSeries:
        answers: dict[Status, Counter] = {
            status: self._answers.labels(model, status)
            for status in Status
            if status is not Status.LIVE
        }
        series = self._of_models[model] = _ModelSeries(
            answers,
            self._seconds.labels(model),
            self._tokens.labels(model, "input"),
            self._tokens.labels(model, "output"),
        )
        return series

    def webhook_tried(self, webhook: str, result: str) -> None:
        """Count a try to deliver an event to a webhook."""
        self._webhook_deliveries.labels(webhook, result).inc()

    def refused(self, reason: str) -> None:
        """Count a request that was answered with an error, by the error's code."""
        self._refused.labels(reason).inc()

    def lagged(self, seconds: float) -> None:
        """Record by how many seconds a timer of the event loop was late."""
        self._lag.observe(seconds)

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._registry)


class _StatsCollector(Collector):
    """Gauges that are read at each scrape."""

    def __init__(self, relay: Callable[[], RelayStats], sockets: Callable[[], SocketStats]) -> None:
        self._relay = relay
        self._sockets = sockets

    def collect(self) -> Iterator[Any]:
        """Return the gauges' current values; prometheus_client calls this."""
        stats, sockets = self._relay(), self._sockets()
        yield _gauge(
            "live_answers", "Number of answers that this process is generating.", stats.live
        )
        yield _gauge("readers", "Number of open event streams.", sockets.readers)
        yield _gauge("connections", "Number of open client connections.", sockets.connections)
        yield CounterMetricFamily(
            "headrace_connections_refused",
            "Number of connections beyond the limit, which were answered with 503.",
            value=sockets.refused,
        )
        yield _gauge(
            "followed_answers",
            "Number of other processes' answers that are read here.",
            stats.followed,
        )
        yield _gauge(
            "unsent_bytes",
            "Bytes of long responses that clients have not read yet.",
            stats.unsent_bytes,
        )
        yield _gauge(
            "checkpoint_backlog_chars",
            "Number of characters of live answers that are not stored yet.",
            stats.unsaved_chars,
        )
        yield _gauge(
            "checkpoint_delay_seconds",
            "Seconds for which the oldest characters of live answers have waited to be stored; 0 "
            "if all are stored.",
            stats.unsaved_seconds,
        )
        yield _gauge(
            "late_endings",
            "Number of endings that readers have received and that are not stored yet.",
            stats.late_endings,
        )
        yield _gauge(
            "pace_seconds",
            "Seconds for which tokens are held to be written together, since the process is busy; "
            "0 if they are written as they arrive.",
            stats.pace_seconds,
        )
        yield _gauge(
            "lease_held",
            "1 while this process holds its lease, else 0.",
            stats.holds_lease,
        )
        family = GaugeMetricFamily(
            "headrace_upstream_connections", "Number of connections to providers.", labels=["state"]
        )
        family.add_metric(["in_use"], sockets.upstream_in_use)
        family.add_metric(["resting"], sockets.upstream_resting)
        yield family


class _WaitingCollector(Collector):
    """A gauge of the deliveries that wait for each webhook."""

    def __init__(self, waiting: Callable[[], Mapping[str, int]]) -> None:
        self._waiting = waiting

    def collect(self) -> Iterator[Any]:
        """Return the gauge's current values; prometheus_client calls this."""
        family = GaugeMetricFamily(
            "headrace_webhook_deliveries_waiting",
            "Number of events that are stored for a webhook and not delivered yet, by all "
            "processes together.",
            labels=["webhook"],
        )
        for webhook, count in self._waiting().items():
            family.add_metric([webhook], count)
        yield family


def _gauge(name: str, words: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"headrace_{name}", words, value=value)
