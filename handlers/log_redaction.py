"""Rewrites Tornado's log lines about requests that it could not read.

Tornado logs each of them and quotes it: the header with a key, or the address with a ticket. A
scanner causes thousands. They are replaced by lines without quotations, one a minute for each
reason.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from sockets.unread_requests import UnreadRequestLog

_MALFORMED = "Malformed HTTP message"

# Its other lines about connections, which strangers can cause at any rate.
_OTHERS = (
    ("Timeout reading body", "body_too_slow"),
    ("Unsatisfiable read", "head_without_end"),
    ("Reached maximum read buffer size", "buffer_full"),
    ("error on read", "connection_broke"),
    ("Write error on", "connection_broke"),
)

# Reasons by the beginning of Tornado's message about a malformed request; the rest may be a
# quotation.
_REASONS = (
    ("Malformed HTTP request line", "request_line"),
    ("Unexpected HTTP version", "http_version"),
    ("a line of the head ends in LF alone", "lf_alone"),
    ("chunks in HTTP/1.0", "transfer_encoding"),
    ("no colon in header line", "header"),
    ("header line", "header"),
    ("Invalid header", "header"),
    ("Missing Host", "host"),
    ("Invalid Host", "host"),
    ("Multiple host", "host"),
    ("Message with both", "content_length_and_transfer_encoding"),
    ("Multiple unequal Content-Length", "content_length"),
    ("Only integer Content-Length", "content_length"),
    ("Content-Length too long", "body_too_large"),
    ("Body too long", "body_too_large"),
    ("chunked body too large", "body_too_large"),
    ("invalid chunk", "chunks"),
    ("improperly terminated", "chunks"),
    ("Unsupported Transfer-Encoding", "transfer_encoding"),
    ("Unsupported Content-Encoding", "content_encoding"),
    ("Invalid query string", "query"),
    ("Invalid x-www-form-urlencoded", "form"),
    ("Invalid content type", "form"),
    ("Invalid multipart", "form"),
    ("multipart", "form"),
)


class _RedactingFilter(logging.Filter):
    def __init__(self, unread: UnreadRequestLog) -> None:
        super().__init__()
        self._unread = unread

    def filter(self, record: logging.LogRecord) -> bool:
        """Hook of `logging`: drop a line about an unreadable request, and log its reason
        instead.
        """
        words = str(record.msg)
        args = record.args if isinstance(record.args, tuple) else ()
        if words.startswith(_MALFORMED):
            sender, said = (*args, "", "")[:2]
            why = _first(_REASONS, str(said)) or "malformed"
            self._unread.write(why, str(sender) or None)  # clients at UNIX sockets have no address
            return False
        if reason := _first(_OTHERS, words):
            self._unread.write(reason)
            return False
        return True


@contextmanager
def redacted_tornado_log() -> Iterator[UnreadRequestLog]:
    """Within this block Tornado's log quotes no request; yields what logs them instead."""
    unread = UnreadRequestLog()
    unquoted = _RedactingFilter(unread)
    tornado = logging.getLogger("tornado.general")
    tornado.addFilter(unquoted)
    try:
        yield unread
    finally:
        tornado.removeFilter(unquoted)
        unread.close()


def _first(table: tuple[tuple[str, str], ...], said: str) -> str | None:
    return next((reason for beginning, reason in table if said.startswith(beginning)), None)
