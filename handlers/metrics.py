"""`/metrics`, on the server's own port or on a port that each process has for itself.

Where processes share a port the kernel distributes connections among them, so that a scrape would
read another process each time and counters would jump. There `/metrics` is refused.
"""

from http import HTTPStatus

from tornado.httpserver import HTTPServer
from tornado.web import Application, RequestHandler

from handlers.authorization import Access
from handlers.base import BaseHandler
from handlers.errors import ApiError
from telemetry.metrics import CONTENT_TYPE, Metrics

# The largest request: a scrape has no body and few headers.
MAX_BYTES = 16 * 1024

# Seconds after which an idle connection is closed. Prometheus scrapes every minute or more often.
IDLE_SECONDS = 120.0


class MetricsHandler(BaseHandler):
    """`GET /metrics` for admins; without keys every program of this machine is one."""

    access = Access.ADMINS

    def get(self) -> None:
        """Write the metrics."""
        if not self.services.metrics_here:
            raise ApiError(
                HTTPStatus.NOT_FOUND,
                "metrics_elsewhere",
                "Several processes share this port. Set metrics.port, and get the metrics of each "
                "process from its own port.",
            )
        _write(self, self.services.metrics)


class ScrapeHandler(RequestHandler):
    """`GET /metrics` on a port of its own, for everyone who can reach its address."""

    def initialize(self, metrics: Metrics) -> None:
        """Tornado's hook: the values of the route table."""
        self._metrics = metrics

    def set_default_headers(self) -> None:
        """Tornado's hook."""
        self.clear_header("Server")

    def get(self) -> None:
        """Write the metrics."""
        _write(self, self._metrics)

    def head(self) -> None:
        """Write the headers of the metrics."""
        self.get()


def scrape_server(metrics: Metrics) -> HTTPServer:
    """A server for `/metrics` alone."""
    application = Application(
        [(r"/metrics", ScrapeHandler, {"metrics": metrics})], log_function=_silent
    )
    return HTTPServer(
        application,
        max_header_size=MAX_BYTES,
        max_body_size=MAX_BYTES,
        body_timeout=IDLE_SECONDS,
    )


def _write(handler: RequestHandler, metrics: Metrics) -> None:
    handler.set_header("Content-Type", CONTENT_TYPE)
    handler.set_header("Cache-Control", "no-store")
    handler.write(metrics.text())


def _silent(_: RequestHandler) -> None:
    """Tornado's hook for its access log: scrapes are not logged."""


routes = [(r"/metrics", MetricsHandler)]
