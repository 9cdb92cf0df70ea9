"""What browsers install the page with."""

import json
import re
from pathlib import Path
from urllib.parse import urljoin

import pytest
from playwright.async_api import expect

from tests.readers import call
from tests.serving import Serving
from tests.web.browsing import Visitor

pytestmark = pytest.mark.slow  # the page is built for it


@pytest.mark.gen_test
async def test_the_page_can_be_installed_below_any_path(
    serve: Serving, visitor: Visitor, web: Path
) -> None:
    server = await serve.start(base_path="/chat")
    index = str((await call(server.url, "GET", "/chat/c/one")).body)
    page_url = f"{server.url}/chat/c/one"
    hrefs = dict(re.findall(r'rel="([\w-]+)" href="([^"]+)"', index))
    manifest_url = urljoin(page_url, hrefs["manifest"])

    found = await call(server.url, "GET", manifest_url.removeprefix(server.url))
    manifest = json.loads(found.body)

    assert (200, "application/manifest+json") == (found.status, found.headers["content-type"])
    for field in ("start_url", "scope"):
        assert f"{server.url}/chat/" == urljoin(manifest_url, manifest[field])
    assert ["192x192", "512x512", "512x512"] == [icon["sizes"] for icon in manifest["icons"]]
    assert "maskable" == manifest["icons"][-1]["purpose"]
    addresses = [urljoin(manifest_url, icon["src"]) for icon in manifest["icons"]]
    addresses.append(urljoin(page_url, hrefs["apple-touch-icon"]))
    for address in addresses:
        icon = await call(server.url, "GET", address.removeprefix(server.url))
        assert (200, "image/png") == (icon.status, icon.headers["content-type"])

    # The policy lets a browser load them, and finds nothing that keeps it from installing the page.
    tab = await visitor.open(f"{server.url}/chat/")
    browser = await tab.page.context.new_cdp_session(tab.page)
    read = await browser.send("Page.getAppManifest")
    assert ("", []) == (read["url"].removeprefix(manifest_url), read["errors"])
    faults = await browser.send("Page.getInstallabilityErrors")
    # A window of a test is a private one.
    assert {"in-incognito"} >= {each["errorId"] for each in faults["installabilityErrors"]}
    await expect(tab.field).to_be_focused()
