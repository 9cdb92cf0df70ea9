"""Keeps what clients send out of Tornado's own log lines.

Our lines quote nobody. Tornado's name what was wrong with a request that it could not read, and
quote it: the header with the key in it, or the address with the ticket.
"""

import logging

_MALFORMED = "Malformed HTTP message"


class _Unquoted(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        """Leave who sent it, and leave out what."""
        if isinstance(record.msg, str) and record.msg.startswith(_MALFORMED):
            sender = record.args[0] if isinstance(record.args, tuple) and record.args else "?"
            record.msg, record.args = f"{_MALFORMED} from %s", (sender,)
        return True


_unquoted = _Unquoted()


def quote_nobody() -> None:
    """Have Tornado's log quote no request from now on; doing it twice changes nothing."""
    logging.getLogger("tornado.general").addFilter(_unquoted)
