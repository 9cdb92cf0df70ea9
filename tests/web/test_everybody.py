"""The page for fingers, small windows and forced colours."""

import pytest
from playwright.async_api import expect

from app.server import Server
from tests.upstreams import ScriptedUpstream
from tests.web.browsing import PHONE, Tab, Visitor
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

# The lines around an element that can be told from the page: borders, and the outline.
LINES = """(element) => {
  const style = getComputedStyle(element);
  const page = getComputedStyle(document.documentElement).backgroundColor;
  return ["borderTop", "borderBottom", "borderLeft", "borderRight", "outline"].filter(
    (line) => style[`${line}Style`] !== "none" && parseFloat(style[`${line}Width`]) >= 1)
    .map((line) => `${line} ${style[`${line}Width`]} ${style[`${line}Color`]}`)
    .filter((line) => !line.endsWith(page) && !/rgba.*, 0\\)$/.test(line));
}"""

# Which of these can be seen, and have no such line.
WITHOUT_EDGE = f"""(selector) => [...document.querySelectorAll(selector)]
  .filter((each) => each.checkVisibility() && !({LINES})(each).length)
  .map((each) => each.outerHTML.slice(0, 100))"""

# What has the focus, and whether it or what it is in has a line more than without; null at the end.
FOCUS = f"""() => {{
  const focused = document.activeElement;
  if (focused === document.body) return null;
  const frames = [focused, focused.parentElement, focused.closest("form, label")].filter(Boolean);
  const lines = () => frames.map((frame) => ({LINES})(frame).join());
  const shown = lines();
  focused.blur();
  const hidden = lines();
  focused.focus();
  const isSeen = shown.some((line, index) => line && line !== hidden[index]);
  return [focused.outerHTML.slice(0, 100), isSeen];
}}"""


async def stops(tab: Tab, first: str) -> dict[str, bool]:
    """Where Tab leads from the first to the last, and whether that can be seen."""
    found = {}
    await tab.page.locator(first).first.focus()
    while stop := await tab.page.evaluate(FOCUS):
        name, is_seen = stop
        found[name] = is_seen
        await tab.page.keyboard.press("Tab")
    return found


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


@pytest.mark.gen_test
async def test_forced_colours_leave_edges_and_the_focus_to_be_seen(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    await make(headrace, "One")
    upstream.reasoning("Rayleigh scattering.")
    upstream.tokens(RICH)
    upstream.finish()
    tab = await visitor.open(headrace.url, forced_colors="active")
    await tab.ask("Why is the sky blue?")
    await tab.expect_status("complete")
    await expect(tab.text.locator("math").nth(1)).to_be_visible()
    await tab.screenshot("forced-colours")
    controls = ".composer, .round-button, .search input"
    await expect(tab.page.locator(controls)).to_have_count(3)
    assert [] == await tab.page.evaluate(WITHOUT_EDGE, controls)
    on_the_page = await stops(tab, ".skip")
    assert 15 < len(on_the_page)
    assert [] == [name for name, is_seen in on_the_page.items() if not is_seen]

    await tab.button("Conversation settings").click()
    within = [".dialog", *(f".dialog {each}" for each in ("textarea", "input", "select", "button"))]
    await expect(tab.page.locator(".dialog button")).not_to_have_count(0)
    assert [] == await tab.page.evaluate(WITHOUT_EDGE, ", ".join(within))
    in_the_dialog = await stops(tab, ".dialog textarea")
    assert 5 < len(in_the_dialog)
    assert [] == [name for name, is_seen in in_the_dialog.items() if not is_seen]
