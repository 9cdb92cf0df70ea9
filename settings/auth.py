"""Who may ask, and from which web pages."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from settings.addresses import JwksAddress, Origin
from settings.values import SECRET_CHARS, CaFile, CommaSeparated, Section, SigningSecret, Word

Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]


class JwtSettings(Section):
    """Whose tokens are taken. What a token says about itself is held against this."""

    issuer: Word
    audience: Annotated[tuple[Word, ...], CommaSeparated, Field(min_length=1)]
    # Only what signs with a private key: one that could be checked with a shared secret could be
    # forged with a published key.
    algorithms: Annotated[tuple[Algorithm, ...], CommaSeparated, Field(min_length=1)]
    jwks_url: JwksAddress
    ca_certs: CaFile | None = None  # in place of certifi's
    # Clocks of machines that are looked after differ by less; more would prolong every token.
    leeway_seconds: float = Field(30.0, ge=0, le=300)
    # A word among a token's scopes. Unset, no token makes an admin.
    admin_scope: Word | None = None
    # The claim that says which models its holder may ask, as `create-key --models` does for keys.
    # Unset, any. Set, a token without it may ask none: else forgetting it would open them all.
    models_claim: Word | None = None


class AuthSettings(Section):
    """Who may ask. "none" trusts every program on this machine, and so never listens beyond it."""

    mode: Literal["none", "keys", "jwt"] = "none"
    # Signs tickets. Every process has the same; another one ends all tickets that were given.
    secret: SigningSecret | None = None
    # "keys": how long a key that was revoked elsewhere may still open something here. One query for
    # all keys in use each time. A minute is not "within seconds" any more.
    recheck_seconds: float = Field(3.0, gt=0, lt=60)
    jwt: JwtSettings | None = None

    @model_validator(mode="after")
    def _has_what_its_mode_needs(self) -> Self:
        if self.mode != "none" and self.secret is None:
            raise ValueError(
                f'secret is required for mode "{self.mode}": {SECRET_CHARS} characters '
                'or more, such as "openssl rand -hex 32" prints'
            )
        if self.mode == "jwt" and self.jwt is None:
            raise ValueError('mode "jwt" needs the table auth.jwt')
        if self.mode != "jwt" and self.jwt is not None:
            raise ValueError(f'jwt is for mode "jwt", not for "{self.mode}"')
        return self


class CorsSettings(Section):
    """Which web pages of other origins may call. None by default: nothing is open unasked."""

    allow_origins: Annotated[tuple[Origin, ...], CommaSeparated] = ()
