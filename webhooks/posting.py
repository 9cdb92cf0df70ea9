"""Posts an event to a webhook, once.

What the other side sends is not trusted: redirects are not followed, the time is limited, and of
the response only its status counts; whatever follows is read up to a limit, to keep the connection.
"""

import time
from typing import NamedTuple

from tornado.httputil import HTTPHeaders

from http_client.client import ClientRequest, HttpClient
from http_client.errors import HttpClientError
from webhooks.signing import signed_headers
from webhooks.webhook import Webhook

# Seconds to connect, and for all of it. Standard Webhooks recommends 15 to 30: a receiver should
# respond first and work afterwards.
CONNECT_SECONDS = 5.0
POST_SECONDS = 15.0

# Bytes of a response. What a receiver says besides its status is read by nobody.
_LONGEST_RESPONSE = 64 * 1024

# By this status a receiver says that it wants no more of it.
_GONE = 410


class _LongResponse(Exception):
    """The response is longer than is read."""


class PostResult(NamedTuple):
    """What became of a post: the status of the response, if there was one, and a word for the log.

    `retry_after` is for how many seconds the receiver wants to be left alone.
    """

    status: int | None
    reason: str
    retry_after: float = 0.0

    @property
    def is_accepted(self) -> bool:
        """Whether the receiver has the event."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_unwanted(self) -> bool:
        """Whether the receiver says that trying again is useless."""
        return self.status == _GONE


async def post(client: HttpClient, webhook: Webhook, event_id: str, body: bytes) -> PostResult:
    """Post `body`, signed now."""
    result: PostResult | None = None
    received = 0

    def on_head(status: int, headers: HTTPHeaders) -> None:
        nonlocal result
        result = PostResult(status, f"http_{status}", _retry_after(headers))

    def on_body(chunk: bytes) -> None:
        nonlocal received
        received += len(chunk)
        if received > _LONGEST_RESPONSE:
            raise _LongResponse

    signed = signed_headers(webhook.secret, event_id, int(time.time()), body)
    request = ClientRequest(
        webhook.url,
        method="POST",
        headers={"Content-Type": "application/json", **signed},
        body=body,
        connect_timeout=CONNECT_SECONDS,
        request_timeout=POST_SECONDS,
        ca_certs=str(webhook.ca_certs) if webhook.ca_certs else None,
        on_head=on_head,
        streaming_callback=on_body,
    )
    try:
        await client.fetch(request, raise_error=False)
    except _LongResponse:
        pass  # after its status, which is all that counts
    except HttpClientError as error:
        return result or PostResult(None, error.reason)
    assert result is not None  # a response without a head has raised
    return result


def _retry_after(headers: HTTPHeaders) -> float:
    """The seconds in a Retry-After header; 0 without one, or if it has a date."""
    value = headers.get("Retry-After", "")
    return float(value) if value.isascii() and value.isdecimal() and len(value) < 10 else 0.0
