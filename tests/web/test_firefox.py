"""The page in Firefox, which sets formulas and keeps texts in ways of its own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tornado.ioloop import IOLoop

from tests.serving import Serving
from tests.web.bidi import Firefox, running_firefox

pytestmark = pytest.mark.slow  # a browser starts

ENTER = "\ue007"
FIELD = "document.querySelector('.composer textarea')"
WITHIN = "document.querySelector('.answer[data-status={}] {}')"


@pytest.fixture
def firefox(
    io_loop: IOLoop, needs: Callable[[str], str], web: Path, tmp_path: Path
) -> Iterator[Firefox]:
    folder = tmp_path / "firefox"
    folder.mkdir()
    running = running_firefox(needs("firefox-esr"), folder)
    yield io_loop.run_sync(running.__aenter__)
    io_loop.run_sync(lambda: running.__aexit__(None, None, None))


@pytest.mark.gen_test
async def test_firefox_shows_an_answer_as_it_comes_and_keeps_a_draft(
    serve: Serving, firefox: Firefox
) -> None:
    server = await serve.start()  # the demo answers
    await firefox.open(server.url)
    await firefox.until(f"document.activeElement === {FIELD}")
    await firefox.type(f"Why is the sky blue?{ENTER}")

    await firefox.until(WITHIN.format("live", ".markdown strong"))
    fraction = WITHIN.format("complete", "math mfrac")
    keyword = WITHIN.format("complete", "pre .hljs-keyword")
    await firefox.until(f"{fraction} && {keyword}")
    assert await firefox.value(
        f"(([over, under]) => over.getBoundingClientRect().bottom <= "
        f"under.getBoundingClientRect().top)({fraction}.children)"
    ), "a fraction is set as one"
    assert await firefox.value(
        f"getComputedStyle({keyword}).color !== getComputedStyle({keyword}.closest('pre')).color"
    ), "code has colours"

    await firefox.type("A draft")
    await firefox.reload()
    await firefox.until(f"{FIELD}?.value === 'A draft' && {keyword}")
    assert [] == firefox.errors
