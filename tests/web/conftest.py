"""The page, built with `make web`, and Debian's Chromium to open it with."""

import asyncio
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Playwright, async_playwright, expect
from tornado.ioloop import IOLoop

import handlers.page
from tests.scheduling import locked
from tests.web.browsing import SEEN, WAIT_MS, Visitor

ROOT = Path(__file__).parents[2]

# Seconds for a whole visit. Each wait within it has an end of its own, which says what did not
# come; a loaded machine may take a second for each of thirty steps.
_VISIT_TIMEOUT = 90.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give tests with a browser the time of a visit, unless they say otherwise."""
    for item in items:
        marker = item.get_closest_marker("gen_test")
        if marker and item.path.parent == Path(__file__).parent:
            marker.kwargs.setdefault("timeout", _VISIT_TIMEOUT)


@pytest.fixture(scope="session")
def web(needs: Callable[[str], str]) -> Path:
    """The page's folder, with its packages installed and the page built."""
    needs("npm")
    with locked(ROOT / "web"):  # another worker may be building it
        build = subprocess.run(
            ["make", "--no-print-directory", "web/node_modules/ready", "web"],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
    assert 0 == build.returncode, build.stdout + build.stderr
    handlers.page.built_files.cache_clear()
    return ROOT / "web"


@pytest.fixture
def browser(io_loop: IOLoop, needs: Callable[[str], str], web: Path) -> Iterator[Browser]:
    """A headless browser for one test."""
    chromium = needs("chromium")
    SEEN.mkdir(exist_ok=True)
    expect.set_options(timeout=WAIT_MS)
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
        await asyncio.sleep(0)  # lets the loop notice that the driver's pipes are closed

    playwright, launched = io_loop.run_sync(start)
    yield launched
    io_loop.run_sync(stop)


@pytest.fixture
def visitor(io_loop: IOLoop, browser: Browser) -> Iterator[Visitor]:
    """A user of the page. The test fails if the browser's console has an error at its end."""
    user = Visitor(browser)
    yield user
    errors = io_loop.run_sync(user.close)

    assert [] == errors


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    """One store is enough: the page cannot tell them apart."""
    return f"sqlite:///{tmp_path}/headrace.db"
