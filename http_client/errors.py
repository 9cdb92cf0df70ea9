"""What can go wrong with a fetch, sorted by how far it came.

HttpClientError
├── ConnectFailed        no connection, so nothing was asked
│   └── ConnectTimedOut
├── InvalidResponse      what came is not HTTP as it was asked for, or has no bound
├── ConnectionLost       asked, and the response did not come to its end
└── RequestTimedOut      `request_timeout` ran out

What a callback of the request raises is none of these: it comes out of `fetch` as it is.
"""


class HttpClientError(Exception):
    """Base of everything that a fetch raises by itself.

    `reason` is a word for the log, such as `refused` or `closed_in_the_body` (`reasons.py`). It
    quotes neither the address nor anything that the other side wrote.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ConnectFailed(HttpClientError):
    """No connection to the server, or to the proxy on the way: the server was not asked."""


class ConnectTimedOut(ConnectFailed):
    """Connecting, name, proxy and TLS included, took longer than `connect_timeout`."""


class InvalidResponse(HttpClientError):
    """Bytes that are not the HTTP that was asked for, or more of them than there may be."""


class ConnectionLost(HttpClientError):
    """The server was asked, and the connection ended or became unreadable before the response did.

    Some of the body may have been handed over.
    """


class RequestTimedOut(HttpClientError):
    """The whole fetch, waiting for its turn included, took longer than `request_timeout`."""
