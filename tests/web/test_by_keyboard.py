"""The page without a mouse: where the focus is, and what a narrow page covers."""

import re

import pytest
from playwright.async_api import ElementHandle, Locator, expect

from app.server import Server
from tests.upstreams import ScriptedUpstream
from tests.web.branching import long_conversation, script
from tests.web.browsing import PHONE, Tab, Visitor
from tests.web.test_conversations import make

pytestmark = pytest.mark.slow  # a browser starts for each


async def expect_focus(tab: Tab, element: Locator, after: str) -> None:
    await expect(element, f"the focus after {after}").to_be_focused()


async def top_of(element: ElementHandle) -> float:
    """Where it is in the window."""
    box = await element.bounding_box()
    assert box
    return box["y"]


@pytest.mark.gen_test
async def test_the_focus_never_falls_to_the_body(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    await make(headrace, "One", "Two", "Three")
    tab = await visitor.open(headrace.url)
    keyboard = tab.page.keyboard

    # In the list: each conversation is one stop, and its actions are behind it.
    await tab.listed("Three").focus()
    await keyboard.press("Tab")
    await expect_focus(tab, tab.listed("Two"), "Tab")
    await keyboard.press("ArrowRight")
    await expect_focus(tab, tab.button("Rename “Two”"), "the right arrow")
    await keyboard.press("Enter")
    await keyboard.insert_text("Zwei")
    await keyboard.press("Enter")
    await expect_focus(tab, tab.listed("Zwei"), "renaming")
    await keyboard.press("F2")
    await keyboard.press("Escape")
    await expect_focus(tab, tab.listed("Zwei"), "not renaming")
    await keyboard.press("Delete")
    await expect_focus(tab, tab.listed("One"), "deleting")
    await tab.button("Undo").click()
    await expect(tab.listed("Zwei")).to_be_visible()
    await expect_focus(tab, tab.field, "undoing")

    # While something is answered, what was used to ask may be disabled or gone.
    upstream.tokens("Hel")
    await tab.field.fill("hi")
    await keyboard.press("Tab")
    await tab.button("Send").focus()
    await keyboard.press("Enter")
    await tab.expect_text("Hel")
    await expect_focus(tab, tab.field, "sending")
    await tab.button("Stop").click()
    await tab.expect_status("stopped")
    await expect_focus(tab, tab.button("Send"), "stopping")
    upstream.next_request()
    script(upstream, "lo", "Hello")
    await tab.button("Continue").focus()
    await keyboard.press("Enter")
    await tab.expect_text("lo")
    await expect_focus(tab, tab.field, "continuing")
    await tab.button("Regenerate").last.click()
    await tab.expect_text("Hello")
    await expect_focus(tab, tab.field, "regenerating")
    await tab.button("Conversation settings").click()
    await expect(tab.page.get_by_role("dialog"), "it is loaded for that").to_be_visible()
    await keyboard.press("Escape")
    await expect_focus(tab, tab.button("Conversation settings"), "closing a dialog")


@pytest.mark.gen_test
async def test_earlier_messages_move_nothing_that_is_read(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    last = await long_conversation(headrace, upstream)
    tab = await visitor.open(f"{headrace.url}/c/{last['conversation_id']}")
    await expect(tab.answer).to_be_visible()
    await tab.expect_formatted()
    earlier = tab.button("Show earlier messages")
    for _ in range(2):
        shown = await tab.answers.count()
        await tab.page.evaluate("scrollTo(0, 0)")
        read = await tab.answers.first.element_handle()
        before = await top_of(read)

        await earlier.focus()
        await tab.page.keyboard.press("Enter")
        await expect(tab.answers).not_to_have_count(shown)

        await tab.page.evaluate("new Promise(requestAnimationFrame)")
        assert abs(before - await top_of(read)) < 1  # pages scroll by whole pixels
        assert "BODY" != await tab.page.evaluate("document.activeElement.tagName")


@pytest.mark.gen_test
async def test_a_list_that_covers_the_conversation_is_closed_by_back_and_has_the_focus_meanwhile(
    headrace: Server, visitor: Visitor
) -> None:
    await make(headrace, "One", "Two")
    tab = await visitor.open(headrace.url, viewport=PHONE)
    opener, closer = tab.button("Show conversations"), tab.button("Hide conversations")
    await opener.click()
    await expect_focus(tab, closer, "opening the list")
    await tab.page.go_back()
    await expect(tab.listed("One")).to_be_hidden()
    await expect_focus(tab, opener, "Back")

    # What is covered is out of reach, and what is deleted in the list is undone there.
    await opener.click()
    await tab.page.keyboard.press("Shift+Tab")
    await expect(opener).not_to_be_focused()
    await tab.listed("Two").hover()
    await tab.button("Delete “Two”").click()
    await tab.button("Undo").click()
    await expect(tab.listed("Two")).to_be_visible()
    await tab.page.keyboard.press("Escape")
    await expect(tab.listed("One")).to_be_hidden()
    await expect_focus(tab, opener, "Escape")

    # The list leaves no entry behind when a conversation was opened in it.
    await opener.click()
    await tab.listed("One").click()
    await expect(tab.page).to_have_url(re.compile("/c/"))
    await expect(tab.listed("One")).to_be_hidden()
    await tab.page.go_back()
    await expect(tab.page).to_have_url(f"{headrace.url}/")
    await expect(tab.listed("One")).to_be_hidden()
