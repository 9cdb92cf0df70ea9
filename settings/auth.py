"""Authentication of users, and the web pages that may call the API."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from settings.addresses import JwksAddress, Origin
from settings.values import SECRET_CHARS, CaFile, CommaSeparated, Section, SigningSecret, Word

Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]


class JwtSettings(Section):
    """Which tokens (JWT) are accepted. The values in a token are compared with these settings."""

    issuer: Word
    audience: Annotated[tuple[Word, ...], CommaSeparated, Field(min_length=1)]
    # Only algorithms that sign with a private key: with one that uses a shared secret, a token
    # could be forged from the published key.
    algorithms: Annotated[tuple[Algorithm, ...], CommaSeparated, Field(min_length=1)]
    jwks_url: JwksAddress
    ca_certs: CaFile | None = None  # replaces certifi's
    # The clocks of administered machines differ by less; a larger value would prolong every token.
    leeway_seconds: float = Field(30.0, ge=0, le=300)
    # The scope that makes a token's user an admin. Unset: no token does.
    admin_scope: Word | None = None
    # The claim with the models that a token permits, as `create-key --models` does for API keys.
    # Unset: all models. If it is set, a token without the claim permits none, so that a forgotten
    # claim does not open all of them.
    models_claim: Word | None = None


class AuthSettings(Section):
    """How users are authenticated. "none" trusts every program on this machine, and is refused
    elsewhere.
    """

    mode: Literal["none", "keys", "jwt"] = "none"
    # Signs tickets. All processes need the same value; a new value invalidates all tickets that
    # were issued.
    secret: SigningSecret | None = None
    # "keys": seconds for which an API key that another process revoked may still be accepted. Each
    # recheck is one query for all keys in use. The limit keeps revocation "within seconds".
    recheck_seconds: float = Field(3.0, gt=0, lt=60)
    jwt: JwtSettings | None = None

    @model_validator(mode="after")
    def _has_what_its_mode_needs(self) -> Self:
        if self.mode != "none" and self.secret is None:
            raise ValueError(
                f'secret is required for mode "{self.mode}": at least {SECRET_CHARS} '
                'characters, such as the output of "openssl rand -hex 32"'
            )
        if self.mode == "jwt" and self.jwt is None:
            raise ValueError('mode "jwt" requires the table auth.jwt')
        if self.mode != "jwt" and self.jwt is not None:
            raise ValueError(f'jwt is used with mode "jwt" only, not with "{self.mode}"')
        return self


class CorsSettings(Section):
    """Which web pages of other origins may call the API. By default none may."""

    allow_origins: Annotated[tuple[Origin, ...], CommaSeparated] = ()
