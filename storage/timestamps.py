"""Times as whole milliseconds since 1970, as in SQLite's columns and the cursors of lists."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def to_milliseconds(time: datetime) -> int:
    """Return a time as whole milliseconds since 1970, rounded down."""
    return (time - _EPOCH) // _MILLISECOND


def from_milliseconds(count: int) -> datetime:
    """Return the time that many milliseconds after 1970, in UTC.

    Raises ValueError after the year 9999.
    """
    try:
        return _EPOCH + count * _MILLISECOND
    except OverflowError:
        raise ValueError("no such time") from None
