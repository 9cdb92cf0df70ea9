"""How a call to a provider fails, sorted by what the caller can do next.

ProviderError
├── Unreachable            no connection
│   └── ConnectTimeout
├── Refused                the provider refuses the request
│   ├── BadRequest         ... as invalid
│   │   ├── ModelNotFound
│   │   └── ContextTooLong
│   ├── ContentFiltered    ... for its content
│   ├── Unauthorized       ... for this server's key
│   │   └── CredentialExpired    a new token may help
│   ├── QuotaExceeded      ... for want of balance; waiting does not help
│   └── RateLimited        ... for the moment
├── ProviderOverloaded     the provider had an internal error or is busy
├── FirstTokenTimeout      connected, and no token in time
├── StreamBroken           cut off in the middle of the answer; readers may have text of it
│   ├── IdleTimeout
│   └── AnswerTimeout
└── BadResponse            bytes that are not in the dialect's format, or too many of them

Messages are written for the reader of the answer. They never contain a key, a URL with its query,
or the provider's raw body: a provider may echo the key or the prompt in its response.
"""

import re
from http import HTTPStatus
from typing import ClassVar

# Characters. A shorter part of a key may occur in a provider's error code by chance.
_TELLING_CHARS = 6

_WORD = re.compile(r"[A-Za-z0-9._-]{1,64}")


class UnsupportedOption(Exception):
    """The provider's API cannot express the option `name`, or not with this value."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class UnsupportedPart(Exception):
    """The model does not take a part of the prompt: `kind` is an `input_kind` or a media type."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class ProviderError(Exception):
    """Base of everything that a provider raises.

    `code` is what API clients match on; it is never reworded. `status` is the HTTP status of the
    response if no header has been sent yet. `retryable` says that the same request may succeed
    later, and `retry_after` after how many seconds. For the operator's log there are
    `provider_code`, the provider's own error code, and `reason`, a word of this server where `code`
    is not precise enough: which limit, which header, which TLS or DNS error.
    """

    code: ClassVar[str] = "provider_error"
    status: ClassVar[HTTPStatus] = HTTPStatus.BAD_GATEWAY
    retryable: ClassVar[bool] = False
    words: ClassVar[str] = "The provider failed for an unknown reason."

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

    @property
    def provider_word(self) -> str | None:
        """The provider's code if it is one word, to be logged and shown; None for a sentence, which
        may quote a key or a question.
        """
        code = self.provider_code
        return code if code is not None and _WORD.fullmatch(code) else None

    def hide(self, secret: str | None) -> None:
        """Drop the provider's error code if it contains `secret` or a part of it."""
        word = self.provider_code
        if word and secret and (secret in word or (len(word) >= _TELLING_CHARS and word in secret)):
            self.provider_code = None


class Unreachable(ProviderError):
    """No connection to the provider, or to the proxy in between."""

    code = "provider_unreachable"
    retryable = True
    words = "The provider cannot be reached. Try again later."


class ConnectTimeout(Unreachable):
    """Connecting, TLS included, took longer than `timeouts.connect`."""

    code = "connect_timeout"
    status = HTTPStatus.GATEWAY_TIMEOUT
    words = (
        "The provider did not accept a connection within the time limit (timeouts.connect). Try "
        "again later."
    )


class Refused(ProviderError):
    """The provider refused the request, for a reason that no subclass stands for."""

    code = "provider_refused"
    words = "The provider refused the request and gave no reason that this server knows."


class BadRequest(Refused):
    """The provider finds the request invalid."""

    code = "provider_bad_request"
    status = HTTPStatus.BAD_REQUEST
    words = (
        "The provider rejected the request as invalid. Check the options that you sent, such as "
        "max_tokens, or choose another model."
    )


class ModelNotFound(BadRequest):
    """The provider has no such model, or this server's key does not permit it."""

    code = "model_not_found"
    status = HTTPStatus.NOT_FOUND
    words = "The provider does not offer this model. Choose another one."


class ContextTooLong(BadRequest):
    """The question and its history exceed the model's context window."""

    code = "context_too_long"
    words = (
        "The conversation is longer than this model's context window. Begin a new one, or choose a "
        "model with a larger window."
    )


class ContentFiltered(Refused):
    """The provider's moderation blocked the question or the answer."""

    code = "content_filtered"
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    words = "The provider's content filter blocked the question or the answer."


class Unauthorized(Refused):
    """This server's key at the provider is wrong, expired or lacks a permission."""

    code = "provider_unauthorized"
    words = (
        "The provider does not accept this server's credentials. The server's operator has to "
        "check its API key."
    )


class CredentialExpired(Unauthorized):
    """A short-lived token has expired; a second request with a new one may succeed."""


class QuotaExceeded(Refused):
    """The account's balance or quota is used up: waiting does not help."""

    code = "provider_quota_exceeded"
    status = HTTPStatus.SERVICE_UNAVAILABLE
    words = (
        "This server's balance or quota at the provider is used up. The server's operator has to "
        "renew it."
    )


class RateLimited(Refused):
    """Too many requests or tokens at the moment; `retry_after` is set if the provider sent it."""

    code = "provider_rate_limited"
    status = HTTPStatus.SERVICE_UNAVAILABLE
    retryable = True
    words = "The provider limits the rate of this server's requests. Try again shortly."


class ProviderOverloaded(ProviderError):
    """The provider had an internal error or is too busy."""

    code = "provider_overloaded"
    status = HTTPStatus.SERVICE_UNAVAILABLE
    retryable = True
    words = "The provider is overloaded or had an internal error. Try again shortly."


class FirstTokenTimeout(ProviderError):
    """Connected, but no part of an answer came within `timeouts.first_token`."""

    code = "first_token_timeout"
    status = HTTPStatus.GATEWAY_TIMEOUT
    retryable = True
    words = (
        "The provider did not begin to answer within the time limit (timeouts.first_token). Try "
        "again."
    )


class StreamBroken(ProviderError):
    """The stream ended without the provider's mark that the answer is complete."""

    code = "stream_broken"
    retryable = True
    words = "The provider's stream broke off before the answer was complete. Try again."


class IdleTimeout(StreamBroken):
    """Nothing came for `timeouts.idle` in the middle of an answer."""

    code = "idle_timeout"
    status = HTTPStatus.GATEWAY_TIMEOUT
    words = (
        "The provider sent nothing for longer than the time limit (timeouts.idle) in the middle of "
        "the answer. Try again."
    )


class AnswerTimeout(StreamBroken):
    """The whole answer took longer than `timeouts.answer`."""

    code = "answer_timeout"
    status = HTTPStatus.GATEWAY_TIMEOUT
    retryable = False
    words = "The answer took longer than the time limit (timeouts.answer) and was ended."


class BadResponse(ProviderError):
    """Bytes that are not in the dialect's format, or more of them than any answer needs."""

    code = "provider_bad_response"
    words = "The provider's response is not in the format of its API."
