"""Logs refused requests, with the reason, and rate-limited.

Strangers can cause refusals at any rate. So a code and reason has one line a minute, with the id of
one request as an example, and a failing store has one line for each outage.
"""

import logging
from http import HTTPStatus

from handlers.errors import ErrorResponse
from handlers.store_health import StoreHealth
from storage.errors import StorageError, TooLarge
from telemetry.log_event import LogEvent
from telemetry.rate_limited_log import RateLimitedLog

log = logging.getLogger("headrace.http")


class RefusalLog:
    """The log of refused requests of this process."""

    def __init__(self, store_health: StoreHealth) -> None:
        self._store_health = store_health
        self._log = RateLimitedLog(log, example="request")

    def log(self, response: ErrorResponse, error: BaseException | None, *, request_id: str) -> None:
        """Log that a request was refused as `response`, because of `error`."""
        if isinstance(error, StorageError) and not isinstance(error, TooLarge):
            self._store_health.failed(error)
            return
        reason = getattr(error, "reason", None)
        api_key_id = getattr(error, "api_key_id", None)  # whose holder may have to be notified
        is_ours = response.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        level = logging.WARNING if is_ours else logging.INFO
        event = LogEvent(
            "request refused",
            code=response.code,
            reason=None if reason is None else str(reason),
            key=api_key_id,
            request=request_id,
        )
        self._log.log(event, level)

    def close(self) -> None:
        """Log what was left out."""
        self._log.close()
