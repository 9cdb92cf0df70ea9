"""Maps the failure of a connection to one word for the log.

Errors of sockets, TLS and the HTTP parser may quote an address or a certificate in their messages.
The word keeps only their kind.
"""

import errno
import re
import socket
import ssl
from typing import Final

from httptools import HttpParserError

from http_client.errors import HttpClientError

# OpenSSL's numbers for a certificate that cannot be verified (X509_V_ERR_…).
_CERTIFICATE: Final = {
    9: "tls_certificate_not_yet_valid",
    10: "tls_certificate_expired",
    18: "tls_certificate_self_signed",
    19: "tls_unknown_ca",
    20: "tls_unknown_ca",
    21: "tls_unknown_ca",
    23: "tls_certificate_revoked",
    62: "tls_hostname_mismatch",
    64: "tls_hostname_mismatch",  # an IP address does not match
}

_SYSTEM: Final = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.EPIPE: "reset",
    errno.ECONNABORTED: "reset",
    errno.ETIMEDOUT: "timed_out",
    errno.EHOSTUNREACH: "no_route",
    errno.ENETUNREACH: "no_route",
    errno.EADDRNOTAVAIL: "no_local_address",
    errno.EMFILE: "out_of_descriptors",
    errno.ENFILE: "out_of_descriptors",
    errno.EACCES: "forbidden_here",
    errno.EPERM: "forbidden_here",
    errno.ENOENT: "file_missing",  # the file that the setting ca_certs names
}

# Errors that are about the name, rather than about the name server.
_NO_SUCH_NAME: Final = frozenset(
    number
    for name in ("EAI_NONAME", "EAI_NODATA", "EAI_ADDRFAMILY")
    if (number := getattr(socket, name, None)) is not None
)

_MOST_CHARS: Final = 64
_WORD: Final = re.compile(r"[A-Z0-9_]{1,48}")


def reason_of(error: BaseException) -> str:
    """Return the word for the error of a connection."""
    match error:
        case ClosedByPeer():
            return "closed"
        case HttpClientError():  # raised for a proxy's response that is not HTTP
            return error.reason
        case ProxyRefused():
            return f"proxy_http_{error.status}"
        case socket.gaierror():
            return "no_address" if error.errno in _NO_SUCH_NAME else "name_server_silent"
        case UnicodeError():
            return "no_address"
        case ssl.SSLCertVerificationError():
            return _CERTIFICATE.get(error.verify_code, "tls_certificate_not_trusted")
        case ssl.SSLError():
            return f"tls_{_openssl(error)}"
        case HttpParserError():
            return _llhttp(error)
        case TimeoutError():
            return "timed_out"
        case OSError():
            return _SYSTEM.get(error.errno or 0, "no_connection")
        case _:
            return "no_connection"


class ProxyRefused(ConnectionRefusedError):
    """The proxy refuses the tunnel; `status` is that of its response."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the proxy answered CONNECT with {status}")
        self.status = status


class ClosedByPeer(ConnectionError):
    """The other side closed the connection in order, so that no system call failed."""


def _openssl(error: ssl.SSLError) -> str:
    """Return OpenSSL's own word, such as `wrong_version_number`, which comes from a fixed list
    of its library.
    """
    word = getattr(error, "reason", None) or ""
    return word.lower() if _WORD.fullmatch(word) else "failed"


def _llhttp(error: HttpParserError) -> str:
    """Return the parser's error, made of one of its fixed messages, which name a header and
    quote nothing.
    """
    words = re.sub("[^a-z]+", "_", str(error).lower()).strip("_")[:_MOST_CHARS]
    if not words or words.startswith("expected_http"):
        return "no_http"
    return f"http_{words}"
