"""The errors of a fetch, sorted by how far it got.

HttpClientError
├── ConnectFailed        no connection, so nothing was sent
│   └── ConnectTimedOut
├── InvalidResponse      the response is not valid HTTP, or exceeds a bound
├── ConnectionLost       the request was sent, and the response did not come to its end
└── RequestTimedOut      `request_timeout` expired

What a callback of the request raises is none of these: `fetch` raises it unchanged.
"""


class HttpClientError(Exception):
    """Base of the errors that a fetch raises by itself.

    `reason` is a word for the log, such as `refused` or `closed_in_the_body` (`reasons.py`). It
    contains neither the address nor anything that the server sent.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ConnectFailed(HttpClientError):
    """No connection to the server, or to the proxy in between: nothing was sent to the server."""


class ConnectTimedOut(ConnectFailed):
    """Connecting, name, proxy and TLS included, took longer than `connect_timeout`."""


class InvalidResponse(HttpClientError):
    """The response is not valid HTTP, or exceeds a bound."""


class ConnectionLost(HttpClientError):
    """The server was asked, and the connection ended or became unreadable before the response did.

    Some of the body may have been handed over.
    """


class RequestTimedOut(HttpClientError):
    """The whole fetch, waiting for its turn included, took longer than `request_timeout`."""
