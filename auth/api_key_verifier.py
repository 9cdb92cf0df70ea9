"""Verifies API keys: they are cached in memory, and rechecked in the store.

A request with a cached key costs a hash and a comparison. Every `recheck_seconds` one query
rechecks all cached keys, and those of requests in progress. A key that was revoked, by whichever
process or command, is refused from then on, and the requests that it opened are closed.
"""

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Set
from typing import Protocol

from auth import api_keys
from auth.errors import ExpiredCredentials, InvalidCredentials
from auth.principal import Principal
from model.messages import now
from storage.contract import ApiKeyStore
from storage.errors import Reason, StorageError, failure
from storage.values import ApiKey
from telemetry.outage_log import OutageLog

log = logging.getLogger("headrace.auth")

# The number of cached keys, some 700 bytes each. Others are looked up again when they are sent.
_MAX_CACHED = 10_000

# Seconds without use after which a key is dropped from the cache.
_IDLE_SECONDS = 600.0

# Keys that are looked up in one query: a few milliseconds in either store.
_LOOKUP_BATCH = 1_000

# Keys that may wait for a lookup at a time: as many as there are connections by default, so that it
# is exceeded only if clients disconnect and reconnect while the store does not respond.
_MAX_LOOKUPS = 10_000

# Seconds to wait for a lookup: as long as the store's own timeout for a query.
_LOOKUP_TIMEOUT_SECONDS = 5.0

# Rechecks that may fail in a row before cached keys are refused: 60 s with the default of 3 s. The
# election of a replica set's primary is over by then. Open streams stay open.
_MISSED_RECHECKS = 20


class _CachedKey:
    """A cached key, as the store had it at `read_at` (the loop's clock)."""

    __slots__ = ("key", "principal", "read_at", "used_at")

    def __init__(self, key: ApiKey, read_at: float) -> None:
        self.used_at = read_at
        self.learn(key, read_at)

    def learn(self, key: ApiKey, read_at: float) -> None:
        """Replace the cached state by a newer one."""
        self.key = key
        self.principal = Principal(key.user, key.admin, key.id, key.models)
        self.read_at = read_at


class RequestsByApiKey(Protocol):
    """The requests in progress, by the ids of the API keys that they were sent with."""

    def api_keys_in_use(self) -> Set[str]:
        """The ids of the keys of all requests in progress."""

    def close_by_api_keys(self, api_key_ids: Set[str]) -> None:
        """Close the requests that were sent with these keys."""


class ApiKeyVerifier:
    """Verifies API keys, and closes the requests of keys that are no longer valid."""

    def __init__(
        self,
        storage: ApiKeyStore,
        requests: RequestsByApiKey,
        *,
        recheck_seconds: float,
    ) -> None:
        self._storage = storage
        self._recheck_seconds = recheck_seconds
        self._requests = requests
        self._cached: OrderedDict[str, _CachedKey] = OrderedDict()  # the most recently used is last
        self._lookups: dict[str, asyncio.Future[_CachedKey | None]] = {}  # lookups in progress
        self._queue: deque[str] = deque()  # those that are not part of a query yet
        self._lookup_task: asyncio.Task[None] | None = None
        self._rechecked_at = float("-inf")  # when the last successful recheck began
        self._outage = OutageLog(
            log, "API keys cannot be rechecked", "API keys are rechecked again"
        )

    async def verify(self, credentials: str) -> Principal:
        """The principal of a key. Raises Unauthenticated, and StorageError if the key cannot be
        looked up.
        """
        cached = await self._known(api_keys.id_of(credentials))
        if not api_keys.matches(credentials, cached.key.digest):
            raise InvalidCredentials("key_secret", cached.key.id)
        return _checked(cached)

    async def recheck(self, principal: Principal) -> None:
        """Return if the key with which the principal got a ticket is still valid; raises as
        `verify`.
        """
        if principal.api_key_id is None:  # issued while `auth.mode` was "jwt"
            raise InvalidCredentials("ticket_of_a_token")
        _checked(await self._known(principal.api_key_id))

    async def run(self) -> None:
        """Recheck the cached keys until cancelled."""
        while True:
            await asyncio.sleep(self._recheck_seconds)
            try:
                await self._recheck()
            except StorageError as error:
                self._outage.failed(error.reason, error)
            else:
                self._outage.succeeded()

    async def _known(self, api_key_id: str) -> _CachedKey:
        time = asyncio.get_running_loop().time()
        cached = self._cached.get(api_key_id)
        trusted_since = time - _MISSED_RECHECKS * self._recheck_seconds
        if cached is None or max(cached.read_at, self._rechecked_at) < trusted_since:
            cached = await self._look_up(api_key_id)
        if cached is None:
            raise InvalidCredentials("key_unknown")
        cached.used_at = time
        if api_key_id in self._cached:
            self._cached.move_to_end(api_key_id)
        return cached

    async def _look_up(self, api_key_id: str) -> _CachedKey | None:
        """Look up a key in the store, once for all requests that wait for it.

        Unknown keys are not cached: requests with made-up keys could fill that memory.
        """
        lookup = self._lookups.get(api_key_id)
        if lookup is None:
            if len(self._lookups) >= _MAX_LOOKUPS:
                raise failure("too many keys are being looked up", Reason.OVERLOADED)
            lookup = self._lookups[api_key_id] = asyncio.get_running_loop().create_future()
            self._queue.append(api_key_id)
            if self._lookup_task is None:
                self._lookup_task = asyncio.create_task(self._run_lookups())
        try:
            async with asyncio.timeout(_LOOKUP_TIMEOUT_SECONDS):
                # A request that is cancelled must not cancel the lookup for the others; it ends by
                # its own timeout.
                return await asyncio.shield(lookup)
        except TimeoutError:
            raise failure("keys are not looked up in time", Reason.OVERLOADED) from None

    async def _run_lookups(self) -> None:
        """Look up all waiting keys together in one query after another, until none waits.

        So thousands of made-up keys cost a query or two for each round trip to the store, and a
        real key waits for one or two queries, not for thousands.
        """
        try:
            while self._queue:
                some = [self._queue.popleft() for _ in range(min(len(self._queue), _LOOKUP_BATCH))]
                try:
                    await self._look_up_batch(some)
                except StorageError as error:
                    for api_key_id in some:  # each request gets an exception of its own
                        self._fail(api_key_id, failure(str(error), error.reason))
                except Exception as error:  # noqa: BLE001 - whoever waits is told of bugs, too
                    for api_key_id in some:
                        self._fail(api_key_id, error)
        finally:
            self._lookup_task = None

    def _fail(self, api_key_id: str, error: Exception) -> None:
        lookup = self._lookups.pop(api_key_id, None)
        if lookup is not None:  # else it got its result before the bug occurred
            lookup.set_exception(error)
            lookup.exception()  # retrieved here, since no request may be left to do it

    async def _look_up_batch(self, api_key_ids: list[str]) -> None:
        read_at = asyncio.get_running_loop().time()
        found = {key.id: key for key in await self._storage.api_keys(api_key_ids)}
        for api_key_id in api_key_ids:
            key = found.get(api_key_id)
            if key is None:
                self._cached.pop(api_key_id, None)
                self._lookups.pop(api_key_id).set_result(None)
                continue
            cached = self._cached[api_key_id] = _CachedKey(key, read_at)
            self._lookups.pop(api_key_id).set_result(cached)
            if len(self._cached) > _MAX_CACHED:
                self._cached.popitem(last=False)

    async def _recheck(self) -> None:
        """Recheck all cached keys, and close the requests of those that are no longer valid."""
        began = asyncio.get_running_loop().time()
        self._drop_idle(began)
        watched = self._cached.keys() | self._requests.api_keys_in_use()
        stored = {key.id: key for key in await self._storage.api_keys(watched)} if watched else {}
        self._learn(stored, watched, began)
        self._rechecked_at = began
        if in_use := self._requests.api_keys_in_use() & watched:
            good = {
                api_key_id
                for api_key_id in in_use
                if api_key_id in stored and _is_good(stored[api_key_id])
            }
            if in_use > good:
                self._requests.close_by_api_keys(in_use - good)

    def _learn(self, stored: dict[str, ApiKey], watched: Set[str], read_at: float) -> None:
        for api_key_id in watched:
            cached = self._cached.get(api_key_id)
            if (
                cached is None or cached.read_at > read_at
            ):  # looked up in the meantime, which is newer
                continue
            key = stored.get(api_key_id)
            if key is None:
                del self._cached[api_key_id]
            elif key != cached.key:
                cached.learn(key, read_at)

    def _drop_idle(self, time: float) -> None:
        while self._cached and next(iter(self._cached.values())).used_at < time - _IDLE_SECONDS:
            self._cached.popitem(last=False)


def _is_good(key: ApiKey) -> bool:
    """Whether the key is valid now: neither revoked nor expired."""
    return key.revoked_at is None and not _is_expired(key)


def _is_expired(key: ApiKey) -> bool:
    return key.expires_at is not None and key.expires_at <= now()


def _checked(cached: _CachedKey) -> Principal:
    if cached.key.revoked_at is not None:
        raise InvalidCredentials("key_revoked", cached.key.id)
    if _is_expired(cached.key):
        raise ExpiredCredentials("key_expired", cached.key.id)
    return cached.principal
