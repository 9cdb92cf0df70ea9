"""A server without keys serves this machine's own programs and pages, and nobody else."""

import pytest

from server import Server
from tests.readers import call
from tests.serving import Serving

ASK = ("POST", "/api/v1/conversations", {})


@pytest.fixture
def url(io_loop, serve: Serving) -> str:
    server: Server = io_loop.run_sync(serve.start)
    return server.url


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"X-Forwarded-For": "203.0.113.9"}, "forwarded_request"),
        ({"Forwarded": "for=203.0.113.9"}, "forwarded_request"),
        ({"Via": "1.1 proxy"}, "forwarded_request"),
        ({"Host": "chat.example.org"}, "foreign_host"),
        ({"Host": "127.0.0.1.example.org"}, "foreign_host"),
        ({"Host": "[::"}, "foreign_host"),
        ({"Origin": "https://example.org"}, "foreign_origin"),
        ({"Origin": "null"}, "foreign_origin"),
        ({"Origin": "http://127.0.0.1:1"}, "foreign_origin"),
    ],
)
@pytest.mark.gen_test
async def test_what_comes_from_beyond_this_machine_is_refused(
    url: str, headers: dict[str, str], code: str
) -> None:
    for method, path in (("GET", "/api/v1/conversations"), ("POST", "/api/v1/chat")):
        body = {"content": "x"} if method == "POST" else None
        refused = await call(url, method, path, body, headers=headers)
        assert (403, code) == (refused.status, refused.body["error"]["code"])


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
@pytest.mark.gen_test
async def test_a_body_that_a_form_could_send_is_refused(url: str, kind: str) -> None:
    refused = await call(url, *ASK, headers={"Content-Type": kind})
    assert (415, "not_json") == (refused.status, refused.body["error"]["code"])


@pytest.mark.parametrize("host", ["localhost", "localhost:8080", "127.0.0.1", "[::1]:8080"])
@pytest.mark.gen_test
async def test_every_name_of_this_machine_is_served(url: str, host: str) -> None:
    assert 201 == (await call(url, *ASK, headers={"Host": host})).status


@pytest.mark.gen_test
async def test_the_servers_own_page_may_ask(url: str) -> None:
    assert 201 == (await call(url, *ASK, headers={"Origin": url})).status


@pytest.mark.gen_test
async def test_no_other_origin_is_told_anything_unless_it_is_listed(url: str) -> None:
    refused = await call(url, "OPTIONS", "/api/v1/chat", headers={"Origin": "https://example.org"})
    assert 403 == refused.status
    assert "access-control-allow-origin" not in refused.headers


@pytest.mark.gen_test
async def test_a_listed_origin_may_ask_and_read(serve: Serving) -> None:
    page = {"Origin": "https://app.example.org"}
    server = await serve.start(cors={"allow_origins": [page["Origin"]]})
    asked = await call(server.url, "OPTIONS", "/api/v1/chat", headers=page)
    assert (204, page["Origin"]) == (asked.status, asked.headers["access-control-allow-origin"])
    assert "Content-Type" in asked.headers["access-control-allow-headers"]
    made = await call(server.url, *ASK, headers=page)
    assert (201, page["Origin"]) == (made.status, made.headers["access-control-allow-origin"])
    assert "Origin" == made.headers["vary"]
    other = await call(server.url, *ASK, headers={"Origin": "https://example.org"})
    assert 403 == other.status


@pytest.mark.parametrize(
    ("target", "host", "status"),
    [
        ("http://localhost/api/v1/me", "localhost", 200),
        ("http://[::1]:80/api/v1/me", "example.org", 200),  # that beside it counts for nothing
        ("http://example.org/api/v1/me", "localhost", 403),
        ("http://127.0.0.1.example.org/api/v1/me", "127.0.0.1", 403),
        ("http://localhost@example.org/api/v1/me", "localhost", 400),
        ("//example.org/api/v1/me", "localhost", 404),
    ],
)
@pytest.mark.gen_test
async def test_the_host_in_a_whole_address_is_the_one_that_is_asked(
    url: str, target: str, host: str, status: int
) -> None:
    answered = await call(url, "GET", target, headers={"Host": host})

    assert status == answered.status
    if status == 403:
        assert "foreign_host" == answered.body["error"]["code"]
