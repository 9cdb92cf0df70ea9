"""What can go wrong upstream, sorted by what the caller can do next.

ProviderError
├── Unreachable            no connection
│   └── ConnectTimeout
├── Refused                the provider said no
│   ├── BadRequest         ... to what was asked
│   │   ├── ModelNotFound
│   │   └── ContextTooLong
│   ├── ContentFiltered    ... to its content
│   ├── Unauthorized       ... to our key
│   │   └── CredentialExpired    a new token may help
│   ├── QuotaExceeded      ... until somebody pays
│   └── RateLimited        ... for now
├── Overloaded             the provider failed or is busy
├── FirstTokenTimeout      connected, then silence
├── StreamBroken           cut off mid-answer; the reader may hold text
│   ├── IdleTimeout
│   └── AnswerTimeout
└── BadResponse            bytes that no dialect explains, or too many of them

Messages are written for the reader of the answer. They never carry a key, an address with its
query, or the provider's raw body: a provider may echo the key or the prompt in what it sends.
"""

from http import HTTPStatus
from typing import ClassVar

# Of a key: what is shorter is found in many by chance.
_TELLING_CHARS = 6


class ProviderError(Exception):
    """Base of everything a provider may raise.

    `code` is what clients match on; it is never reworded. `status` serves while no header has been
    sent. `retryable` says that the same request may succeed later, `retry_after` (seconds) when.
    For the log of the operator: `provider_code` is the provider's own word for it, `reason` ours,
    where `code` alone says too little: which bound, which header, what TLS or DNS said.
    """

    code: ClassVar[str] = "provider_error"
    status: ClassVar[HTTPStatus] = HTTPStatus.BAD_GATEWAY
    retryable: ClassVar[bool] = False
    words: ClassVar[str] = "The provider failed."

    def __init__(
        self,
        *,
        provider_code: str | None = None,
        retry_after: float | None = None,
        reason: str | None = None,
    ) -> None:
        super().__init__(self.words)
        self.provider_code = provider_code
        self.retry_after = retry_after
        self.reason = reason

    def hide(self, secret: str | None) -> None:
        """Forget the provider's word if there is `secret` in it, or it is some of that."""
        word = self.provider_code
        if word and secret and (secret in word or (len(word) >= _TELLING_CHARS and word in secret)):
            self.provider_code = None


class Unreachable(ProviderError):
    """No connection to the provider, or to the proxy on the way."""

    code = "provider_unreachable"
    retryable = True
    words = "The provider could not be reached."


class ConnectTimeout(Unreachable):
    """Connecting, TLS included, took longer than `timeouts.connect`."""

    code = "connect_timeout"
    status = HTTPStatus.GATEWAY_TIMEOUT
    words = "The provider did not accept a connection in time."


class Refused(ProviderError):
    """The provider said no, for a reason that no subclass names."""

    code = "provider_refused"
    words = "The provider refused the request."


class BadRequest(Refused):
    """Something in the request is not to the provider's liking."""

    code = "provider_bad_request"
    status = HTTPStatus.BAD_REQUEST
    words = "The provider does not accept this request."


class ModelNotFound(BadRequest):
    """The provider has no such model, or not for this key."""

    code = "model_not_found"
    status = HTTPStatus.NOT_FOUND
    words = "The provider does not have this model."


class ContextTooLong(BadRequest):
    """Question and history together exceed the model's window."""

    code = "context_too_long"
    words = "The conversation is too long for this model."


class ContentFiltered(Refused):
    """The provider's moderation objects to the question or to the answer."""

    code = "content_filtered"
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    words = "The provider's content filter stopped this answer."


class Unauthorized(Refused):
    """The operator's key is wrong, expired or not entitled."""

    code = "provider_unauthorized"
    words = "The provider does not accept this server's credentials."


class CredentialExpired(Unauthorized):
    """A short-lived token ran out; a new one and a second try may help."""


class QuotaExceeded(Refused):
    """The account is out of balance or allowance: waiting does not help."""

    code = "provider_quota_exceeded"
    status = HTTPStatus.SERVICE_UNAVAILABLE
    words = "This server's allowance at the provider is used up."


class RateLimited(Refused):
    """Too many requests or tokens for now; `retry_after` where the provider said it."""

    code = "provider_rate_limited"
    status = HTTPStatus.SERVICE_UNAVAILABLE
    retryable = True
    words = "The provider is limiting requests. Try again shortly."


class Overloaded(ProviderError):
    """The provider failed on its side or is too busy."""

    code = "provider_overloaded"
    status = HTTPStatus.SERVICE_UNAVAILABLE
    retryable = True
    words = "The provider is overloaded or failed. Try again shortly."


class FirstTokenTimeout(ProviderError):
    """Connected, but nothing of an answer within `timeouts.first_token`."""

    code = "first_token_timeout"
    status = HTTPStatus.GATEWAY_TIMEOUT
    retryable = True
    words = "The provider did not begin to answer in time."


class StreamBroken(ProviderError):
    """The stream ended without the provider's finish mark."""

    code = "stream_broken"
    retryable = True
    words = "The provider's answer broke off."


class IdleTimeout(StreamBroken):
    """Silence of `timeouts.idle` in the middle of an answer."""

    code = "idle_timeout"
    status = HTTPStatus.GATEWAY_TIMEOUT
    words = "The provider fell silent in the middle of its answer."


class AnswerTimeout(StreamBroken):
    """The whole answer took longer than `timeouts.answer`."""

    code = "answer_timeout"
    status = HTTPStatus.GATEWAY_TIMEOUT
    retryable = False
    words = "The answer took longer than this server allows."


class BadResponse(ProviderError):
    """Bytes that the dialect cannot explain, or more of them than any answer needs."""

    code = "provider_bad_response"
    words = "The provider sent something that is not an answer."
