"""An issuer's keys without a network, and what the tests ask of its tokens."""

import json

from auth.errors import KeysUnavailable
from auth.token_verifier import TokenRequirements
from tests.issuer import AUDIENCE, ISSUER, Issuer

REQUIREMENTS = TokenRequirements(
    ISSUER, (AUDIENCE,), ("RS256", "ES256", "EdDSA"), 30, "headrace:admin"
)


class Published:
    """The issuer's set without a network."""

    def __init__(self, issuer: Issuer) -> None:
        self.issuer = issuer
        self.fetches = 0
        self.away = False

    async def fetch(self) -> bytes:
        self.fetches += 1
        if self.away:
            raise KeysUnavailable("away")
        return json.dumps({"keys": list(self.issuer.published.values())}).encode()
