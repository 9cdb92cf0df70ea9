"""Takes the pictures of the READMEs and makes the page's icons, both from the page itself.

Run it after `make web` where Chromium is, with fonts for Chinese and formulas, as `.ci/run`
installs them: `.venv/bin/python -m tests.web.pictures`. The demo answers, so that everybody has
what the pictures show.
"""

import asyncio
import os
import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page, async_playwright, expect

import app.composition
from app.server import Server
from providers.demo import DemoUpstream
from settings import Settings
from tests.readers import call
from tests.web.browsing import PHONE

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
ICONS = ROOT / "web/src/icons"

TITLES = ("Canals of the Ming dynasty", "Backpressure, explained", "东京三日行程")

# Pixels of an icon, and the part of its width that the mark takes. Systems cut a maskable icon to a
# shape of theirs, and only the circle of 80 % is safe.
SIZES = {"icon-192": (192, 0.75), "icon-512": (512, 0.75), "maskable-512": (512, 0.55)}


async def main() -> None:
    """Make all of them."""
    app.composition.DemoUpstream = partial(DemoUpstream, seconds_per_token=0.002)
    chromium = shutil.which("chromium")
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(port=0, storage={"url": f"sqlite:///{folder}/headrace.db"})
        async with async_playwright() as playwright, app.composition.running(settings) as server:
            browser = await playwright.chromium.launch(executable_path=chromium, args=arguments)
            for name, (size, part) in SIZES.items():
                await draw_icon(browser, ICONS / f"{name}.png", size, part)
            for title in TITLES:
                await call(server.url, "POST", "/api/v1/conversations", {"title": title})
            english, chinese = "Why is the sky blue?", "都江堰为什么用了两千年？"
            desktop = {"viewport": {"width": 1120, "height": 760}}
            await take(browser, server, "screenshot", english, **desktop, locale="en-GB")
            await take(browser, server, "screenshot.zh", chinese, **desktop, locale="zh-CN")
            phone = {"viewport": PHONE, "has_touch": True, "is_mobile": True}
            await take(
                browser,
                server,
                "screenshot-phone",
                english,
                **phone,
                locale="en-GB",
                color_scheme="dark",
                device_scale_factor=2,
            )
            await browser.close()


async def draw_icon(browser: Browser, file: Path, size: int, part: float) -> None:
    """Draw the mark on a square."""
    page = await browser.new_page(viewport={"width": size, "height": size})
    mark = (ROOT / "web/src/mark.svg").read_text("utf-8")
    style = f"margin:0;display:grid;place-items:center;height:{size}px;background:#f6f7f4"
    await page.set_content(f'<body style="{style}"><div style="width:{size * part}px">{mark}</div>')
    await page.screenshot(path=file)
    await page.close()


async def take(browser: Browser, server: Server, name: str, question: str, **options: Any) -> None:
    """Ask, and take a picture of the answer."""
    context = await browser.new_context(reduced_motion="reduce", **options)
    page = await context.new_page()
    await page.goto(server.url)
    await page.locator(".composer textarea").fill(question)
    await page.locator(".composer .round-button").click()
    await answered(page)
    await page.screenshot(path=DOCS / f"{name}.png", animations="disabled")
    await context.close()


async def answered(page: Page) -> None:
    """Wait until the answer and all that is drawn on demand is there, and show its beginning."""
    answer = page.locator("article.answer").last
    await expect(answer).to_have_attribute("data-status", "complete", timeout=30_000)
    for each in await answer.locator(".formula").all():
        await expect(each.locator("math")).to_be_attached()
    await page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")


if __name__ == "__main__":
    asyncio.run(main())
