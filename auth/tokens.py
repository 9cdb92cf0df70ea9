"""Tokens of an identity provider (JWTs): whose they are, if they are good here.

PyJWT checks signatures and claims; what may be trusted is decided here: the algorithms that the
operator lists and nothing that a token says about itself, keys from the configured address and from
nowhere that a token points to, this issuer, this audience, and an expiry.

A token that was found good is remembered until it expires, so that a request costs one hash and no
signature.
"""

import hashlib
import time
from collections import OrderedDict
from typing import Any, NamedTuple

import jwt
import msgspec

from auth.keyset import KeySet
from auth.principal import (
    ExpiredCredentials,
    InvalidCredentials,
    Principal,
    is_user_name,
)

# Tokens remembered, some 400 bytes each. One more is checked again when it comes:
# some tenths of a millisecond.
_MOST = 10_000

# Characters. Real ones have one or two thousand; with many groups in them, ten.
_LONGEST_TOKEN = 16 * 1024

_OPTIONS: Any = {
    "require": ["exp", "iss", "aud", "sub"],
    "enforce_minimum_key_length": True,
}


class Rules(NamedTuple):
    """What a token has to say. `admin_scope` among its scopes makes an admin; None: nothing does.

    `leeway` is by how many seconds the issuer's clock may differ.
    """

    issuer: str
    audience: tuple[str, ...]
    algorithms: tuple[str, ...]
    leeway: float
    admin_scope: str | None


class _Good(NamedTuple):
    principal: Principal
    expires_at: float  # seconds since 1970, leeway included


class _Header(msgspec.Struct):
    alg: str
    kid: str | None = None


class Verifier:
    """Tells whose a token is."""

    def __init__(self, rules: Rules, keys: KeySet) -> None:
        self._rules = rules
        self._keys = keys
        self._good: OrderedDict[bytes, _Good] = OrderedDict()  # by digest; used last comes last
        self._generation = 0

    async def enter(self, credentials: str) -> Principal:
        """Whose token this is. Raises Unauthenticated, or KeysUnavailable if nobody can tell."""
        if self._generation != self._keys.generation:  # a key may have been withdrawn
            self._good.clear()
            self._generation = self._keys.generation
        digest = hashlib.sha256(credentials.encode()).digest()
        good = self._good.get(digest)
        if good is None:
            good = await self._checked(credentials)
            self._good[digest] = good
            if len(self._good) > _MOST:
                self._good.popitem(last=False)
        elif good.expires_at <= time.time():
            del self._good[digest]
            raise ExpiredCredentials
        else:
            self._good.move_to_end(digest)
        return good.principal

    async def check(self, principal: Principal) -> None:
        """Return if a ticket of the principal's is good: a token, once let in, is not asked for."""
        if principal.key_id is not None:  # given while API keys were taken
            raise InvalidCredentials

    async def run(self) -> None:
        """Keep the issuer's keys fresh until cancelled."""
        await self._keys.run()

    async def _checked(self, token: str) -> _Good:
        header = _header(token)
        if header.alg not in self._rules.algorithms:
            raise InvalidCredentials
        key = await self._keys.key(header.kid, header.alg)
        if key is None:
            raise InvalidCredentials
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[header.alg],
                audience=self._rules.audience,
                issuer=self._rules.issuer,
                leeway=self._rules.leeway,
                options=_OPTIONS,
            )
            expires_at = float(claims["exp"]) + self._rules.leeway
        except jwt.ExpiredSignatureError:
            raise ExpiredCredentials from None
        # Beside its own errors PyJWT lets some through: for a number that no clock shows, or for
        # brackets within brackets.
        except (jwt.PyJWTError, ValueError, TypeError, ArithmeticError, RecursionError):
            raise InvalidCredentials from None
        user = claims["sub"]
        if not is_user_name(user):
            raise InvalidCredentials
        return _Good(Principal(user, self._is_admin(claims)), expires_at)

    def _is_admin(self, claims: dict[str, Any]) -> bool:
        wanted = self._rules.admin_scope
        return wanted is not None and any(
            wanted in _scopes(claims.get(name)) for name in ("scope", "scp")
        )


def _scopes(claim: object) -> list[object]:
    """OAuth writes them in one string, with spaces; some providers make a list of them."""
    if isinstance(claim, str):
        return [*claim.split(" ")]
    return claim if isinstance(claim, list) else []


def _header(token: str) -> _Header:
    """What a token says of its own signature: a claim until it is verified."""
    if len(token) > _LONGEST_TOKEN:
        raise InvalidCredentials
    try:
        sealed, _, _ = token.partition(".")
        return msgspec.json.decode(jwt.utils.base64url_decode(sealed), type=_Header)
    except (ValueError, RecursionError):  # msgspec's and binascii's are ValueErrors
        raise InvalidCredentials from None
