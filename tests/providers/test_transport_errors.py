"""Whatever a fetch raises by itself is an error of the provider, of the same reason."""

import pytest

from http_client import errors
from http_client.errors import HttpClientError
from providers.transport_errors import provider_error

CODES = {
    "ConnectFailed": "provider_unreachable",
    "ConnectTimedOut": "connect_timeout",
    "InvalidResponse": "provider_bad_response",
    "ConnectionLost": "stream_broken",
    "RequestTimedOut": "answer_timeout",
}
KINDS = [each for each in vars(errors).values() if isinstance(each, type)]


@pytest.mark.parametrize("kind", [each for each in KINDS if each is not HttpClientError])
def test_every_error_of_a_fetch_has_a_code_for_clients(kind: type[HttpClientError]) -> None:
    error = kind("refused")

    found = provider_error(error)

    assert (CODES[kind.__name__], "refused") == (found.code, found.reason)
    assert found.__cause__ is error
