"""Fixtures: an issuer, the keys that it publishes, and a verifier of its tokens."""

import pytest

from auth import jwks
from auth.jwks import JwksCache
from auth.token_verifier import TokenVerifier
from tests.auth.published_keys import REQUIREMENTS, Published
from tests.issuer import Issuer


@pytest.fixture
def signer() -> Issuer:
    """Signs tokens, and is asked for its keys without a network."""
    return Issuer()


@pytest.fixture
def published(signer: Issuer) -> Published:
    return Published(signer)


@pytest.fixture
def verifier(published: Published) -> TokenVerifier:
    return TokenVerifier(REQUIREMENTS, JwksCache(published.fetch, REQUIREMENTS.algorithms))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fetch keys as often as they are missing."""
    monkeypatch.setattr(jwks, "SOONEST_SECONDS", 0.0)
