"""Pages and apps of other origins: preflight responses, and which responses a page may read."""

import pytest

from app.server import Server
from tests.auth_servers import AuthServers
from tests.readers import Response, call
from tests.serving import Serving

APPS = (
    "capacitor://localhost",
    "ionic://localhost",
    "tauri://localhost",
    "http://tauri.localhost",
    "chrome-extension://aapbdbdomjkkjkaonfhkkikfgjllcleb",
    "moz-extension://0f3a4b1e-7c1d-4d3a-9a55-3f0f5a1b2c3d",
    "safari-web-extension://FE2C5A54-8D21-4E9B-9E2C-0A5B7C1D2E3F",
)
OURS = {
    "headrace-on-disconnect",
    *("authorization", "content-type", "headrace-user", "idempotency-key", "last-event-id"),
    *("prefer", "x-request-id"),
}


async def _preflight(server: Server, origin: str, *names: str) -> Response:
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    if names:
        headers["Access-Control-Request-Headers"] = ",".join(names)
    return await call(server.url, "OPTIONS", "/api/v1/chat", headers=headers)


def _allowed(response: Response) -> set[str]:
    return set(response.headers["access-control-allow-headers"].lower().split(", "))


@pytest.mark.slow
@pytest.mark.parametrize("origin", APPS)
@pytest.mark.gen_test
async def test_an_app_that_is_listed_may_ask_without_keys_and_with(
    serve: Serving, auth_servers: AuthServers, origin: str
) -> None:
    cors = {"allow_origins": APPS}
    for server, headers in (
        (await serve.start(file="own.db", cors=cors), {}),
        (await auth_servers.open(cors=cors), (await auth_servers.create_key("alice")).headers),
    ):
        asked = await _preflight(server, origin, "authorization", "content-type")
        made = await call(
            *(server.url, "POST", "/api/v1/conversations", {}),
            headers={"Origin": origin, **headers},
        )

        assert (204, 201) == (asked.status, made.status)
        for response in (asked, made):
            assert origin == response.headers["access-control-allow-origin"]
            assert "Origin" == response.headers["vary"]
        assert "Location" in made.headers["access-control-expose-headers"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "origin",
    [
        *("null", "file://", "capacitor://localhost.example.org", "Capacitor://localhost"),
        *("capacitor://localhost/", "tauri://localhost:80", "capacitor://localhost, tauri://x"),
    ],
)
@pytest.mark.gen_test
async def test_one_that_is_not_listed_is_told_nothing(serve: Serving, origin: str) -> None:
    server = await serve.start(cors={"allow_origins": APPS})

    asked = await _preflight(server, origin, "traceparent")
    made = await call(server.url, "POST", "/api/v1/conversations", {}, headers={"Origin": origin})

    for response in (asked, made):
        assert 403 == response.status
        assert not [name for name in response.headers if name.startswith("access-control-")]


@pytest.mark.slow
@pytest.mark.parametrize(
    "names",
    [
        ("traceparent", "tracestate", "baggage"),
        ("sentry-trace", "baggage"),
        ("b3", "x-b3-traceid", "x-b3-spanid", "x-b3-sampled"),
        ("x-datadog-trace-id", "x-datadog-parent-id", "x-datadog-origin"),
        ("uber-trace-id", "newrelic", "x-honeycomb-trace", "elastic-apm-traceparent"),
        ("cache-control", "x-requested-with", "idempotency-key", "last-event-id"),
        ("X-Request-Id", "Traceparent"),
        (),
    ],
)
@pytest.mark.gen_test
async def test_headers_of_tracing_may_come_along(serve: Serving, names: tuple[str, ...]) -> None:
    server = await serve.start(cors={"allow_origins": APPS})

    asked = await _preflight(server, APPS[0], *names)

    assert OURS | {name.lower() for name in names} == _allowed(asked)
    traced = {"Origin": APPS[0], **dict.fromkeys(names, "x")}
    assert 200 == (await call(server.url, "GET", "/api/v1/models", headers=traced)).status


@pytest.mark.gen_test
async def test_what_is_no_header_is_not_said_back(serve: Serving) -> None:
    server = await serve.start(cors={"allow_origins": APPS})

    asked = await _preflight(server, APPS[0], "*", "", "a b", "<script>", "x:y", "\xe9", " b3 ")

    assert OURS | {"b3"} == _allowed(asked)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "length", "status"),
    [
        ("/api/v1/conversations", 3000, 413),
        ("/api/v1/conversations", 1500, 413),
        ("/#x", 1, 400),
    ],
)
@pytest.mark.gen_test
async def test_what_is_refused_ahead_of_any_handler_may_be_read(
    serve: Serving, path: str, length: int, status: int
) -> None:
    limits = {"max_body_bytes": 1000}
    server = await serve.start(cors={"allow_origins": APPS}, limits=limits)

    for origin, allowed in ((APPS[0], APPS[0]), ("https://example.org", None)):
        refused = await call(
            server.url, "POST", path, raw=b"x" * length, headers={"Origin": origin}
        )
        if allowed is not None:
            assert status == refused.status
        assert allowed == refused.headers.get("access-control-allow-origin")
        assert "Origin" == refused.headers["vary"]
