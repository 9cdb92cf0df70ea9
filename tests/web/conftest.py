"""The page, built with `make web`, and Debian's Chromium to open it with."""

import asyncio
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright._impl._driver import compute_driver_executable
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


@pytest.fixture(scope="session")
def browser_url(
    needs: Callable[[str], str], web: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Where a headless browser is reached that all tests share, each in contexts of its own.

    To start one takes as much CPU as most visits.
    """
    folder = tmp_path_factory.mktemp("browser")
    launch = {
        "executablePath": needs("chromium"),
        # Chromium's sandbox refuses to run as root, which is what containers are.
        "args": ["--no-sandbox"] if os.geteuid() == 0 else [],
    }
    (folder / "launch.json").write_text(json.dumps(launch), "utf-8")
    command = [*compute_driver_executable(), "launch-server", "--browser", "chromium"]
    with pytest.MonkeyPatch.context() as patch:
        # Each test starts the driver once more: Node keeps what it has compiled.
        patch.setenv("NODE_COMPILE_CACHE", str(folder / "compiled"))
        with subprocess.Popen(
            [*command, "--config", str(folder / "launch.json")], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            try:
                url = process.stdout.readline().strip()
                assert url.startswith("ws://"), url
                yield url
            finally:
                process.terminate()  # it closes the browser, too


@pytest.fixture
def browser(io_loop: IOLoop, browser_url: str) -> Iterator[Browser]:
    """The headless browser, as one test sees it."""
    SEEN.mkdir(exist_ok=True)
    expect.set_options(timeout=WAIT_MS)

    async def start() -> tuple[Playwright, Browser]:
        playwright = await async_playwright().start()
        return playwright, await playwright.chromium.connect(browser_url)

    async def stop() -> None:
        await connected.close()
        await playwright.stop()
        await asyncio.sleep(0)  # lets the loop notice that the driver's pipes are closed

    playwright, connected = io_loop.run_sync(start)
    yield connected
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
