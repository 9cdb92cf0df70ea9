"""Tokens that the issuer did not sign, each made in a way of its own."""

import base64
import hashlib
import hmac
import json

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.issuer import Issuer


def sealed(value: object) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


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
