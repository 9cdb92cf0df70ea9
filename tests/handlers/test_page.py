"""The page's files and headers; `tests/web` holds what a browser makes of them."""

import gzip
from pathlib import Path

import pytest

import handlers.page
from app.server import Server
from tests.auth_servers import SECRET
from tests.readers import call
from tests.serving import Serving
from tests.steps import sending

INDEX = b'<!doctype html><script type="module" src="./assets/index-1a2b.js"></script>'
SCRIPT = b"export {};" * 100
ZIP = {"Accept-Encoding": "br, gzip"}


@pytest.fixture(autouse=True)
def dist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in place of web/dist, as a build leaves it."""
    folder = tmp_path / "dist"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_bytes(INDEX)
    (folder / "assets" / "index-1a2b.js").write_bytes(SCRIPT)
    (folder / "assets" / "index-1a2b.js.gz").write_bytes(gzip.compress(SCRIPT))
    (folder / "secret.toml").write_text("key = 1")
    monkeypatch.setattr(handlers.page, "DIST", folder)
    return folder


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("path", "assets"), [("/", b'"./assets/'), ("/c/0123456789abcdef", b'"../assets/')]
)
async def test_the_page_is_at_the_root_and_at_every_conversation(
    headrace: Server, path: str, assets: bytes
) -> None:
    page = await call(headrace.url, "GET", path)

    assert (200, INDEX.replace(b'"./assets/', assets)) == (page.status, page.body)
    assert "text/html; charset=utf-8" == page.headers["content-type"]
    assert "no-cache" == page.headers["cache-control"]


@pytest.mark.gen_test
async def test_the_page_that_asks_for_a_key_is_served_without_one(serve: Serving) -> None:
    server = await serve.start(auth={"mode": "keys", "secret": SECRET})
    for path in ("/", "/c/0123456789abcdef", "/assets/index-1a2b.js"):
        assert 200 == (await call(server.url, "GET", path)).status
    assert 401 == (await call(server.url, "GET", "/api/v1/me")).status


@pytest.mark.gen_test
async def test_the_policy_allows_no_script_and_no_style_but_the_built_ones(
    headrace: Server,
) -> None:
    page = await call(headrace.url, "GET", "/")
    policy = dict(
        directive.split(" ", 1) for directive in page.headers["content-security-policy"].split("; ")
    )

    assert "'none'" == policy["default-src"]
    assert "'self'" == policy["script-src"] == policy["style-src"] == policy["connect-src"]
    assert "'self'" == policy["manifest-src"]
    assert "'none'" == policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"]
    assert "'script'" == policy["require-trusted-types-for"]
    assert "unsafe" not in page.headers["content-security-policy"]
    assert "no-referrer" == page.headers["referrer-policy"]
    assert "nosniff" == page.headers["x-content-type-options"]
    assert "same-origin" == page.headers["cross-origin-opener-policy"]


@pytest.mark.parametrize("accepted", ["gzip", "identity"])
@pytest.mark.gen_test
async def test_what_caches_keep_for_good_they_keep_by_origin(serve: Serving, accepted: str) -> None:
    server = await serve.start(cors={"allow_origins": ["capacitor://localhost"]})
    asked = f"GET /assets/index-1a2b.js HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: {accepted}"

    stream, writer = await sending(server, f"{asked}\r\n\r\n".encode())
    fields = (await stream.readuntil(b"\r\n\r\n")).split(b"\r\n")

    varying = [field for field in fields if field.startswith(b"Vary")]
    assert [b"Vary: Origin", b"Vary: Accept-Encoding"] == varying
    writer.close()


@pytest.mark.gen_test
async def test_what_has_a_hash_in_its_name_is_kept_for_good(headrace: Server) -> None:
    script = await call(headrace.url, "GET", "/assets/index-1a2b.js")

    assert (200, SCRIPT) == (script.status, script.body)
    assert "text/javascript; charset=utf-8" == script.headers["content-type"]
    assert "public, max-age=31536000, immutable" == script.headers["cache-control"]
    assert "Accept-Encoding" == script.headers["vary"]


@pytest.mark.gen_test
async def test_who_takes_gzip_gets_what_the_build_zipped(headrace: Server) -> None:
    script = await call(headrace.url, "GET", "/assets/index-1a2b.js", headers=ZIP)
    page = await call(headrace.url, "GET", "/", headers=ZIP)

    assert "gzip" == script.headers["content-encoding"]
    assert SCRIPT == gzip.decompress(script.body)
    assert "content-encoding" not in page.headers


@pytest.mark.slow
@pytest.mark.gen_test
@pytest.mark.parametrize(
    "path",
    [
        "/assets/gone.js",
        "/assets/index-1a2b.js.gz",
        "/assets/..%2findex.html",
        "/assets/%2e%2e/secret.toml",
        "/secret.toml",
        "/index.html",
        "/c/",
        "/c/a/b",
        "/conversations",
    ],
)
async def test_nothing_else_is_served(headrace: Server, path: str) -> None:
    refused = await call(headrace.url, "GET", path)

    assert (404, "not_found") == (refused.status, refused.body["error"]["code"])


@pytest.mark.gen_test
async def test_who_opens_an_unknown_address_gets_the_page_and_programs_get_json(
    headrace: Server,
) -> None:
    opened = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    for path, assets in (("/nowhere", b'"./assets/'), ("/c/a/b", b'"../../assets/')):
        page = await call(headrace.url, "GET", path, headers=opened)
        assert (404, INDEX.replace(b'"./assets/', assets)) == (page.status, page.body)
        assert "text/html; charset=utf-8" == page.headers["content-type"]
        assert "script-src 'self'" in page.headers["content-security-policy"]
    for path in ("/api/v1/nothing", "/v1/nothing"):
        refused = await call(headrace.url, "GET", path, headers=opened)
        assert (404, "application/json") == (
            refused.status,
            refused.headers["content-type"].partition(";")[0],
        )
    posted = await call(headrace.url, "POST", "/nowhere", {}, headers=opened)
    assert (404, "not_found") == (posted.status, posted.body["error"]["code"])


@pytest.mark.gen_test
async def test_without_a_build_the_page_says_how_to_make_one(
    headrace: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(handlers.page, "DIST", tmp_path / "nothing")

    page = await call(headrace.url, "GET", "/")

    assert (404, "text/plain; charset=utf-8") == (page.status, page.headers["content-type"])
    assert b"make web" in page.body
    assert "content-security-policy" in page.headers


@pytest.mark.gen_test
@pytest.mark.parametrize("path", ["/", "/c/x", "/assets/index-1a2b.js"])
async def test_the_page_is_for_this_machine_only_as_the_api_is(headrace: Server, path: str) -> None:
    rebound = await call(headrace.url, "GET", path, headers={"Host": "evil.example"})
    forwarded = await call(headrace.url, "GET", path, headers={"X-Forwarded-For": "10.0.0.1"})

    assert (403, "foreign_host") == (rebound.status, rebound.body["error"]["code"])
    assert (403, "forwarded_request") == (forwarded.status, forwarded.body["error"]["code"])
