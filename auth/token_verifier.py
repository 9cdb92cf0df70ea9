"""Verifies tokens of an identity provider (JWTs).

PyJWT checks signatures and claims; this module decides what is trusted: only algorithms that the
operator lists, only keys from the configured address, whatever the token refers to, this issuer,
this audience, and an expiry.

A valid token is cached until it expires, so that a further request costs a hash and no signature.
"""

import hashlib
import re
import time
from collections import OrderedDict
from typing import Any, NamedTuple

import jwt
import msgspec

from auth.errors import ExpiredCredentials, InvalidCredentials
from auth.jwks import JwksCache
from auth.principal import Principal, is_user_name

# The number of cached tokens, some 400 bytes each. Others are verified again, in some tenths of a
# millisecond.
_MAX_REMEMBERED = 10_000

# The longest token in characters. Usual ones have one or two thousand; with many groups, ten.
_LONGEST_TOKEN = 16 * 1024

# Claims that a token must have.
_REQUIRED = ("exp", "iss", "aud", "sub")

_OPTIONS: Any = {
    "require": [*_REQUIRED],
    "enforce_minimum_key_length": True,
}


class TokenRequirements(NamedTuple):
    """What a token must have. `admin_scope` among its scopes makes an admin; None: no token does.

    `leeway` is by how many seconds the issuer's clock may differ. `models_claim` names the claim
    that lists the permitted models; None: all are permitted.
    """

    issuer: str
    audience: tuple[str, ...]
    algorithms: tuple[str, ...]
    leeway: float
    admin_scope: str | None
    models_claim: str | None = None


class _VerifiedToken(NamedTuple):
    principal: Principal
    expires_at: float  # seconds since 1970, leeway included


class _JoseHeader(msgspec.Struct):
    alg: str
    kid: str | None = None


class TokenVerifier:
    """Verifies tokens and returns their users."""

    def __init__(self, requirements: TokenRequirements, keys: JwksCache) -> None:
        self._requirements = requirements
        self._keys = keys
        # By digest; the most recently used is last.
        self._verified_tokens: OrderedDict[bytes, _VerifiedToken] = OrderedDict()
        self._generation = 0

    async def verify(self, credentials: str) -> Principal:
        """The principal of a token. Raises Unauthenticated, and KeysUnavailable without usable
        keys.
        """
        if self._generation != self._keys.generation or not self._keys.is_trusted:
            # A key may have been withdrawn, or it has been unknown for a day whether it was.
            self._verified_tokens.clear()
            self._generation = self._keys.generation
        digest = hashlib.sha256(credentials.encode()).digest()
        verified = self._verified_tokens.get(digest)
        if verified is None:
            verified = await self._checked(credentials)
            self._verified_tokens[digest] = verified
            if len(self._verified_tokens) > _MAX_REMEMBERED:
                self._verified_tokens.popitem(last=False)
        elif verified.expires_at <= time.time():
            del self._verified_tokens[digest]
            raise ExpiredCredentials("token_exp")
        else:
            self._verified_tokens.move_to_end(digest)
        return verified.principal

    async def recheck(self, principal: Principal) -> None:
        """Return if the principal's ticket is valid: its token was verified when the ticket was
        issued.
        """
        if principal.api_key_id is not None:  # issued while `auth.mode` was "keys"
            raise InvalidCredentials("ticket_of_a_key")

    async def run(self) -> None:
        """Keep the issuer's keys fresh until cancelled."""
        await self._keys.run()

    async def _checked(self, token: str) -> _VerifiedToken:
        header = _header(token)
        if header.alg not in self._requirements.algorithms:
            raise InvalidCredentials("token_alg")
        try:
            claims = await self._verified(token, header)
            expires_at = float(claims["exp"]) + self._requirements.leeway
        except jwt.ExpiredSignatureError:
            raise ExpiredCredentials("token_exp") from None
        # PyJWT lets some foreign errors through: for times out of range, or for deeply nested
        # brackets.
        except (jwt.PyJWTError, ValueError, TypeError, ArithmeticError, RecursionError) as error:
            raise InvalidCredentials(_reason(error)) from None
        user = claims["sub"]
        if not is_user_name(user):
            raise InvalidCredentials("token_sub")
        principal = Principal(user, self._is_admin(claims), models=self._models(claims))
        return _VerifiedToken(principal, expires_at)

    async def _verified(self, token: str, header: _JoseHeader) -> dict[str, Any]:
        """The claims, verified with the key that the token names, or else with each candidate.

        Raises PyJWT's errors, and InvalidCredentials or KeysUnavailable if there is no key.
        """
        while True:
            found = await self._keys.candidates(header.kid, header.alg)
            if not found.keys:
                raise InvalidCredentials("token_kid_unknown" if header.kid else "token_kid_missing")
            for key in found.keys:
                try:
                    return self._claims(token, key, header.alg)
                except (jwt.InvalidSignatureError, jwt.InvalidKeyError) as error:
                    refused = error
            # Without a key name a token cannot refer to a new key.
            if found.are_named or not await self._keys.has_changed():
                raise refused

    def _claims(self, token: str, key: jwt.PyJWK, algorithm: str) -> dict[str, Any]:
        return jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience=self._requirements.audience,
            issuer=self._requirements.issuer,
            leeway=self._requirements.leeway,
            options=_OPTIONS,
        )

    def _is_admin(self, claims: dict[str, Any]) -> bool:
        wanted = self._requirements.admin_scope
        return wanted is not None and any(
            wanted in _scopes(claims.get(name)) for name in ("scope", "scp")
        )

    def _models(self, claims: dict[str, Any]) -> tuple[str, ...] | None:
        """The models that the claim permits; none at all if the token lacks the claim."""
        name = self._requirements.models_claim
        if name is None:
            return None
        return tuple(word for word in _scopes(claims.get(name)) if isinstance(word, str))


def _scopes(claim: object) -> list[object]:
    """The scopes: a string with spaces in OAuth, a list with some providers."""
    if isinstance(claim, str):
        return [*claim.split(" ")]
    return claim if isinstance(claim, list) else []


# Reasons for PyJWT's errors, by class, since its messages may quote the token. The first that fits
# counts.
_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (jwt.InvalidSignatureError, "token_signature"),
    (jwt.InvalidAudienceError, "token_aud"),
    (jwt.InvalidIssuerError, "token_iss"),
    (jwt.InvalidIssuedAtError, "token_iat"),
    (jwt.exceptions.InvalidSubjectError, "token_sub"),
    (jwt.exceptions.InvalidJTIError, "token_jti"),
    (jwt.InvalidAlgorithmError, "token_alg"),
    (jwt.InvalidKeyError, "token_key_too_short"),
)

# For errors about a claim the reason contains the claim's name.
_NAMED = re.compile(r"\((exp|nbf|iat)\)|\b(crit)")


def _reason(error: Exception) -> str:
    """Why a token is refused, in words of this server only."""
    if isinstance(error, jwt.MissingRequiredClaimError) and error.claim in _REQUIRED:
        return f"token_{error.claim}_missing"
    if isinstance(error, jwt.InvalidTokenError) and (named := _NAMED.search(str(error))):
        return f"token_{named[1] or named[2]}"
    return next((word for kind, word in _REASONS if isinstance(error, kind)), "token_malformed")


def _header(token: str) -> _JoseHeader:
    """The header of a token, which is unverified."""
    if len(token) > _LONGEST_TOKEN:
        raise InvalidCredentials("token_too_long")
    try:
        sealed, _, _ = token.partition(".")
        return msgspec.json.decode(jwt.utils.base64url_decode(sealed), type=_JoseHeader)
    except (ValueError, RecursionError):  # msgspec's and binascii's are ValueErrors
        raise InvalidCredentials("token_malformed") from None
