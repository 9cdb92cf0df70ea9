"""The public keys of a token issuer, as it publishes them (a JWKS): fetched, kept, fetched again.

Keys change: a new one appears in the set shortly before tokens are signed with it, a withdrawn one
is left out. So the set is fetched every ten minutes, and at once when a token names a key that is
not known; but not more often than every ten seconds, whatever strangers send.

Names (`kid`) are optional, and issuers leave them out of tokens, of sets, or of both. What a name
does not decide is tried out, among keys of the issuer's alone, and those that fit the algorithm.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import jwt
import msgspec

from auth.principal import KeysUnavailable
from telemetry.outage_log import OutageLog

log = logging.getLogger("headrace.auth")

# What can be configured, and the keys that each takes. Nothing symmetric: a published key must not
# be taken for a shared secret. No "none".
KEY_TYPES: Mapping[str, tuple[str, str | None]] = {
    "RS256": ("RSA", None),
    "RS384": ("RSA", None),
    "RS512": ("RSA", None),
    "PS256": ("RSA", None),
    "PS384": ("RSA", None),
    "PS512": ("RSA", None),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", "Ed25519"),
}

# Seconds. A withdrawn key opens nothing after this long.
_REFRESH_SECONDS = 600.0

# Seconds between the beginnings of two fetches: how often strangers can have us ask the issuer, and
# how long a new key may be unknown if it comes into use the moment it is published.
SOONEST_SECONDS = 10.0

# Seconds for which a set counts if no newer one can be had. An issuer that is away for an hour
# should keep nobody out; one that is silenced for longer must not keep a withdrawn key good.
_TRUSTED_SECONDS = 24 * 3600.0

# Keys of a set that are looked at: issuers publish two or three, with certificates some KB each.
_MOST = 100

# Keys that are tried where no name says which: the one in use, the one before and the one to come.
# Each costs a tenth of a millisecond, also for a token that a stranger made up.
_MOST_TRIED = 4


class _SigningKey(NamedTuple):
    """A key, for one of the algorithms that it may serve."""

    kid: str | None
    algorithm: str
    key: jwt.PyJWK


class CandidateKeys(NamedTuple):
    """The keys that a token may be signed with, and whether it named them."""

    keys: tuple[jwt.PyJWK, ...]
    are_named: bool


class JwksCache:
    """The issuer's keys. `fetch` brings the set as it is published, or raises KeysUnavailable."""

    def __init__(self, fetch: Callable[[], Awaitable[bytes]], algorithms: tuple[str, ...]) -> None:
        self._fetch = fetch
        self._algorithms = algorithms
        self._keys: list[_SigningKey] = []
        self._published: bytes | None = None
        self._fetched_at = float("-inf")  # by the loop's clock, as the next one
        self._tried_at = float("-inf")
        self._fetching: asyncio.Task[None] | None = None
        self._reason = "not_fetched"  # why the last fetch that failed did
        self._outage = OutageLog(
            log, "the issuer's keys cannot be fetched", "the issuer's keys can be fetched again"
        )
        self.generation = (
            0  # counts the sets that differ: what was judged by another is judged anew
        )

    async def candidates(self, kid: str | None, algorithm: str) -> CandidateKeys:
        """The keys that a token names, or the few that it may mean; none if there is none such.

        Raises KeysUnavailable if no set was fetched, or none for a day; or if no key is known and
        there may be a new one, for all that can be told while the issuer is away.
        """
        found = self._find(kid, algorithm)
        if not found.keys or not self.is_trusted:
            await self.refresh()
            found = self._find(kid, algorithm)
        if not self.is_trusted or (not found.keys and self._outage.is_ongoing):
            raise KeysUnavailable(self._reason)
        return found

    async def has_changed(self) -> bool:
        """Whether the set is another one by now; for who tried out all that there were.

        Raises KeysUnavailable while that cannot be told.
        """
        before = self.generation
        await self.refresh()
        if self._outage.is_ongoing:
            raise KeysUnavailable(self._reason)
        return self.generation != before

    async def refresh(self) -> None:
        """Fetch the set, unless that was tried just now; whoever waits shares one fetch."""
        if self._fetching is None:
            time = asyncio.get_running_loop().time()
            if time < self._tried_at + SOONEST_SECONDS:
                return
            self._tried_at = time
            self._fetching = asyncio.create_task(self._renew())
        # One who leaves must not end it for the others: it is short and has its own end.
        await asyncio.shield(self._fetching)

    async def run(self) -> None:
        """Keep the set fresh until cancelled."""
        while True:
            await self.refresh()
            await asyncio.sleep(SOONEST_SECONDS if self._outage.is_ongoing else _REFRESH_SECONDS)

    @property
    def is_trusted(self) -> bool:
        """Whether the set is no older than a day: what it once said counts no more then."""
        return asyncio.get_running_loop().time() < self._fetched_at + _TRUSTED_SECONDS

    def _find(self, kid: str | None, algorithm: str) -> CandidateKeys:
        fitting = [each for each in self._keys if each.algorithm == algorithm]
        named = [each for each in fitting if kid and each.kid == kid]
        meant = named or [each for each in fitting if not (kid and each.kid)]
        return CandidateKeys(tuple(each.key for each in meant[:_MOST_TRIED]), bool(named))

    async def _renew(self) -> None:
        try:
            published = await self._fetch()
            if published != self._published:
                self._keys = _keys(published, self._algorithms)
                self._published = published
                self.generation += 1
            self._fetched_at = asyncio.get_running_loop().time()
        except KeysUnavailable as error:
            self._reason = error.reason
            self._outage.failed(error.reason)
        else:
            self._outage.succeeded()
        finally:
            self._fetching = None


def _keys(published: bytes, algorithms: tuple[str, ...]) -> list[_SigningKey]:
    """The usable keys of a set, for each algorithm that they may serve. Raises KeysUnavailable."""
    try:
        listed = msgspec.json.decode(published, type=_JwksDocument).keys
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise KeysUnavailable("no_key_set") from error
    keys = [
        _SigningKey(_text(data.get("kid")), algorithm, key)
        for data in map(_without_empty, listed[:_MOST])
        for algorithm in algorithms
        if (key := _usable(data, algorithm)) is not None
    ]
    if not keys:
        raise KeysUnavailable("no_key_for_auth.jwt.algorithms")
    return keys


def _without_empty(data: dict[str, Any]) -> dict[str, Any]:
    """A key without what is null or empty in it: some libraries write out what is left out."""
    return {name: value for name, value in data.items() if value not in (None, "")}


def _usable(data: dict[str, Any], algorithm: str) -> jwt.PyJWK | None:
    kind, curve = KEY_TYPES[algorithm]
    if data.get("kty") != kind or (curve is not None and data.get("crv") != curve):
        return None
    if data.get("use", "sig") != "sig" or data.get("alg", algorithm) != algorithm:
        return None
    if "d" in data:  # a private key that somebody published: everyone can sign with it
        return None
    try:
        return jwt.PyJWK(data, algorithm)
    except jwt.PyJWTError:
        return None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


class _JwksDocument(msgspec.Struct):
    keys: list[dict[str, Any]]
