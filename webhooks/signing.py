"""Signatures of Standard Webhooks, by which a receiver knows that an event comes from this server.

Signed are the event's id, the time and the body. Receivers refuse a time that is minutes old, so
each try is signed anew; the id stays, so that they notice an event that they have already.
"""

import base64
import binascii
import hashlib
import hmac

# The prefix that a secret has in settings.
PREFIX = "whsec_"

# How many bytes a secret may have, as Standard Webhooks recommends.
SHORTEST, LONGEST = 24, 64


def secret_bytes(text: str) -> bytes:
    """Return the secret that is written as `text`. Raises ValueError, which does not quote it."""
    try:
        secret = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        secret = b""
    if not text.startswith(PREFIX) or not SHORTEST <= len(secret) <= LONGEST:
        raise ValueError(
            f"should be {PREFIX} and base64 of {SHORTEST} to {LONGEST} random bytes, such as the "
            f'output of "echo {PREFIX}$(openssl rand -base64 32)"'
        )
    return secret


def signed_headers(secret: bytes, event_id: str, seconds: int, body: bytes) -> dict[str, str]:
    """Return the headers that sign `body` at a time, in seconds since 1970."""
    signed = b"%b.%d.%b" % (event_id.encode(), seconds, body)
    digest = hmac.digest(secret, signed, hashlib.sha256)
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
