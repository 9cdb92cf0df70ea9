"""The page for fingers, small windows and forced colours."""

import pytest
from playwright.async_api import expect

from app.server import Server
from tests.upstreams import ScriptedUpstream
from tests.web.browsing import PHONE, Visitor
from tests.web.contents import RICH
from tests.web.test_conversations import make
from tests.web.test_looks import sideways

pytestmark = pytest.mark.slow  # a browser starts for each

# What can be seen and is smaller than 44 pixels; links in a text are as high as its lines.
TOO_SMALL = """() =>
  [...document.querySelectorAll("button, a[href], select, summary, input, textarea")]
  .filter((each) => each.checkVisibility({ visibilityProperty: true }) && !each.closest("[inert]"))
  .filter((each) => !each.matches(".skip, .markdown a, .visually-hidden, [type=checkbox]"))
  .map((each) => ({ name: each.outerHTML.slice(0, 100), box: each.getBoundingClientRect() }))
  .filter(({ box }) => box.width < 43.9 || box.height < 43.9)
  .map(({ name, box }) => `${Math.round(box.width)}x${Math.round(box.height)} ${name}`)"""

# Safari on iOS zooms the page for a field whose text is smaller.
ZOOMED = """() => [...document.querySelectorAll("input, select, textarea")]
  .filter((each) => parseFloat(getComputedStyle(each).fontSize) < 16)
  .map((each) => each.outerHTML.slice(0, 100))"""

# How many of the window's pixels from top to bottom show the conversation, at its middle.
ROOM = """() => {
  let room = 0;
  for (let y = 0; y < innerHeight; y++)
    if (document.elementFromPoint(innerWidth / 2, y)?.closest(".chat")) room++;
  return room;
}"""


@pytest.mark.gen_test
async def test_fingers_hit_everything_and_small_windows_leave_room_for_text(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    await make(headrace, "One")
    upstream.reasoning("Rayleigh scattering.")
    upstream.tokens(RICH)
    upstream.finish()
    context = await visitor.context(viewport=PHONE, has_touch=True, is_mobile=True)
    tab = await visitor.open_page(headrace.url, context=context)
    await expect(tab.page.locator("main"), "no field, which opens a keyboard").to_be_focused()
    assert [] == await tab.page.evaluate(TOO_SMALL), "in an empty conversation"
    await tab.field.fill("Why is the sky blue?")
    await tab.button("Send").tap()
    await tab.expect_status("complete")
    assert [] == await tab.page.evaluate(TOO_SMALL), "below an answer"
    await tab.button("Show conversations").tap()
    await expect(tab.listed("One")).to_be_visible()
    assert [] == await tab.page.evaluate(TOO_SMALL), "in the list"
    assert [] == await tab.page.evaluate(ZOOMED)
    await tab.page.go_back()
    await expect(tab.listed("One")).to_be_hidden()

    await tab.page.set_viewport_size({"width": 320, "height": 256})
    assert 0 == await sideways(tab)
    await tab.page.evaluate("scrollTo(0, 600)")
    assert 250 < await tab.page.evaluate(ROOM), "pixels of 256 that show the answer"
    await tab.button("Show conversations").tap()
    await tab.listed("One").scroll_into_view_if_needed()
    await expect(tab.listed("One")).to_be_in_viewport(ratio=1)
