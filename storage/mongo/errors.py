"""Translates the driver's errors into the store's."""

from collections.abc import Iterator
from contextlib import contextmanager

from bson.errors import BSONError
from pymongo.errors import BulkWriteError, ConnectionFailure, OperationFailure, PyMongoError

from storage.errors import failure
from storage.mongo.error_hints import hosts, reason, words

# The server's code for a duplicate `_id` or other unique field.
DUPLICATE_KEY = 11000


@contextmanager
def translated_errors(doing: str, url: str) -> Iterator[None]:
    """Raise the store's errors in place of the driver's, without their messages, which may quote
    documents.
    """
    try:
        yield
    except (PyMongoError, BSONError) as error:
        # Errors of connections quote addresses only, and stay as the cause.
        cause = error if isinstance(error, ConnectionFailure) else None
        code = code_of(error)
        what = words(type(error).__name__, code)
        timed_out = isinstance(error, PyMongoError) and error.timeout
        raise failure(
            f"{doing} failed on MongoDB at {hosts(url)}: {what}",
            reason(type(error).__mro__, code, timed_out=timed_out),
        ) from cause


def code_of(error: Exception) -> int | None:
    """The server's code of an error; of several, that of the first."""
    if isinstance(error, BulkWriteError) and error.details["writeErrors"]:
        code: int = error.details["writeErrors"][0]["code"]
        return code
    return error.code if isinstance(error, OperationFailure) else None


def only_duplicates(error: BulkWriteError) -> bool:
    """Whether all writes that failed did so because they were made before."""
    codes = {failed["code"] for failed in error.details["writeErrors"]}
    return codes == {DUPLICATE_KEY} and not error.details["writeConcernErrors"]


def fails_all(error: PyMongoError) -> bool:
    """Whether others would have failed as well: the server cannot be reached or is too slow.

    A transaction that a lost connection or an election ended can be tried again, so it is none,
    unless that took all its time.
    """
    if error.timeout:
        return True
    is_over = not error.has_error_label("TransientTransactionError")
    return is_over and isinstance(error, ConnectionFailure)
