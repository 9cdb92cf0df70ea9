"""Tokens of an identity provider: which are good, which are not, and keys that come and go."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from jwt.algorithms import RSAAlgorithm

from auth import jwks
from auth.jwks import JwksCache
from auth.principal import (
    ExpiredCredentials,
    InvalidCredentials,
    KeysUnavailable,
    Principal,
    Unauthenticated,
)
from auth.token_verifier import TokenRequirements, TokenVerifier
from tests.issuer import AUDIENCE, ISSUER, Issuer
from tests.readers import Reader, call
from tests.serving import Serving
from tests.upstreams import ScriptedUpstream

MODELS = ("GET", "/api/v1/models")
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


def sealed(value: object) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@pytest.mark.parametrize(("kid", "algorithm"), [("rsa", "RS256"), ("ec", "ES256"), ("ed", "EdDSA")])
@pytest.mark.gen_test
async def test_a_good_token_is_its_subjects(
    verifier: TokenVerifier, signer: Issuer, kid: str, algorithm: str
) -> None:
    token = signer.token(kid, algorithm)
    for _ in range(2):  # the second time it is remembered
        assert Principal("alice") == await verifier.verify(token)


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


# Attacks on how it is signed


def public_pem(signer: Issuer) -> bytes:
    return bytes(
        signer.private["rsa"]
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def unsigned(signer: Issuer) -> str:
    return f"{sealed({'alg': 'none', 'kid': 'rsa'})}.{sealed(signer.claims())}."


def confused(signer: Issuer) -> str:
    """Signed with the public key, as if it were a shared secret."""
    signing = f"{sealed({'alg': 'HS256', 'kid': 'rsa'})}.{sealed(signer.claims())}"
    mac = hmac.new(public_pem(signer), signing.encode(), hashlib.sha256).digest()
    return f"{signing}.{sealed(mac)}"


def strangers(signer: Issuer) -> str:
    """Signed with a key of the sender's own, which the token brings along."""
    signer.private["evil"] = rsa.generate_private_key(65537, 2048)
    headers = {"kid": "rsa", "jwk": signer.public("evil"), "jku": "https://evil.example/keys"}
    return signer.token("evil", headers=headers)


def critical(signer: Issuer) -> str:
    return signer.token(headers={"kid": "rsa", "crit": ["x-policy"], "x-policy": "mfa"})


def of_another_kind(signer: Issuer) -> str:
    """The name of one key, signed with another."""
    return signer.token("ec", "ES256", headers={"kid": "rsa"})


def not_listed(signer: Issuer) -> str:
    return signer.token("rsa", "PS256")


def tampered(signer: Issuer) -> str:
    header, _, signature = signer.token().split(".")
    return f"{header}.{sealed(signer.claims(sub='bob'))}.{signature}"


def nameless(signer: Issuer) -> str:
    """All keys of its kind are tried then, and none but those of the issuer."""
    signer.publish("rsa", "next", "ec")
    signer.private["evil"] = rsa.generate_private_key(65537, 2048)
    return signer.token("evil", headers={"jwk": signer.public("evil")})


def nameless_and_confused(signer: Issuer) -> str:
    signer.publish("rsa")
    del signer.published["rsa"]["kid"]
    return confused(signer).replace(sealed({"alg": "HS256", "kid": "rsa"}), "e30")


def under_anothers_name(signer: Issuer) -> str:
    """Nothing is tried out for a token that says which of the keys it is."""
    signer.publish("rsa", "next")
    return signer.token("next", headers={"kid": "rsa"})


def of_a_key_with_another_name(signer: Issuer) -> str:
    return signer.token("rsa", headers={"kid": "unheard of"})


def of_unknown_key(signer: Issuer) -> str:
    return signer.token("next")


ATTACKS = [
    unsigned,
    confused,
    strangers,
    critical,
    of_another_kind,
    not_listed,
    tampered,
    nameless,
    nameless_and_confused,
    under_anothers_name,
    of_a_key_with_another_name,
    of_unknown_key,
]


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.gen_test
async def test_a_token_that_is_not_signed_by_the_issuer_is_refused(
    verifier: TokenVerifier, signer: Issuer, attack: Callable[[Issuer], str]
) -> None:
    with pytest.raises(InvalidCredentials):
        await verifier.verify(attack(signer))


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        "é.é.é",
        "hr_aaaaaaaaaaaaaaaa_bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
        "x" * 20_000,
        f"{sealed(b'[' * 6000)}.e30.x",
        f"{sealed({'alg': 'RS256', 'kid': 7})}.e30.x",
        f"{sealed({'alg': ['RS256']})}.e30.x",
        f"{sealed({'alg': 'RS256', 'kid': 'rsa'})}.{sealed(b'[' * 6000)}.x",
        f"{sealed({'alg': 'RS256', 'kid': 'rsa', 'b64': False, 'crit': ['b64']})}..x",
    ],
)
@pytest.mark.gen_test
async def test_what_is_no_token_is_refused(verifier: TokenVerifier, token: str) -> None:
    with pytest.raises(InvalidCredentials):
        await verifier.verify(token)


@pytest.mark.slow
@given(
    header=some.one_of(
        some.binary(max_size=60),
        some.dictionaries(some.sampled_from(["alg", "kid", "crit", "b64", "typ"]), some.text()),
    ),
    rest=some.text(max_size=60),
)
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_nothing_that_is_sent_is_taken_for_a_bug(
    verifier: TokenVerifier, header: object, rest: str
) -> None:
    async def verify() -> None:
        with pytest.raises((Unauthenticated, KeysUnavailable)):
            await verifier.verify(f"{sealed(header)}.{rest}")

    asyncio.run(verify())


# The issuer's keys


@pytest.mark.gen_test
async def test_without_a_name_the_only_key_of_its_kind_will_do(
    verifier: TokenVerifier, signer: Issuer
) -> None:
    await verifier.verify(signer.token(headers={}))


NAMELESS = {
    "the token": (("rsa", "next", "ec"), (), {}),
    "the token, by an empty name": (("rsa", "next", "ec"), (), {"kid": ""}),
    "the only key": (("rsa",), ("rsa",), {"kid": "rsa"}),
    "all keys": (("next", "rsa", "ec"), ("next", "rsa", "ec"), {"kid": "rsa"}),
    "all keys and the token": (("next", "rsa", "ec"), ("next", "rsa", "ec"), {}),
    "its key": (("next", "rsa", "ec"), ("rsa",), {"kid": "whatever"}),
    "the other key": (("next", "rsa", "ec"), ("next",), {}),
}


@pytest.mark.parametrize(("keys", "without", "headers"), NAMELESS.values(), ids=NAMELESS.keys())
@pytest.mark.gen_test
async def test_where_a_name_is_left_out_the_issuers_few_keys_are_tried(
    verifier: TokenVerifier,
    signer: Issuer,
    keys: tuple[str, ...],
    without: tuple[str, ...],
    headers: dict[str, str],
) -> None:
    signer.publish(*keys)
    for kid in without:
        del signer.published[kid]["kid"]

    assert Principal("alice") == await verifier.verify(signer.token(headers=headers))
    with pytest.raises(ExpiredCredentials):  # and all else is looked at as ever
        await verifier.verify(signer.token(headers=headers, exp=1))


@pytest.mark.gen_test
async def test_a_new_key_without_a_name_is_fetched_when_no_other_fits(
    verifier: TokenVerifier, signer: Issuer, published: Published, impatient: None
) -> None:
    signer.publish("rsa", kid=None)
    await verifier.verify(signer.token(headers={}))
    signer.publish("next", kid=None)

    await verifier.verify(signer.token("next", headers={}))

    assert 2 == published.fetches
    with pytest.raises(InvalidCredentials):  # the old one opens nothing more
        await verifier.verify(signer.token(headers={}))
    published.away = True
    with pytest.raises(KeysUnavailable):  # it may be a new one
        await verifier.verify(signer.token(headers={}))


@pytest.mark.gen_test
async def test_tokens_without_a_name_cannot_make_us_ask_the_issuer_all_the_time(
    verifier: TokenVerifier, signer: Issuer, published: Published
) -> None:
    for number in range(20):
        with pytest.raises(InvalidCredentials):
            await verifier.verify(signer.token("next", headers={}, jti=f"{number}"))

    assert 1 == published.fetches


@pytest.mark.parametrize(("others", "good"), [(3, True), (4, False)])
@pytest.mark.gen_test
async def test_so_many_keys_are_tried_and_no_more(
    verifier: TokenVerifier, signer: Issuer, others: int, good: bool
) -> None:
    ahead = {f"{number}": signer.public("next") for number in range(others)}
    signer.published = {**ahead, "rsa": signer.public("rsa")}

    with nullcontext() if good else pytest.raises(InvalidCredentials):
        await verifier.verify(signer.token(headers={}))


@pytest.mark.gen_test
async def test_a_new_key_is_fetched_when_a_token_names_it(
    verifier: TokenVerifier, signer: Issuer, published: Published, impatient: None
) -> None:
    await verifier.verify(signer.token())
    signer.publish("rsa", "next")
    await asyncio.gather(*(verifier.verify(signer.token("next", jti=f"{i}")) for i in range(5)))
    assert 2 == published.fetches  # all of them shared one


@pytest.mark.gen_test
async def test_strangers_cannot_make_us_ask_the_issuer_all_the_time(
    verifier: TokenVerifier, signer: Issuer, published: Published
) -> None:
    await verifier.verify(signer.token())
    for number in range(20):
        with pytest.raises(InvalidCredentials):
            await verifier.verify(signer.token(headers={"kid": f"unknown {number}"}))
    assert 1 == published.fetches


@pytest.mark.gen_test
async def test_a_withdrawn_key_opens_nothing_once_that_is_known_not_even_remembered_tokens(
    verifier: TokenVerifier, signer: Issuer, impatient: None
) -> None:
    token = signer.token()
    await verifier.verify(token)
    signer.publish("next")
    await verifier.verify(signer.token("next"))
    with pytest.raises(InvalidCredentials):
        await verifier.verify(token)


@pytest.mark.gen_test
async def test_known_keys_outlast_the_issuer_for_a_day(
    verifier: TokenVerifier,
    signer: Issuer,
    published: Published,
    impatient: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await verifier.verify(signer.token())
    published.away = True
    another = signer.token(jti="another")
    await verifier.verify(another)
    with pytest.raises(KeysUnavailable):  # it may be a new one: nobody is told that it is wrong
        await verifier.verify(signer.token("next"))
    monkeypatch.setattr(jwks, "_TRUSTED_SECONDS", 0.0)
    with pytest.raises(KeysUnavailable):
        await verifier.verify(signer.token(jti="a third"))
    with pytest.raises(KeysUnavailable):  # also what was found good while there was an issuer
        await verifier.verify(another)


@pytest.mark.parametrize(
    "fields",
    [{"use": "enc"}, {"alg": "RS512"}, {"kty": "oct"}, {"d": "AQAB"}, {"n": "AQAB"}, {"n": 7}],
)
@pytest.mark.gen_test
async def test_a_key_for_something_else_is_no_key(
    verifier: TokenVerifier, signer: Issuer, fields: dict[str, Any]
) -> None:
    token = signer.token()
    signer.published["rsa"] |= fields
    with pytest.raises(InvalidCredentials):
        await verifier.verify(token)


@pytest.mark.parametrize("nothing", [None, ""])
@pytest.mark.gen_test
async def test_what_a_key_says_by_null_it_does_not_say(
    verifier: TokenVerifier, signer: Issuer, nothing: str | None
) -> None:
    left_out = dict.fromkeys(("use", "alg", "d", "kid", "key_ops", "x5c", "x5t"), nothing)
    signer.published = {"rsa": signer.published["rsa"] | left_out}

    assert Principal("alice") == await verifier.verify(signer.token())


@pytest.mark.gen_test
async def test_a_short_key_is_no_key(verifier: TokenVerifier, signer: Issuer) -> None:
    signer.private["short"] = rsa.generate_private_key(65537, 1024)
    signer.publish("short")
    header = sealed({"alg": "RS256", "kid": "short"})
    signing = f"{header}.{sealed(signer.claims())}"
    signature = RSAAlgorithm(RSAAlgorithm.SHA256).sign(signing.encode(), signer.private["short"])
    with pytest.raises(InvalidCredentials):
        await verifier.verify(f"{signing}.{sealed(signature)}")


@pytest.mark.parametrize(
    "answer", [b"", b"{}", b"[]", b'{"keys": []}', b'{"keys": [7]}', b"\xff", b"[" * 100_000]
)
@pytest.mark.gen_test
async def test_a_set_that_is_none_is_as_if_the_issuer_were_away(answer: bytes) -> None:
    async def fetch() -> bytes:
        return answer

    keys = JwksCache(fetch, ("RS256",))
    with pytest.raises(KeysUnavailable):
        await keys.candidates("rsa", "RS256")


# Admins


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


# The whole server


def bearing(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.gen_test
async def test_a_token_opens_the_server_and_a_ticket_given_for_it_reads(
    serve: Serving, issuer: Issuer, upstream: ScriptedUpstream, providers: dict[str, Any]
) -> None:
    server = await serve.start(auth=issuer.settings(), providers=providers)
    upstream.tokens("Hel")
    reader = await Reader.ask(server.url, headers=bearing(issuer.token()))
    await reader.text("Hel")
    path = f"/api/v1/answers/{reader.answer_id}"
    given = await call(server.url, "POST", f"{path}/ticket", headers=bearing(issuer.token()))
    again = await Reader.open(server.url, "GET", given.body["events_url"])
    await again.text("Hel")
    bobs = bearing(issuer.token(sub="bob"))
    assert 404 == (await call(server.url, "GET", f"{path}/events", headers=bobs)).status
    for attack in (unsigned, confused, tampered):
        refused = await call(server.url, *MODELS, headers=bearing(attack(issuer)))
        assert (401, "invalid_credentials") == (refused.status, refused.body["error"]["code"])
    expired = bearing(issuer.token(exp=1))
    refused = await call(server.url, *MODELS, headers=expired)
    assert (401, "expired_credentials") == (refused.status, refused.body["error"]["code"])


@pytest.mark.parametrize("status", [500, 404, 302])
@pytest.mark.gen_test
async def test_a_server_whose_issuer_is_away_starts_and_says_503(
    serve: Serving, issuer: Issuer, expect_log: Callable[[str, str], None], status: int
) -> None:
    issuer.status = status
    server = await serve.start(auth=issuer.settings())
    refused = await call(server.url, *MODELS, headers=bearing(issuer.token()))
    assert (503, "auth_unavailable") == (refused.status, refused.body["error"]["code"])
    assert "retry-after" in refused.headers
    assert 1 == issuer.fetches  # no redirect was followed, and nothing tried again at once
    assert 200 == (await call(server.url, "GET", "/readyz")).status
    expect_log("headrace.auth", f"cannot be fetched reason=http_{status}")


@pytest.mark.gen_test
async def test_a_slow_issuer_holds_up_nobody_but_who_waits_for_its_keys(
    serve: Serving, issuer: Issuer
) -> None:
    issuer.hold = asyncio.Event()
    server = await serve.start(auth=issuer.settings())
    waiting = asyncio.create_task(call(server.url, *MODELS, headers=bearing(issuer.token())))
    for _ in range(3):
        assert 200 == (await call(server.url, "GET", "/healthz")).status
    assert not waiting.done()
    issuer.hold.set()
    assert 200 == (await waiting).status


@pytest.mark.gen_test
async def test_a_server_stops_while_its_issuer_keeps_it_waiting(
    serve: Serving, issuer: Issuer
) -> None:
    issuer.hold = asyncio.Event()
    server = await serve.start(auth=issuer.settings())
    while not issuer.fetches:  # noqa: ASYNC110 - within the next turns of the loop
        await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await serve.stop(server)
    issuer.hold.set()
    await issuer.stop()
