"""A long answer: all of it is there, and the page's own work for it stays in small pieces."""

import asyncio

import pytest
from playwright.async_api import expect

from app.server import Server
from tests.upstreams import ScriptedUpstream
from tests.web.browsing import Visitor
from tests.web.contents import RICH

pytestmark = pytest.mark.slow

TOKENS = 20_000
CHARS_PER_TOKEN = 4
# Ten tokens a write, a write a turn of the loop: as fast as the page's machine takes them.
PER_WRITE = 10


@pytest.mark.gen_test(timeout=120)
async def test_twenty_thousand_tokens_arrive_whole(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    """How responsive the page stays meanwhile is measured by bench/page.py."""
    copies = TOKENS * CHARS_PER_TOKEN // len(RICH) + 1
    text = "\n".join(f"{RICH}\nThat was part {number}.\n" for number in range(copies))
    size = PER_WRITE * CHARS_PER_TOKEN
    tab = await visitor.open(headrace.url)
    await tab.ask("Tell me everything")
    await upstream.request()

    for at in range(0, len(text), size):
        upstream.tokens(text[at : at + size])
        await asyncio.sleep(0)
    upstream.finish()

    await expect(tab.answer).to_have_attribute("data-status", "complete", timeout=60_000)
    parts = tab.text.get_by_text("That was part")
    assert [f"That was part {number}." for number in range(copies)] == (
        await parts.all_inner_texts()
    )
    await expect(tab.answer.locator("figure.code")).to_have_count(copies)
    await expect(tab.answer.locator("math")).to_have_count(2 * copies)
    await expect(parts.last).to_be_in_viewport()
