"""The routes of all handlers as one Tornado application, with the limit on bodies before it."""

import logging
import re

from tornado.web import Application, RequestHandler

import handlers.ag_ui.runs
import handlers.ai_sdk.chat
import handlers.answers
import handlers.api_docs
import handlers.asking
import handlers.conversations
import handlers.files
import handlers.health
import handlers.me
import handlers.messages
import handlers.metrics
import handlers.models
import handlers.openai.chat_completions
import handlers.openai.conversation_items
import handlers.openai.conversations
import handlers.openai.kept_responses
import handlers.openai.models
import handlers.openai.not_found
import handlers.openai.responses
import handlers.openai.stored_completions
import handlers.page
import handlers.server_options
from handlers.base import BaseHandler
from handlers.not_found import NotFoundHandler
from handlers.services import Services
from settings import Settings
from sockets.body_limiter import BodyLimiter, LongBodies
from sockets.unread_requests import UnreadRequestLog

log = logging.getLogger("headrace")

ROUTES = [
    *handlers.conversations.routes,
    *handlers.messages.routes,
    *handlers.asking.routes,
    *handlers.answers.routes,
    *handlers.ag_ui.runs.routes,
    *handlers.ai_sdk.chat.routes,
    *handlers.files.routes,
    *handlers.models.routes,
    *handlers.me.routes,
    *handlers.health.routes,
    *handlers.page.routes,
    *handlers.metrics.routes,
    *handlers.api_docs.routes,
    *handlers.server_options.routes,
    *handlers.openai.chat_completions.routes,
    *handlers.openai.stored_completions.routes,
    *handlers.openai.models.routes,
    *handlers.openai.responses.routes,
    *handlers.openai.kept_responses.routes,
    *handlers.openai.conversations.routes,
    *handlers.openai.conversation_items.routes,
    *handlers.openai.not_found.routes,  # after all others below /v1/
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
        long_bodies=LongBodies(
            _paths_with_files(), limits.max_file_body_bytes, services.file_body_budget
        ),
        on_refused=on_refused,
        base_path=settings.base_path,
        cors_headers=services.cors.read_headers,
    )


def _paths_with_files() -> re.Pattern[str]:
    """The paths at which a question may bring files."""
    patterns = [
        pattern
        for pattern, handler in ROUTES
        if issubclass(handler, BaseHandler) and handler.takes_files
    ]
    return re.compile("|".join(patterns))


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
