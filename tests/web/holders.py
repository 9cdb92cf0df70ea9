"""Key holders at the page: they sign in, and have their keys revoked."""

import asyncio
from typing import Any

from playwright.async_api import expect

from app.server import Server
from tests.entering import Door, Holder
from tests.readers import call
from tests.web.browsing import Tab, Visitor

# What the page has kept in the browser.
KEPT = "JSON.stringify([sessionStorage, localStorage])"


async def signed_in_tab(visitor: Visitor, server: Server, holder: Holder, **options: Any) -> Tab:
    """A page at which somebody has signed in."""
    tab = await visitor.open_page(server.url, **options)
    await tab.sign_in(holder.key)
    await expect(tab.field).to_be_focused()
    return tab


async def revoke(door: Door, server: Server, holder: Holder) -> None:
    """Take a key back, and wait until the server knows."""
    await door.revoke(holder)
    async with asyncio.timeout(5):
        while (await call(server.url, "GET", "/api/v1/me", headers=holder.headers)).status == 200:
            pass


async def titles_of(server: Server, holder: Holder) -> list[str]:
    listed = await call(server.url, "GET", "/api/v1/conversations", headers=holder.headers)
    return [conversation["title"] for conversation in listed.body["data"]]
