"""Addresses as settings: hosts, origins, and the path that a proxy has us below."""

from collections.abc import Callable
from pathlib import Path

import pytest

from settings import Settings, load
from tests.settings.steps import LONG, error_message


@pytest.mark.parametrize(
    "origin",
    [
        "https://example.org",
        "http://localhost:5173",
        "http://[::1]:8080",
        "http://tauri.localhost",
        "https://xn--bcher-kva.example",
        "capacitor://localhost",
        "ionic://localhost",
        "tauri://localhost",
        "app://obsidian.md",
        "vscode-webview://1b2c3d",
        "chrome-extension://aapbdbdomjkkjkaonfhkkikfgjllcleb",
        "moz-extension://0f3a4b1e-7c1d-4d3a-9a55-3f0f5a1b2c3d",
        "safari-web-extension://FE2C5A54-8D21-4E9B-9E2C-0A5B7C1D2E3F",
    ],
)
def test_an_origin_may_be_a_pages_or_an_apps(origin: str) -> None:
    assert (origin,) == load(None, {"HEADRACE_CORS__ALLOW_ORIGINS": origin}).cors.allow_origins


@pytest.mark.parametrize(
    ("origin", "words"),
    [
        ("null", "null identifies no page"),
        ("file://", "identifies no page"),
        ("file:///index.html", "identifies no page"),
        ("data:text/html", "identifies no page"),
        *(
            (origin, "should be an origin")
            for origin in (
                *("*", "https://*.example.org", "chrome-extension://*", "example.org"),
                *("https://example.org/", "https://example.org/app", "capacitor://localhost/"),
                *("https://example.org:443", "http://example.org:80", "https://example.org:0"),
                *("https://Example.org", "HTTPS://example.org", "Capacitor://localhost"),
                *("https://u:p@example.org", "capacitor://u@localhost", "capacitor://"),
                *("capacitor:localhost", "https://example.org?a", "https://bücher.example"),
                *("https://a b", "https://", "tauri://localhost#x", "https://a\\b"),
            )
        ),
    ],
)
def test_an_origin_that_no_browser_sends_stops_the_start(
    toml: Callable[..., Path], origin: str, words: str
) -> None:
    line = error_message(toml(f"[cors]\nallow_origins = ['{origin}']"))

    assert line.startswith("cors.allow_origins.0: ")
    assert words in line


@pytest.mark.parametrize(
    ("given", "host"), [("[::1]", "::1"), ("[::]", "::"), ("0:0::0", "::"), ("::1", "::1")]
)
def test_brackets_around_an_address_are_none_of_it(given: str, host: str) -> None:
    assert host == Settings(host=given, auth={"mode": "keys", "secret": LONG}).host


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1:8080", "[::1]:8080", "localhost:80", "http://0.0.0.0", "[127.0.0.1]", "[::"),
        *("127.0.0.1\r", " localhost", "::1 "),  # of a file that another system wrote
    ],
)
def test_a_host_with_more_than_a_host_in_it_stops_the_start(host: str) -> None:
    line = error_message(environ={"HEADRACE_HOST": host})

    assert line.startswith("HEADRACE_HOST: should be only an address or a host name")


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("", ""),
        ("/", ""),
        ("/chat", "/chat"),
        ("/chat/", "/chat"),
        ("/tools/chat-2.0/", "/tools/chat-2.0"),
        ("/~ada/chat", "/~ada/chat"),
        ("/api/chat", "/api/chat"),
    ],
)
def test_the_path_below_which_a_proxy_has_it_goes_without_the_last_slash(
    given: str, path: str
) -> None:
    assert path == load(None, {"HEADRACE_BASE_PATH": given}).base_path


@pytest.mark.parametrize(
    "path",
    [
        *(
            "chat",
            "//chat",
            "/a//b",
            "/..",
            "/a/../b",
            "/.",
            "/a b",
            "/a%20b",
            "/a?b",
            "/a#b",
            "/é",
        ),
        *("http://x/chat", "/a\n", "/api", "/api/v1", "/api/v1/chat", "/assets", "/c/", "/healthz"),
        *("/c/chat", "/assets/chat"),
    ],
)
def test_a_path_that_could_be_another_one_stops_the_start(path: str) -> None:
    assert error_message(environ={"HEADRACE_BASE_PATH": path}).startswith("HEADRACE_BASE_PATH: ")
