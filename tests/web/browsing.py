"""A page of Headrace in a real browser, in the words of whoever uses it."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, expect

# What the browser showed, for looking at; CI keeps it.
SEEN = Path(__file__).parent / "seen"

PHONE = {"width": 390, "height": 844}
LAPTOP = {"width": 1280, "height": 800}
NARROWEST = {"width": 320, "height": 640}

# A connection that breaks is told on the console by the browser itself, and is what is tested.
_OF_THE_NETWORK = re.compile(r"Failed to load resource")


@dataclass
class Tab:
    """One tab with the page in it."""

    page: Page
    faults: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Note what may not happen: errors, and whatever the policy had to forbid."""
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", self._said)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not _OF_THE_NETWORK.search(message.text):
            self.faults.append(message.text)

    @property
    def field(self) -> Locator:
        return self.page.locator(".composer textarea")

    @property
    def sign_in(self) -> Locator:
        """What asks for a key."""
        return self.page.get_by_role("dialog", name="Sign in")

    @property
    def answers(self) -> Locator:
        return self.page.locator("article.answer")

    @property
    def answer(self) -> Locator:
        """The last one."""
        return self.answers.last

    @property
    def text(self) -> Locator:
        """What the last answer says."""
        return self.answer.locator(".markdown")

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def listed(self, title: str) -> Locator:
        return self.page.get_by_role("navigation").get_by_role("link", name=title)

    async def enter(self, key: str, *, on_device: bool = False) -> None:
        """Sign in with a key."""
        await expect(self.sign_in.get_by_label("API key or access token")).to_be_focused()
        await self.page.keyboard.insert_text(key)
        await self.sign_in.get_by_role("checkbox").set_checked(on_device)
        await self.sign_in.get_by_role("textbox").press("Enter")

    async def ask(self, question: str) -> None:
        await self.field.fill(question)
        await self.field.press("Enter")

    async def reads(self, text: str) -> None:
        """Wait until the last answer says just this."""
        await expect(self.text).to_have_text(text)

    async def ended(self, status: str) -> None:
        """Wait until the last answer has ended, and how."""
        await expect(self.answer).to_have_attribute("data-status", status)

    async def shot(self, name: str) -> None:
        """Keep a picture of it."""
        await self.page.screenshot(path=SEEN / f"{name}.png", animations="disabled")


class Visitor:
    """A person with a browser: tabs of one context share what a browser shares."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self.contexts: list[BrowserContext] = []
        self.tabs: list[Tab] = []

    async def context(self, **options: Any) -> BrowserContext:
        """A browser of its own. English, at a laptop, unless told."""
        context = await self._browser.new_context(
            **{"viewport": LAPTOP, "locale": "en-GB", "reduced_motion": "reduce", **options}
        )
        self.contexts.append(context)
        return context

    async def open(self, url: str, *, context: BrowserContext | None = None, **options: Any) -> Tab:
        """The page at `url`, in a new tab."""
        tab = await self.knock(url, context=context, **options)
        await expect(tab.field).to_be_focused()
        return tab

    async def knock(
        self, url: str, *, context: BrowserContext | None = None, **options: Any
    ) -> Tab:
        """The same where a key may be asked for."""
        tab = Tab(await (context or await self.context(**options)).new_page())
        tab.watch()
        self.tabs.append(tab)
        await tab.page.goto(url)
        return tab

    async def leave(self) -> list[str]:
        """Close everything; what went wrong in any of the tabs."""
        for context in self.contexts:
            await context.close()
        return [fault for tab in self.tabs for fault in tab.faults]
