"""Key holders at the page: they sign in, and have their keys revoked."""

import asyncio
import itertools
from contextlib import AbstractAsyncContextManager
from typing import Any

from playwright.async_api import expect

from app.server import Server
from tests.auth_servers import AuthServers, KeyHolder
from tests.readers import call
from tests.web.browsing import Tab, Visitor

# What the page has kept in the browser.
KEPT = "JSON.stringify([sessionStorage, localStorage])"


async def signed_in_tab(visitor: Visitor, server: Server, holder: KeyHolder, **options: Any) -> Tab:
    """A page at which somebody has signed in, and which has asked again for what it begins with.

    A test that revokes the key next would else refuse these requests, and not the test's own.
    """
    tab = await visitor.open_page(server.url, **options)
    async with (
        _accepted(tab, "/conversations?"),
        _accepted(tab, "/models"),
        _accepted(tab, "/me", 2),  # the first one is what checks the key
    ):
        await tab.sign_in(holder.key)
    await expect(tab.field).to_be_focused()
    return tab


def _accepted(tab: Tab, part: str, times: int = 1) -> AbstractAsyncContextManager[object]:
    """Wait for so many responses to requests with this in their address that are no refusals."""
    numbers = itertools.count(1)
    return tab.page.expect_response(
        lambda response: response.ok and part in response.url and next(numbers) == times
    )


async def revoke(auth_servers: AuthServers, server: Server, holder: KeyHolder) -> None:
    """Take a key back, and wait until the server knows."""
    await auth_servers.revoke(holder)
    async with asyncio.timeout(5):
        while (await call(server.url, "GET", "/api/v1/me", headers=holder.headers)).status == 200:
            pass


async def titles_of(server: Server, holder: KeyHolder) -> list[str]:
    listed = await call(server.url, "GET", "/api/v1/conversations", headers=holder.headers)
    return [conversation["title"] for conversation in listed.body["data"]]
