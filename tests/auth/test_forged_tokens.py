"""A token that the issuer did not sign is refused, however it is made."""

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from auth.errors import InvalidCredentials, KeysUnavailable, Unauthenticated
from auth.token_verifier import TokenVerifier
from tests.auth.forged_tokens import ATTACKS, sealed
from tests.issuer import Issuer


@pytest.mark.slow
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
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_that_is_sent_is_taken_for_a_bug(
    verifier: TokenVerifier, header: object, rest: str
) -> None:
    async def verify() -> None:
        with pytest.raises((Unauthenticated, KeysUnavailable)):
            await verifier.verify(f"{sealed(header)}.{rest}")

    asyncio.run(verify())
