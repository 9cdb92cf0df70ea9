"""The page in a real browser, operated as its users do."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, expect

# Screenshots to look at after the tests; CI stores them.
SEEN = Path(__file__).parent / "seen"

PHONE = {"width": 390, "height": 844}
LAPTOP = {"width": 1280, "height": 800}
NARROWEST = {"width": 320, "height": 640}

# The tests wait for events; these end the wait for one that does not come, and say which. To load
# a page, or to find a field that can be clicked, takes several.
WAIT_MS = 10_000
_ACTION_MS = 20_000

# Browsers log broken connections on the console, and the tests break connections.
_NETWORK_ERROR = re.compile(r"Failed to load resource")


@dataclass
class Tab:
    """A browser tab with the page."""

    page: Page
    errors: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Collect errors and warnings on the console, violations of the policy among them."""
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._on_console)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not _NETWORK_ERROR.search(message.text):
            self.errors.append(message.text)

    @property
    def field(self) -> Locator:
        return self.page.locator(".composer textarea")

    @property
    def sign_in_dialog(self) -> Locator:
        """The dialog that asks for a key."""
        return self.page.get_by_role("dialog", name="Sign in")

    @property
    def answers(self) -> Locator:
        return self.page.locator("article.answer")

    @property
    def answer(self) -> Locator:
        """The last answer."""
        return self.answers.last

    @property
    def text(self) -> Locator:
        """The text of the last answer."""
        return self.answer.locator(".markdown")

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def listed(self, title: str) -> Locator:
        return self.page.get_by_role("navigation").get_by_role("link", name=title)

    async def sign_in(self, key: str, *, remember: bool = False) -> None:
        """Sign in with a key."""
        await expect(self.sign_in_dialog.get_by_label("API key or access token")).to_be_focused()
        await self.page.keyboard.insert_text(key)
        await self.sign_in_dialog.get_by_role("checkbox").set_checked(remember)
        await self.sign_in_dialog.get_by_role("textbox").press("Enter")

    async def ask(self, question: str) -> None:
        await self.field.fill(question)
        await self.field.press("Enter")

    async def expect_text(self, text: str) -> None:
        """Wait until this is the text of the last answer."""
        await expect(self.text).to_have_text(text)

    async def expect_status(self, status: str) -> None:
        """Wait until the last answer has this status, and is set as it stays."""
        await expect(self.answer).to_have_attribute("data-status", status)
        await self.expect_formatted()

    async def expect_formatted(self) -> None:
        """Wait until no text is shown plain, as texts are until the page has loaded Markdown."""
        await expect(self.page.locator(".markdown.plain")).to_have_count(0)

    async def screenshot(self, name: str) -> None:
        """Save a screenshot in SEEN."""
        await self.page.screenshot(path=SEEN / f"{name}.png", animations="disabled")


class Visitor:
    """A user with a browser. Tabs of one context share cookies and storage."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self.contexts: list[BrowserContext] = []
        self.tabs: list[Tab] = []

    async def context(self, **options: Any) -> BrowserContext:
        """A new browser context, in English and of a laptop's size by default."""
        context = await self._browser.new_context(
            **{"viewport": LAPTOP, "locale": "en-GB", "reduced_motion": "reduce", **options}
        )
        context.set_default_timeout(_ACTION_MS)
        self.contexts.append(context)
        return context

    async def open(self, url: str, *, context: BrowserContext | None = None, **options: Any) -> Tab:
        """Open the page in a new tab, and wait until a question can be written."""
        tab = await self.open_page(url, context=context, **options)
        await expect(tab.field).to_be_focused()
        return tab

    async def open_page(
        self, url: str, *, context: BrowserContext | None = None, **options: Any
    ) -> Tab:
        """Open the page in a new tab; it may ask for a key."""
        tab = Tab(await (context or await self.context(**options)).new_page())
        tab.watch()
        self.tabs.append(tab)
        await tab.page.goto(url)
        return tab

    async def close(self) -> list[str]:
        """Close all tabs, and return their errors."""
        for context in self.contexts:
            await context.close()
        return [error for tab in self.tabs for error in tab.errors]
