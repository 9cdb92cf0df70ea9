"""The page, built as people build it, and Debian's Chromium to look at it with."""

import asyncio
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Playwright, async_playwright, expect
from tornado.ioloop import IOLoop

import handlers.page
from tests.turns import locked
from tests.web.browsing import SEEN, Visitor
from tests.web.wire import wire

__all__ = ["wire"]

ROOT = Path(__file__).parents[2]

# What is waited for is an event; this only ends waits for what does not come.
_PATIENCE_MS = 10_000


@pytest.fixture(scope="session")
def web(needs: Callable[[str], str]) -> Path:
    """The folder of the page's sources, with what builds and tests it installed."""
    needs("npm")
    with locked(ROOT / "web"):  # what one worker builds the others find
        made = subprocess.run(
            ["make", "--no-print-directory", "web"], cwd=ROOT, capture_output=True, text=True
        )
    assert 0 == made.returncode, made.stdout + made.stderr
    handlers.page.built.cache_clear()
    return ROOT / "web"


@pytest.fixture
def browser(io_loop: IOLoop, needs: Callable[[str], str], web: Path) -> Iterator[Browser]:
    """A browser of the test's own, without a window."""
    chromium = needs("chromium")
    SEEN.mkdir(exist_ok=True)
    expect.set_options(timeout=_PATIENCE_MS)
    # Chromium's sandbox refuses to run as root, which is what containers are.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []

    async def start() -> tuple[Playwright, Browser]:
        playwright = await async_playwright().start()
        return playwright, await playwright.chromium.launch(
            executable_path=chromium, args=arguments
        )

    async def stop() -> None:
        await launched.close()
        await playwright.stop()
        await asyncio.sleep(0)  # the driver's pipes are told of their end in the next round

    playwright, launched = io_loop.run_sync(start)
    yield launched
    io_loop.run_sync(stop)


@pytest.fixture
def visitor(io_loop: IOLoop, browser: Browser) -> Iterator[Visitor]:
    """Somebody who uses the page. No error may be left on their console."""
    somebody = Visitor(browser)
    yield somebody
    faults = io_loop.run_sync(somebody.leave)

    assert [] == faults


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    """One store is enough: the page cannot tell them apart."""
    return f"sqlite:///{tmp_path}/headrace.db"
