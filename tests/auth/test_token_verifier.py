"""What a token says: for whom it is, from when until when, and what its holder may do."""

import time
from typing import Any

import pytest
from jwt.algorithms import RSAAlgorithm

from auth.errors import ExpiredCredentials, InvalidCredentials
from auth.jwks import JwksCache
from auth.principal import Principal
from auth.token_verifier import TokenVerifier
from tests.auth.forged_tokens import sealed
from tests.auth.published_keys import REQUIREMENTS, Published
from tests.issuer import AUDIENCE, Issuer


@pytest.mark.parametrize(("kid", "algorithm"), [("rsa", "RS256"), ("ec", "ES256"), ("ed", "EdDSA")])
@pytest.mark.gen_test
async def test_a_good_token_is_its_subjects(
    verifier: TokenVerifier, signer: Issuer, kid: str, algorithm: str
) -> None:
    token = signer.token(kid, algorithm)
    for _ in range(2):  # the second time it is remembered
        assert Principal("alice") == await verifier.verify(token)


@pytest.mark.slow
@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://evil.example/"},
        {"iss": None},
        {"aud": "another"},
        {"aud": ["another", "and another"]},
        {"aud": None},
        {"aud": 7},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "x" * 257},
        {"sub": "a\nb"},
        {"sub": "\ud800"},
        {"exp": None},
        {"exp": "soon"},
        {"exp": float("inf")},
        {"exp": float("nan")},
        {"exp": 10**400},
        {"nbf": 10**11},
        {"iat": 10**11},
        {"iat": "x"},
    ],
)
@pytest.mark.gen_test
async def test_a_token_that_says_anything_else_is_refused(
    verifier: TokenVerifier, signer: Issuer, changed: dict[str, Any]
) -> None:
    header, key = {"alg": "RS256", "kid": "rsa"}, signer.private["rsa"]
    signing = f"{sealed(header)}.{sealed(signer.claims(**changed))}"
    signature = RSAAlgorithm(RSAAlgorithm.SHA256).sign(signing.encode(), key)
    with pytest.raises(InvalidCredentials):
        await verifier.verify(f"{signing}.{sealed(signature)}")


@pytest.mark.gen_test
async def test_one_of_several_audiences_is_enough(verifier: TokenVerifier, signer: Issuer) -> None:
    await verifier.verify(signer.token(aud=["another", AUDIENCE]))


@pytest.mark.parametrize(
    ("expired_for", "good"), [(-1, True), (20, True), (40, False), (10_000, False)]
)
@pytest.mark.gen_test
async def test_clocks_may_differ_by_the_leeway_and_an_expired_token_is_told_so(
    verifier: TokenVerifier, signer: Issuer, expired_for: int, good: bool
) -> None:
    token = signer.token(exp=int(time.time()) - expired_for)
    if good:
        await verifier.verify(token)
    else:
        with pytest.raises(ExpiredCredentials):
            await verifier.verify(token)


@pytest.mark.gen_test
async def test_a_remembered_token_expires_too(
    verifier: TokenVerifier, signer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = signer.token()
    for _ in range(2):  # what came with the first set of keys was forgotten with that
        await verifier.verify(token)
    later = time.time() + 631
    monkeypatch.setattr("auth.token_verifier.time.time", lambda: later)
    with pytest.raises(ExpiredCredentials):
        await verifier.verify(token)


@pytest.mark.parametrize(
    ("claims", "admin"),
    [
        ({}, False),
        ({"scope": "openid headrace:admin"}, True),
        ({"scp": ["headrace:admin"]}, True),
        ({"scope": "headrace:administrator"}, False),
        ({"scope": {"headrace:admin": True}}, False),
        ({"roles": ["headrace:admin"]}, False),
    ],
)
@pytest.mark.gen_test
async def test_the_scope_that_is_set_makes_an_admin_and_nothing_else(
    verifier: TokenVerifier,
    published: Published,
    signer: Issuer,
    claims: dict[str, Any],
    admin: bool,
) -> None:
    token = signer.token(**claims)
    assert admin == (await verifier.verify(token)).admin
    unset = TokenVerifier(
        REQUIREMENTS._replace(admin_scope=None), JwksCache(published.fetch, REQUIREMENTS.algorithms)
    )
    assert not (await unset.verify(token)).admin


@pytest.mark.parametrize(
    ("claims", "models"),
    [
        ({"models": ["openai/*", "qwen/qwen-plus"]}, ("openai/*", "qwen/qwen-plus")),
        ({"models": "openai/* qwen/qwen-plus"}, ("openai/*", "qwen/qwen-plus")),
        ({"models": ["openai/*", 7, None]}, ("openai/*",)),
        ({"models": []}, ()),
        ({"models": {"openai/*": True}}, ()),
        ({"models": 7}, ()),
        ({}, ()),
    ],
)
@pytest.mark.gen_test
async def test_a_claim_says_for_which_models_a_token_is_and_without_it_for_none(
    signer: Issuer, published: Published, claims: dict[str, Any], models: tuple[str, ...]
) -> None:
    token = signer.token(**claims)
    requirements = REQUIREMENTS._replace(models_claim="models")
    named = TokenVerifier(requirements, JwksCache(published.fetch, REQUIREMENTS.algorithms))
    assert models == (await named.verify(token)).models
    unset = TokenVerifier(REQUIREMENTS, JwksCache(published.fetch, REQUIREMENTS.algorithms))
    assert (await unset.verify(token)).models is None
