"""Cursors, which lead from one page of a list to the next.

A cursor names the last item of its page, so that a list which grows in the meantime neither repeats
nor skips items. To clients it is opaque: URL-safe base64. It is validated when it comes back, since
clients may make one up.
"""

import base64
from datetime import datetime

from model.messages import Conversation, Message
from storage.errors import InvalidCursor
from storage.timestamps import from_milliseconds, to_milliseconds
from storage.values import Order

# The prefix of cursors for the order by last update, so that neither order accepts the other's.
_MARKS = {Order.CREATED: "", Order.UPDATED: "updated."}
_ANSWER = "answer."


def conversation_cursor(last: Conversation, order: Order) -> str:
    """Return the cursor of a page of conversations that ends with `last`."""
    return _encode(f"{_MARKS[order]}{to_milliseconds(getattr(last, order.field))}.{last.id}")


def message_cursor(ordinal: int) -> str:
    """Return the cursor of a page of messages whose oldest has this ordinal."""
    return _encode(str(ordinal))


def answer_cursor(last: Message) -> str:
    """Return the cursor of a page of a user's answers that ends with `last`."""
    return _encode(f"{_ANSWER}{to_milliseconds(last.created_at)}.{last.id}")


def api_key_cursor(key_id: str) -> str:
    """Return the cursor of a page of API keys that ends with the one of this id."""
    return _encode(key_id)


def decode_conversation_cursor(cursor: str, order: Order) -> tuple[datetime, str]:
    """Return when the page's last conversation was created, or updated, and its id.

    Raises InvalidCursor.
    """
    return _time_and_id(cursor, _MARKS[order])


def decode_answer_cursor(cursor: str) -> tuple[datetime, str]:
    """Return when the page's last answer was created, and its id. Raises InvalidCursor."""
    return _time_and_id(cursor, _ANSWER)


def decode_message_cursor(cursor: str) -> int:
    """Return the ordinal of the page's oldest message. Raises InvalidCursor."""
    return _whole_number(_decode(cursor))


def decode_api_key_cursor(cursor: str) -> str:
    """Return the id of the page's last API key. Raises InvalidCursor."""
    return _decode(cursor)


def _time_and_id(cursor: str, mark: str) -> tuple[datetime, str]:
    place = _decode(cursor)
    milliseconds, dot, its_id = place.removeprefix(mark).partition(".")
    if not dot or not place.startswith(mark):
        raise InvalidCursor
    try:
        return from_milliseconds(_whole_number(milliseconds)), its_id
    except ValueError:
        raise InvalidCursor from None


def _encode(place: str) -> str:
    return base64.urlsafe_b64encode(place.encode()).decode()


def _decode(cursor: str) -> str:
    try:
        return base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True).decode()
    except ValueError:  # as binascii.Error and UnicodeError are
        raise InvalidCursor from None


def _whole_number(digits: str) -> int:
    # Not int() alone, which accepts signs, spaces and underscores; and no more than 8 bytes can
    # hold.
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 18):
        raise InvalidCursor
    return int(digits)
