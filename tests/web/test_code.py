"""A block of code in a real browser: its pieces, its lines and its file."""

import asyncio
from pathlib import Path

import pytest
from playwright.async_api import expect

from app.server import Server
from tests.upstreams import ScriptedUpstream
from tests.web.browsing import PHONE, Visitor

pytestmark = pytest.mark.slow  # a browser starts

# Longer than one piece of `web/src/markdown/codePieces.ts`, with empty lines where pieces end.
CODE = "\n".join(f"FROM scratch AS stage{number}\nCOPY . /{'x' * 60}\n" for number in range(200))


@pytest.mark.gen_test
async def test_long_code_is_coloured_wrapped_saved_and_selected_as_it_is(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor, tmp_path: Path
) -> None:
    tab = await visitor.open(headrace.url, viewport=PHONE)
    fenced = f"```Dockerfile\n{CODE}\n```"
    upstream.tokens(*(fenced[at : at + 400] for at in range(0, len(fenced), 400)))
    upstream.finish()
    await tab.ask("Containers, please")
    await tab.expect_status("complete")
    pre = tab.text.locator("pre")
    pieces = pre.locator(".code-piece")

    # All of it is coloured, also the last piece.
    assert await pieces.count() > 1
    await expect(pieces.last.locator(".hljs-keyword").last).to_have_text("COPY")

    # No line is lost or added where two pieces meet.
    selected = await pre.evaluate(
        "pre => { getSelection().selectAllChildren(pre); return getSelection().toString(); }"
    )
    assert CODE.rstrip("\n") == selected.rstrip("\n")

    # A long line scrolls, or wraps.
    scrolls = "pre => pre.scrollWidth > pre.clientWidth"
    assert await pre.evaluate(scrolls)
    await tab.button("Wrap long lines").click()
    await expect(tab.button("Wrap long lines")).to_have_attribute("aria-pressed", "true")
    assert not await pre.evaluate(scrolls)

    async with tab.page.expect_download() as download:
        await tab.button("Save the code as a file").click()
    saved = await download.value
    assert "code.dockerfile" == saved.suggested_filename
    await saved.save_as(tmp_path / "saved")
    assert f"{CODE}\n".encode() == await asyncio.to_thread((tmp_path / "saved").read_bytes)
    await tab.screenshot("code-phone")
