"""`/metrics`: on the server's own port, or on a port that each process has for itself.

Where several processes share a port the kernel deals out connections, scrapes too: a counter would
seem to jump back and forth between theirs. There this says so in place of numbers.
"""

from http import HTTPStatus

from tornado.httpserver import HTTPServer
from tornado.web import Application, RequestHandler

from handlers.authenticator import Access
from handlers.base import BaseHandler
from handlers.errors import ApiError
from telemetry.metrics import CONTENT_TYPE, Metrics

# A scrape is a request without a body and with a few headers.
MAX_BYTES = 16 * 1024

# A scraper that sends nothing. Prometheus asks again within a minute.
_IDLE_SECONDS = 120.0


class MetricsHandler(BaseHandler):
    """The numbers, for admins: without keys that is every program of this machine."""

    access = Access.ADMINS

    def get(self) -> None:
        """Write them."""
        if not self.services.metrics_here:
            raise ApiError(
                HTTPStatus.NOT_FOUND,
                "metrics_elsewhere",
                "Several processes share this port. Set metrics.port, and get the metrics of each "
                "process from its own port.",
            )
        _write(self, self.services.metrics)


class ScrapeHandler(RequestHandler):
    """The numbers, on a listener of their own: for whoever reaches its address."""

    def initialize(self, metrics: Metrics) -> None:
        """Tornado's constructor for handlers."""
        self._metrics = metrics

    def set_default_headers(self) -> None:
        """Tornado's hook."""
        self.clear_header("Server")

    def get(self) -> None:
        """Write them."""
        _write(self, self._metrics)

    def head(self) -> None:
        """Tell how much there is to write."""
        self.get()


def scrape_server(metrics: Metrics) -> HTTPServer:
    """A server of nothing but `/metrics`."""
    application = Application(
        [(r"/metrics", ScrapeHandler, {"metrics": metrics})], log_function=_silent
    )
    return HTTPServer(
        application,
        max_header_size=MAX_BYTES,
        max_body_size=MAX_BYTES,
        body_timeout=_IDLE_SECONDS,
        idle_connection_timeout=_IDLE_SECONDS,
    )


def _write(handler: RequestHandler, metrics: Metrics) -> None:
    handler.set_header("Content-Type", CONTENT_TYPE)
    handler.set_header("Cache-Control", "no-store")
    handler.write(metrics.text())


def _silent(_: RequestHandler) -> None:
    """Scrapes are not for the log."""


routes = [(r"/metrics", MetricsHandler)]
