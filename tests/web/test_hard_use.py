"""The page under impatient hands, in a browser that keeps nothing, before a server that says no."""

import asyncio
import json

import pytest
from playwright.async_api import Page, Route, expect

from app.server import Server
from tests.readers import call
from tests.upstreams import ScriptedUpstream
from tests.web.browsing import NARROWEST, Tab, Visitor
from tests.web.test_branches import script, sent, shows, switches, talk
from tests.web.test_conversations import make, titles_kept
from tests.web.test_looks import sideways

pytestmark = pytest.mark.slow  # a browser starts for each


async def refuse(page: Page, pattern: str, method: str) -> None:
    """Have the server say 503 to requests of this method."""
    body = json.dumps({"error": {"code": "storage_unavailable", "message": "", "request_id": "r"}})

    async def answer(route: Route) -> None:
        if route.request.method == method:
            await route.fulfill(status=503, content_type="application/json", body=body)
        else:
            await route.continue_()

    await page.route(pattern, answer)


@pytest.mark.gen_test
async def test_what_is_clicked_twice_is_done_once(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    script(upstream, "One.", "Two.")
    tab = await visitor.open(headrace.url)
    await tab.field.fill("Count")
    await tab.button("Send").dblclick()
    await shows(tab, "Count", "One.")
    await tab.button("Regenerate").dblclick()
    await shows(tab, "Count", "Two.")
    upstream.tokens("Th")
    await tab.ask("Go on")
    await tab.expect_text("Th")
    await tab.button("Stop").dblclick()
    await tab.expect_status("stopped")
    await expect(switches(tab)).to_contain_text("2 / 2")
    await tab.listed("Count").hover()
    await tab.button("Delete “Count”").dblclick(force=True)

    await expect(tab.answers).to_have_count(0)
    assert 3 == len(upstream.requests)


@pytest.mark.gen_test
async def test_a_conversation_that_is_deleted_while_it_is_answered_is_gone_in_all_tabs(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    context = await visitor.context()
    tab = await visitor.open(headrace.url, context=context)
    await tab.ask("hi")
    upstream.tokens("Hel")
    await tab.expect_text("Hel")
    other = await visitor.open(tab.page.url, context=context)
    await other.expect_text("Hel")
    await make(headrace, "Another")
    await tab.page.reload()
    await tab.expect_text("Hel")

    await tab.listed("hi").hover()
    await tab.button("Delete “hi”").click()
    await tab.page.go_back()  # while it can be had back it is still there
    await tab.expect_text("Hel")
    await tab.listed("Another").hover()
    await tab.button("Delete “Another”").click()  # the next delete carries out the first

    await asyncio.wait_for(upstream.closed.wait(), 5)
    for each in (tab, other):
        await expect(each.answers).to_have_count(0)
        await expect(each.listed("hi")).to_have_count(0)
        await expect(each.page).to_have_url(f"{headrace.url}/")
    await expect(other.listed("Another")).to_have_count(0)  # hidden there, too, and not deleted yet
    assert ["Another"] == await titles_kept(headrace)


@pytest.mark.gen_test
async def test_questions_asked_offline_in_two_conversations_both_survive_a_reload(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    script(upstream, "One.", "Two.")
    context = await visitor.context()
    tab = await visitor.open(headrace.url, context=context)
    await talk(tab, ("First", "One."))
    await tab.button("New conversation").first.click()
    await talk(tab, ("Second", "Two."))
    keys: dict[str, set[str]] = {}

    async def cut(route: Route) -> None:
        question = json.loads(route.request.post_data or "")["content"]
        keys.setdefault(question, set()).add(route.request.headers["idempotency-key"])
        await route.abort("connectionfailed")

    await context.route("**/api/v1/chat", cut)
    await tab.ask("More of the second")
    await expect(tab.answer).to_contain_text("There is no connection.")
    await tab.listed("First").click()
    await tab.expect_text("One.")
    await tab.ask("More of the first")
    await expect(tab.answer).to_contain_text("There is no connection.")

    # Both are where they were asked, and neither is in the other's way.
    await tab.listed("Second").click()
    await expect(tab.page.locator(".question > p")).to_have_text(["Second", "More of the second"])
    await tab.listed("First").click()
    await expect(tab.page.locator(".question > p")).to_have_text(["First", "More of the first"])
    script(upstream, "Three.", "Three.")
    await context.unroute("**/api/v1/chat", cut)
    await tab.page.reload()
    await shows(tab, "First", "One.", "More of the first", "Three.")
    await tab.listed("Second").click()
    await shows(tab, "Second", "Two.", "More of the second", "Three.")

    assert 4 == len(upstream.requests)
    asked = sorted([sent(upstream, 2), sent(upstream, 3)])
    assert [
        ["First", "One.", "More of the first"],
        ["Second", "Two.", "More of the second"],
    ] == asked
    assert {1} == {len(of_one) for of_one in keys.values()}


@pytest.mark.gen_test
async def test_words_that_are_given_back_stand_before_those_written_since(
    headrace: Server, visitor: Visitor
) -> None:
    context = await visitor.context()
    tab = await visitor.open(headrace.url, context=context)
    await context.set_offline(True)
    await tab.ask("The first question")
    await expect(tab.answer).to_contain_text("There is no connection.")
    await tab.field.fill("The next one")

    await tab.button("Stop").click()

    await expect(tab.field).to_have_value("The first question\n\nThe next one")


@pytest.mark.gen_test
async def test_small_things_that_fail_are_said_and_change_nothing(
    headrace: Server, visitor: Visitor
) -> None:
    await make(headrace, "Old")
    tab = await visitor.open(headrace.url)
    await tab.listed("Old").click()
    await expect(tab.field).to_be_focused()
    await refuse(tab.page, "**/api/v1/conversations/*", "PATCH")
    await tab.listed("Old").hover()
    await tab.button("Rename “Old”").click()
    await tab.page.keyboard.type("New")
    await tab.page.keyboard.press("Enter")
    await expect(tab.page.locator(".toast")).to_contain_text("That did not work. Conversation")
    await expect(tab.listed("Old")).to_be_visible()

    await tab.button("Conversation settings").click()
    words = tab.page.get_by_role("textbox", name="System prompt")
    await words.fill("Be brief.")
    await tab.button("Save").click()
    await expect(tab.page.get_by_role("dialog").get_by_role("alert")).to_contain_text(
        "That did not work. Conversation"
    )
    await expect(words).to_have_value("Be brief.")
    await tab.page.unroute("**/api/v1/conversations/*")
    await tab.button("Save").click()

    await expect(words).to_have_count(0)
    listed = await call(headrace.url, "GET", "/api/v1/conversations")
    assert ["Be brief."] == [conversation["system"] for conversation in listed.body["data"]]


@pytest.mark.gen_test
async def test_a_delete_that_is_refused_puts_the_conversation_back(
    headrace: Server, visitor: Visitor
) -> None:
    await make(headrace, "One", "Two")
    tab = await visitor.open(headrace.url)
    await refuse(tab.page, "**/api/v1/conversations/*", "DELETE")
    await tab.listed("One").hover()
    await tab.button("Delete “One”").click()
    await expect(tab.listed("One")).to_have_count(0)

    await tab.listed("Two").hover()
    await tab.button("Delete “Two”").click()

    await expect(tab.listed("One")).to_be_visible()
    await tab.button("Undo").click()
    await expect(tab.listed("Two")).to_be_visible()


@pytest.mark.gen_test
async def test_an_answer_without_a_word_is_said_to_be_one(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    upstream.finish()
    tab = await visitor.open(headrace.url)

    await tab.ask("hi")
    await tab.expect_status("complete")

    await expect(tab.answer).to_contain_text("The model returned an empty answer.")
    await expect(tab.button("Regenerate")).to_be_visible()


@pytest.mark.gen_test
async def test_an_escape_that_is_the_input_method_s_neither_stops_nor_throws_away(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    script(upstream, "One.")
    tab = await visitor.open(headrace.url)
    await talk(tab, ("Count", "One."))
    await tab.page.locator(".question").hover()
    await tab.button("Edit the question").click()
    editor = tab.page.get_by_role("textbox", name="Edited question")
    await editor.fill("再数一遍")
    escape = {"key": "Escape", "isComposing": True, "bubbles": True}
    await editor.dispatch_event("keydown", escape)
    await expect(editor).to_have_value("再数一遍")

    upstream.tokens("Tw")
    await editor.press("Enter")
    await tab.expect_text("Tw")
    await tab.field.dispatch_event("keydown", escape)
    upstream.tokens("o.")
    upstream.finish()

    await tab.expect_text("Two.")
    await tab.expect_status("complete")


@pytest.mark.gen_test
async def test_a_title_without_end_fits_the_narrowest_phone(
    headrace: Server, visitor: Visitor
) -> None:
    title = "W" * 200
    await make(headrace, title)
    tab = await visitor.open(headrace.url, viewport=NARROWEST)
    await tab.button("Show conversations").click()
    await tab.listed(title).click()
    await expect(tab.page.locator(".top-title")).to_have_text(title)
    assert 0 == await sideways(tab)

    await tab.button("Show conversations").click()
    await tab.listed(title).hover()
    await tab.button(f"Delete “{title}”").click()
    await tab.page.keyboard.press("Escape")

    await expect(tab.button("Undo")).to_be_in_viewport(ratio=1)
    await tab.screenshot("long-title-deleted-narrowest")
    assert 0 == await sideways(tab)


FORBIDDEN = """
for (const name of ["localStorage", "sessionStorage"])
  Object.defineProperty(window, name, { get() { throw new DOMException("no", "SecurityError") } });
delete Navigator.prototype.clipboard;
"""


@pytest.mark.gen_test
async def test_a_browser_that_lets_a_page_keep_and_copy_nothing_is_no_hindrance(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    script(upstream, "One.")
    context = await visitor.context()
    await context.add_init_script(FORBIDDEN)
    tab: Tab = await visitor.open(headrace.url, context=context)

    await talk(tab, ("Count", "One."))

    await expect(tab.button("Copy the answer")).to_have_count(0)
    await tab.page.get_by_label("Theme").select_option("dark")
    await expect(tab.page.locator("html")).to_have_attribute("data-theme", "dark")
