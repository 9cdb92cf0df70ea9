"""Converts the failure of an exchange with a provider into an error of the provider.

This is the only place that does so. These are failures of the connection or of the protocol;
`error_parsing.py` reads responses with an error status.
"""

from collections.abc import Mapping
from typing import Final

from http_client.errors import (
    ConnectFailed,
    ConnectionLost,
    ConnectTimedOut,
    HttpClientError,
    InvalidResponse,
    RequestTimedOut,
)
from providers.errors import (
    AnswerTimeout,
    BadResponse,
    ConnectTimeout,
    ProviderError,
    StreamBroken,
    Unreachable,
)

_PROVIDER_ERRORS: Final[Mapping[type[HttpClientError], type[ProviderError]]] = {
    ConnectFailed: Unreachable,
    ConnectTimedOut: ConnectTimeout,
    ConnectionLost: StreamBroken,
    InvalidResponse: BadResponse,
    RequestTimedOut: AnswerTimeout,
}


def provider_error(error: HttpClientError) -> ProviderError:
    """Return the provider's error that `error`, its cause, means; the reason is kept for the
    log.
    """
    found = _PROVIDER_ERRORS[type(error)](reason=error.reason)
    found.__cause__ = error
    return found
