"""The public keys of a token issuer (its JWKS): fetched, cached and refreshed.

Issuers add a new key to the set shortly before they sign with it, and leave out a withdrawn one. So
the set is fetched every ten minutes, and at once when a token names an unknown key, but at most
every ten seconds, whatever strangers send.

Key names (`kid`) are optional: issuers leave them out of tokens, of sets, or of both. Without a
name all keys of the issuer that fit the algorithm are tried.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import jwt
import msgspec

from auth.errors import KeysUnavailable
from telemetry.outage_log import OutageLog

log = logging.getLogger("headrace.auth")

# The algorithms that can be configured, and the keys that each takes. None is symmetric: a
# published key must not be used as a shared secret. "none" is not among them.
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

# Seconds between two fetches: a withdrawn key is refused after this long.
_REFRESH_SECONDS = 600.0

# Seconds from one fetch to the next at the earliest: how often strangers can make the server call
# the issuer, and how long a new key may be unknown if it is used as soon as it is published.
SOONEST_SECONDS = 10.0

# Seconds for which a set is used if no newer one can be fetched. An outage of the issuer for an
# hour should lock nobody out; but a withdrawn key must not stay valid for longer because the issuer
# cannot be reached.
_TRUSTED_SECONDS = 24 * 3600.0

# The number of keys that are read from a set: issuers publish two or three.
_MAX_KEYS = 100

# Keys that are tried for a token without a key name: the current, the previous and the next one,
# and one more. Each costs a tenth of a millisecond, also for a forged token.
_MAX_TRIED = 4


class _SigningKey(NamedTuple):
    """A public key, for one of the algorithms that it fits."""

    kid: str | None
    algorithm: str
    key: jwt.PyJWK


class CandidateKeys(NamedTuple):
    """The keys that a token may be signed with, and whether the token named them."""

    keys: tuple[jwt.PyJWK, ...]
    are_named: bool


class JwksCache:
    """The issuer's keys. `fetch` returns the published set, or raises KeysUnavailable."""

    def __init__(self, fetch: Callable[[], Awaitable[bytes]], algorithms: tuple[str, ...]) -> None:
        self._fetch = fetch
        self._algorithms = algorithms
        self._keys: list[_SigningKey] = []
        self._published: bytes | None = None
        self._fetched_at = float("-inf")  # by the loop's clock, like the next one
        self._tried_at = float("-inf")
        self._fetching: asyncio.Task[None] | None = None
        self._reason = "not_fetched"  # why the last failed fetch failed
        self._outage = OutageLog(
            log, "the issuer's keys cannot be fetched", "the issuer's keys can be fetched again"
        )
        self.generation = 0  # counts sets: cached tokens are bound to one

    async def candidates(self, kid: str | None, algorithm: str) -> CandidateKeys:
        """The keys that a token names or may be signed with; none if there is no such key.

        Raises KeysUnavailable if no set was fetched, or none for a day, or if the key is unknown
        and the issuer cannot be asked whether there is a new one.
        """
        found = self._find(kid, algorithm)
        if not found.keys or not self.is_trusted:
            await self.refresh()
            found = self._find(kid, algorithm)
        if not self.is_trusted or (not found.keys and self._outage.is_ongoing):
            raise KeysUnavailable(self._reason)
        return found

    async def has_changed(self) -> bool:
        """Whether the set is a newer one now, for a token that none of the keys verified.

        Raises KeysUnavailable while that cannot be found out.
        """
        before = self.generation
        await self.refresh()
        if self._outage.is_ongoing:
            raise KeysUnavailable(self._reason)
        return self.generation != before

    async def refresh(self) -> None:
        """Fetch the set unless that was tried just now; concurrent callers share one fetch."""
        if self._fetching is None:
            time = asyncio.get_running_loop().time()
            if time < self._tried_at + SOONEST_SECONDS:
                return
            self._tried_at = time
            self._fetching = asyncio.create_task(self._renew())
        # A caller that is cancelled must not cancel the fetch for the others; it ends by its own
        # timeout.
        await asyncio.shield(self._fetching)

    async def run(self) -> None:
        """Keep the set fresh until cancelled."""
        while True:
            await self.refresh()
            await asyncio.sleep(SOONEST_SECONDS if self._outage.is_ongoing else _REFRESH_SECONDS)

    @property
    def is_trusted(self) -> bool:
        """Whether the set was fetched within the last day."""
        return asyncio.get_running_loop().time() < self._fetched_at + _TRUSTED_SECONDS

    def _find(self, kid: str | None, algorithm: str) -> CandidateKeys:
        fitting = [each for each in self._keys if each.algorithm == algorithm]
        named = [each for each in fitting if kid and each.kid == kid]
        meant = named or [each for each in fitting if not (kid and each.kid)]
        return CandidateKeys(tuple(each.key for each in meant[:_MAX_TRIED]), bool(named))

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
    """The usable keys of a set, once for each algorithm that they fit. Raises KeysUnavailable."""
    try:
        listed = msgspec.json.decode(published, type=_JwksDocument).keys
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise KeysUnavailable("no_key_set") from error
    keys = [
        _SigningKey(_text(data.get("kid")), algorithm, key)
        for data in map(_without_empty, listed[:_MAX_KEYS])
        for algorithm in algorithms
        if (key := _usable(data, algorithm)) is not None
    ]
    if not keys:
        raise KeysUnavailable("no_key_for_auth.jwt.algorithms")
    return keys


def _without_empty(data: dict[str, Any]) -> dict[str, Any]:
    """A key without null or empty members, which some libraries write for absent ones."""
    return {name: value for name, value in data.items() if value not in (None, "")}


def _usable(data: dict[str, Any], algorithm: str) -> jwt.PyJWK | None:
    kind, curve = KEY_TYPES[algorithm]
    if data.get("kty") != kind or (curve is not None and data.get("crv") != curve):
        return None
    if data.get("use", "sig") != "sig" or data.get("alg", algorithm) != algorithm:
        return None
    if "d" in data:  # a published private key, with which anyone can sign
        return None
    try:
        return jwt.PyJWK(data, algorithm)
    except jwt.PyJWTError:
        return None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


class _JwksDocument(msgspec.Struct):
    keys: list[dict[str, Any]]
