"""The one place where a failed exchange with a provider becomes an error of the provider.

These are failures of the connection or of the protocol. What a response of an error status means is
in `error_parsing.py`.
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
    """What `error`, which is its cause, means for whoever asked; the reason stays, for the log."""
    found = _PROVIDER_ERRORS[type(error)](reason=error.reason)
    found.__cause__ = error
    return found
