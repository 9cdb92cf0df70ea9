"""The routes of all handlers as one Tornado application, with the limit on bodies before it."""

import logging

from tornado.web import Application, RequestHandler

import handlers.answers
import handlers.api_docs
import handlers.asking
import handlers.conversations
import handlers.health
import handlers.me
import handlers.messages
import handlers.metrics
import handlers.models
import handlers.page
import handlers.server_options
from handlers.not_found import NotFoundHandler
from handlers.services import Services
from settings import Settings
from sockets.body_limiter import BodyLimiter
from sockets.unread_requests import UnreadRequestLog

log = logging.getLogger("headrace")

ROUTES = [
    *handlers.conversations.routes,
    *handlers.messages.routes,
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


def limited_application(
    settings: Settings, services: Services, unread_log: UnreadRequestLog
) -> BodyLimiter:
    """The application, with the body limiter before it."""
    values = {"services": services}
    routes = [*ROUTES, *handlers.page.base_path_redirect(settings.base_path)]
    application = Application(
        [(pattern, handler, values) for pattern, handler in routes],
        default_handler_class=NotFoundHandler,
        default_handler_args=values,
        log_function=_log_request,
    )
    limits = settings.limits

    def on_refused(code: str) -> None:
        services.metrics.refused(code)
        level = logging.WARNING if code == "overloaded" else logging.INFO
        unread_log.write(code, level=level)

    return BodyLimiter(
        application,
        max_body_bytes=limits.max_body_bytes,
        budget=services.body_budget,
        on_refused=on_refused,
        base_path=settings.base_path,
        cors_headers=services.cors.read_headers,
    )


def _log_request(handler: RequestHandler) -> None:
    """Tornado's hook: log a request at DEBUG, without its query."""
    request = handler.request
    milliseconds = 1000 * request.request_time()
    log.debug(
        "request %s %s %d %.1fms",
        request.method,
        request.path,
        handler.get_status(),
        milliseconds,
    )
