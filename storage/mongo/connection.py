"""The client of MongoDB, its collections, and how all commands of the store are run.

A command waits until another one of its kind may run, runs to its end even if its caller is
cancelled, and raises this project's errors in place of the driver's. Writes are acknowledged when a
majority of the servers has journaled them, and reads cannot be rolled back. After a failure the
outcome is unknown, and every operation can be repeated.

The folder uses only calls that Motor shares with its successor, PyMongo's AsyncMongoClient. Three
differ, `start_session`, `start_transaction` and `close`: each is called in one place, which says
so.
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

# How many commands of each kind may run at a time: 16 + 8 + 10 + 7 are 41 in all, for 43 threads.
# So a lease never waits for other commands, an ending never for questions, and peer requests never
# for followed growth. Questions that conflict are tried again for 5 seconds, and no request waits
# for them. Deletions have two places of their own, and so have files, which take long, and
# deliveries to webhooks. Of queries for API keys there are two at a time: one that rechecks cached
# keys, and one for all others.
_CONCURRENCY = {
    "request": 12,
    "conflict": 4,
    "ending": 8,
    "chunks": 2,
    "files": 2,
    "deletion": 2,
    "clearing": 1,
    "api_keys": 2,
    "webhooks": 2,
    "lease": 1,
    "peer_requests": 1,
    "follow": 1,
    "counts": 1,
    "sweep": 1,
    "ping": 1,
}

# Set here, whatever the URL says, since the contract depends on them. Times are milliseconds.
_OPTIONS: dict[str, Any] = {
    "w": "majority",
    "journal": True,
    "readConcernLevel": "majority",
    "readPreference": "primary",
    "retryWrites": True,
    "timeoutMS": int(COMMAND_SECONDS * 1000),
    "serverSelectionTimeoutMS": int(COMMAND_SECONDS * 1000),
    "maxPoolSize": MOTOR_THREADS,
    # Else a value that another program wrote and Python cannot represent would fail the whole read.
    "datetime_conversion": "DATETIME_CLAMP",
    "unicode_decode_error_handler": "replace",
    "tz_aware": True,
    "tzinfo": UTC,
    "appName": "headrace",
}

_Method = Callable[Concatenate[S, P], Coroutine[Any, Any, T]]


def command(kind: str) -> Callable[[_Method[S, P, T]], _Method[S, P, T]]:
    """Have a method run within the limit of its `kind`, to its end, and translate errors."""

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
        self._since: datetime | None = None  # the start of the current lease, as far as is known
        self._limits = {
            kind: ConcurrencyLimit(limit, timeout=COMMAND_SECONDS)
            for kind, limit in _CONCURRENCY.items()
        }
        self._client: MotorClient[Document] | None = None
        self._is_sharded = False  # whether it is a sharded cluster, once the store is open
        self._lists_protocols = False  # whether there is an index for it, once the store is open

    def _connect(self) -> None:
        try:
            with warnings.catch_warnings():
                # The driver only warns of an option it cannot read, and ignores it, even "tls".
                warnings.simplefilter("error", UserWarning)
                client: MotorClient[Document] = MotorClient(self._url, **_OPTIONS)
            database = client.get_default_database("headrace")
        # Not even as the cause: its message may quote the URL with the password.
        except UserWarning:
            raise StorageError("storage.url has an option that is unknown or wrong") from None
        except (PyMongoError, ValueError, TypeError) as error:
            name = type(error).__name__
            raise StorageError(f"storage.url is not valid for MongoDB: {name}") from None
        self._client = client
        self._database = database
        self._conversations: MotorCollection[Document] = database["conversations"]
        self._messages: MotorCollection[Document] = database["messages"]
        self._chunks: MotorCollection[Document] = database["chunks"]
        self._files: MotorCollection[Document] = database["files"]
        self._keys: MotorCollection[Document] = database["idempotency_keys"]
        self._api_keys: MotorCollection[Document] = database["api_keys"]
        self._processes: MotorCollection[Document] = database["processes"]
        self._counts: MotorCollection[Document] = database["counts"]
        self._deletions: MotorCollection[Document] = database["deletions"]
        self._deliveries: MotorCollection[Document] = database["webhook_deliveries"]
        self._store: MotorCollection[Document] = database["store"]


@asynccontextmanager
async def closing_cursor(cursor: Any) -> AsyncIterator[Any]:
    """Close a cursor that is not read to its end, so that the server frees it."""
    try:
        yield cursor
    finally:
        await cursor.close()
