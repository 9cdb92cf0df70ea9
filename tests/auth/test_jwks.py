"""An issuer's keys: which of them a token is held against, and how they come and go."""

import asyncio
from contextlib import nullcontext
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from auth import jwks
from auth.errors import ExpiredCredentials, InvalidCredentials, KeysUnavailable
from auth.jwks import JwksCache
from auth.principal import Principal
from auth.token_verifier import TokenVerifier
from tests.auth.forged_tokens import sealed
from tests.auth.published_keys import Published
from tests.issuer import Issuer


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
