"""Signatures of Standard Webhooks, and the secrets that they are made with."""

import base64
import time

import pytest

from tests.webhook_receiver import SECRET, Received, is_signed
from webhooks.signing import secret_bytes, signed_headers


def test_the_signature_is_that_of_the_reference_vector() -> None:
    secret = secret_bytes("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")

    headers = signed_headers(
        secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )

    assert {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    } == headers


def test_a_receiver_refuses_an_old_signature_another_body_and_another_secret() -> None:
    headers = signed_headers(secret_bytes(SECRET), "evt_1", 1614265330, b"{}")

    assert not is_signed(Received("/", headers, b"{}", 0))
    assert not is_signed(Received("/", _now(b"{}"), b"{ }", 0))
    assert not is_signed(Received("/", _now(b"{}"), b"{}", 0), "whsec_" + "YQ==" * 8)
    assert is_signed(Received("/", _now(b"{}"), b"{}", 0))


def _now(body: bytes) -> dict[str, str]:
    return signed_headers(secret_bytes(SECRET), "evt_1", int(time.time()), body)


@pytest.mark.parametrize("count", [24, 32, 64])
def test_a_secret_has_24_to_64_bytes(count: int) -> None:
    secret = bytes(range(count))

    assert secret == secret_bytes("whsec_" + base64.b64encode(secret).decode())


@pytest.mark.parametrize(
    "text",
    [
        "whsec_",
        "whsec_" + base64.b64encode(bytes(23)).decode(),
        "whsec_" + base64.b64encode(bytes(65)).decode(),
        base64.b64encode(bytes(32)).decode(),
        "whsec_canary canary canary canary canary canary",
        "whsec_" + base64.b64encode(bytes(32)).decode() + "\n",
    ],
)
def test_anything_else_is_refused_and_not_quoted(text: str) -> None:
    with pytest.raises(ValueError, match="openssl rand -base64 32") as error:
        secret_bytes(text)

    assert "canary" not in str(error.value)
