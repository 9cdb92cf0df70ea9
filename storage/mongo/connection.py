"""The client of MongoDB, its collections, and how every command of the store is run.

A command waits until one more of its kind may run, runs to its end even if its caller was
cancelled, and raises our errors in place of the driver's. What is acknowledged was journaled by a
majority of the servers, and what is read cannot be rolled back. Whatever fails, the outcome is
unknown, and every operation can simply be done again.

The folder keeps to calls that Motor shares with PyMongo's own AsyncMongoClient, its successor.
Three differ, `start_session`, `start_transaction` and `close`: each is called in one place, which
says so.
"""

import functools
import warnings
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Concatenate, ParamSpec, TypeVar

from motor.motor_tornado import MotorClient, MotorCollection
from pymongo.errors import PyMongoError

from storage.errors import StorageError
from storage.mongo import MOTOR_THREADS
from storage.mongo.concurrency_limit import ConcurrencyLimit
from storage.mongo.documents import Document
from storage.mongo.errors import translated_errors
from storage.mongo.transactions import COMMAND_SECONDS

P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S", bound="MongoConnection")

# How many commands of a kind may be in flight: 16 + 8 + 6 + 8 are 38 in all, for 39 threads. So a
# lease never waits behind a backlog of anything, nor the end of an answer behind a rush of
# questions, nor what others want of this process behind the growth that it follows. Whoever deletes
# conversations by the hundred fills the two places for that, and no others. Of keys there are two
# queries at a time: one that looks after those that are known, and one for all that are not.
_CONCURRENCY = {
    "request": 16,
    "ending": 8,
    "chunks": 2,
    "deletion": 2,
    "clearing": 1,
    "api_keys": 2,
    "lease": 1,
    "peer_requests": 1,
    "follow": 1,
    "counts": 1,
    "sweep": 1,
    "ping": 1,
}

# Set here, whatever the URL says: every promise of the contract rests on them. Milliseconds.
_OPTIONS: dict[str, Any] = {
    "w": "majority",
    "journal": True,
    "readConcernLevel": "majority",
    "readPreference": "primary",
    "retryWrites": True,
    "timeoutMS": int(COMMAND_SECONDS * 1000),
    "serverSelectionTimeoutMS": int(COMMAND_SECONDS * 1000),
    "maxPoolSize": MOTOR_THREADS,
    # What another program wrote, and Python cannot hold, would else fail whatever is read with it.
    "datetime_conversion": "DATETIME_CLAMP",
    "unicode_decode_error_handler": "replace",
    "tz_aware": True,
    "tzinfo": UTC,
    "appName": "headrace",
}

_Method = Callable[Concatenate[S, P], Coroutine[Any, Any, T]]


def command(kind: str) -> Callable[[_Method[S, P, T]], _Method[S, P, T]]:
    """Have a method run within the limit of its `kind`, to its end, and raise our errors."""

    def decorate(method: _Method[S, P, T]) -> _Method[S, P, T]:
        @functools.wraps(method)
        async def run(storage: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
            async def command() -> T:
                with translated_errors(method.__name__.lstrip("_"), storage._url):
                    return await method(storage, *args, **kwargs)

            return await storage._limits[kind].run(command)

        return run

    return decorate


class MongoConnection:
    """The client, once it is open, and the limits on its commands."""

    def __init__(self, url: str, process: str, lease_seconds: float) -> None:
        self.process = process
        self._url = url
        self._lease = int(lease_seconds * 1000)  # as the server counts
        self._since: datetime | None = None  # when the lease began that we know of
        self._limits = {
            kind: ConcurrencyLimit(limit, timeout=COMMAND_SECONDS)
            for kind, limit in _CONCURRENCY.items()
        }
        self._client: MotorClient[Document] | None = None

    def _connect(self) -> None:
        try:
            with warnings.catch_warnings():
                # An option it cannot read the driver only warns of, and does without: no "tls".
                warnings.simplefilter("error", UserWarning)
                client: MotorClient[Document] = MotorClient(self._url, **_OPTIONS)
            database = client.get_default_database("headrace")
        # Not even as the cause: its words may quote the URL, password and all.
        except UserWarning:
            raise StorageError("storage.url has an option that is unknown or wrong") from None
        except (PyMongoError, ValueError, TypeError) as error:
            name = type(error).__name__
            raise StorageError(f"storage.url is not one that MongoDB takes: {name}") from None
        self._client = client
        self._database = database
        self._conversations: MotorCollection[Document] = database["conversations"]
        self._messages: MotorCollection[Document] = database["messages"]
        self._chunks: MotorCollection[Document] = database["chunks"]
        self._keys: MotorCollection[Document] = database["idempotency_keys"]
        self._api_keys: MotorCollection[Document] = database["api_keys"]
        self._processes: MotorCollection[Document] = database["processes"]
        self._counts: MotorCollection[Document] = database["counts"]
        self._deletions: MotorCollection[Document] = database["deletions"]
        self._store: MotorCollection[Document] = database["store"]


@asynccontextmanager
async def closing_cursor(cursor: Any) -> AsyncIterator[Any]:
    """Close a cursor that is not read to its end, or may fail before: the server frees it then."""
    try:
        yield cursor
    finally:
        await cursor.close()
