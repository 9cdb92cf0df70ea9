"""What is asked for: in every form that means a path here, and in none that means nothing."""

import pytest
from tornado.httputil import HTTPHeaders, RequestStartLine

from sockets.targets import origin_form


def _asked(line: str, *hosts: str) -> tuple[str, str | None] | None:
    """The path and the host that the rest of the server sees."""
    method, target, version = line.split(" ")
    headers = HTTPHeaders()
    for host in hosts:
        headers.add("Host", host)
    found = origin_form(RequestStartLine(method, target, version), headers)
    if found is None:
        return None
    assert (method, version) == (found.method, found.version)
    return found.path, headers.get("Host")


@pytest.mark.parametrize(
    ("line", "path", "host"),
    [
        ("GET /api/v1/me?a=b HTTP/1.1", "/api/v1/me?a=b", "x"),
        ("GET //localhost/x HTTP/1.1", "//localhost/x", "x"),
        ("GET http://localhost:8080/api/v1/me?a=b HTTP/1.1", "/api/v1/me?a=b", "localhost:8080"),
        ("GET HTTP://LocalHost/healthz HTTP/1.1", "/healthz", "LocalHost"),
        ("GET https://chat.example.org/ HTTP/1.1", "/", "chat.example.org"),
        ("POST http://[::1]:80/api/v1/chat HTTP/1.1", "/api/v1/chat", "[::1]:80"),
        ("GET http://localhost HTTP/1.1", "/", "localhost"),
        ("GET http://localhost?a=b HTTP/1.1", "/?a=b", "localhost"),
        ("GET http://localhost//a HTTP/1.1", "//a", "localhost"),
        ("GET http://a/http://b/ HTTP/1.1", "/http://b/", "a"),
        ("OPTIONS * HTTP/1.1", "*", "x"),
        ("OPTIONS http://localhost HTTP/1.1", "*", "localhost"),
        ("OPTIONS http://localhost/ HTTP/1.1", "/", "localhost"),
        ("CONNECT example.org:443 HTTP/1.1", "example.org:443", "x"),
    ],
)
def test_a_target_is_a_path_and_its_host_the_one_that_counts(
    line: str, path: str, host: str
) -> None:
    assert (path, host) == _asked(line, "x")


@pytest.mark.parametrize(
    "target",
    [
        "healthz",
        "localhost:8080",
        "*",
        "*/healthz",
        "/healthz#a",
        "http://localhost/#a",
        "http://",
        "http:///healthz",
        "http:/healthz",
        "http:healthz",
        "http://:80/",
        "http://u@localhost/",
        "http://example.org@localhost/",
        "http://localhost\\@example.org/",
        "http://localhost,example.org/",
        "http://localhost:80:80/",
        "http://localhost:x/",
        "http://::1/",
        "ftp://localhost/",
        "ws://localhost/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "\\\\localhost\\x",
        "?a=b",
        "\xff",
    ],
)
def test_any_other_is_none(target: str) -> None:
    assert _asked(f"GET {target} HTTP/1.1", "x") is None


@pytest.mark.parametrize("hosts", [(), ("a", "b"), ("localhost", "localhost"), ("a b",), ("",)])
def test_the_host_beside_a_whole_address_has_to_be_one(hosts: tuple[str, ...]) -> None:
    assert _asked("GET http://localhost/ HTTP/1.1", *hosts) is None


def test_an_old_client_names_none_beside_it() -> None:
    assert ("/", "localhost") == _asked("GET http://localhost/ HTTP/1.0")
