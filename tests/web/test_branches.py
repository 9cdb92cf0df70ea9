"""Regenerating answers and editing questions: what is shown, and what goes upstream."""

import pytest
from playwright.async_api import Route, expect

from app.server import Server
from tests.upstreams import ScriptedUpstream
from tests.web.branching import edit, script, sent, shows, switches, talk
from tests.web.browsing import Visitor

pytestmark = pytest.mark.slow  # a browser starts for each


@pytest.mark.gen_test
async def test_a_regenerated_answer_stands_beside_the_one_there_was(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    script(upstream, "Fine.", "One.", "Two.")
    tab = await visitor.open(headrace.url)
    await talk(tab, ("How are you?", "Fine."), ("Count", "One."))
    await expect(switches(tab)).to_have_count(0)

    await tab.button("Regenerate").last.click()
    await shows(tab, "How are you?", "Fine.", "Count", "Two.")

    assert ["How are you?", "Fine.", "Count"] == sent(upstream)
    await expect(switches(tab)).to_have_count(1)
    await expect(switches(tab)).to_contain_text("2 / 2")
    await expect(switches(tab)).to_contain_text("Version 2 of 2")
    await tab.button("Previous version").click()
    await shows(tab, "How are you?", "Fine.", "Count", "One.")
    await expect(switches(tab)).to_contain_text("1 / 2")
    await tab.button("Next version").click()
    await shows(tab, "How are you?", "Fine.", "Count", "Two.")


@pytest.mark.gen_test
async def test_an_answer_in_the_middle_is_regenerated_without_what_came_after(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    script(upstream, "One.", "Two.", "Eins.")
    tab = await visitor.open(headrace.url)
    await talk(tab, ("Count", "One."), ("Go on", "Two."))

    await tab.button("Regenerate").first.click()
    await shows(tab, "Count", "Eins.")

    assert ["Count"] == sent(upstream)
    await tab.button("Previous version").click()
    await shows(tab, "Count", "One.", "Go on", "Two.")


@pytest.mark.gen_test
async def test_an_edited_question_stands_beside_the_one_there_was(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    script(upstream, "Fine.", "One.", "Eins.", "Hello.")
    tab = await visitor.open(headrace.url)
    await talk(tab, ("How are you?", "Fine."), ("Count", "One."))

    await edit(tab, "Count", "Count in German")
    await shows(tab, "How are you?", "Fine.", "Count in German", "Eins.")
    assert ["How are you?", "Fine.", "Count in German"] == sent(upstream)

    await edit(tab, "How are you?", "Say hello")
    await shows(tab, "Say hello", "Hello.")
    assert ["Say hello"] == sent(upstream)

    # Back to the first question, where the newest of its branches is shown.
    await tab.button("Previous version").click()
    await shows(tab, "How are you?", "Fine.", "Count in German", "Eins.")
    await expect(switches(tab)).to_have_count(2)
    await tab.button("Previous version").last.click()
    await shows(tab, "How are you?", "Fine.", "Count", "One.")


@pytest.mark.gen_test
async def test_editing_takes_no_mouse_and_escape_leaves_the_question_as_it_is(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    script(upstream, "One.", "Two.")
    tab = await visitor.open(headrace.url)
    await talk(tab, ("Count", "One."))
    button = tab.button("Edit the question")
    await button.focus()
    await expect(button).to_have_css("opacity", "1")

    await tab.page.keyboard.press("Enter")
    await expect(tab.page.get_by_role("textbox", name="Edited question")).to_be_focused()
    await tab.page.keyboard.type(" to seven")
    await tab.page.keyboard.press("Escape")
    await expect(button).to_be_focused()
    await shows(tab, "Count", "One.")

    await tab.page.keyboard.press("Enter")
    await expect(tab.page.get_by_role("textbox", name="Edited question")).to_have_value("Count")
    await tab.page.keyboard.type(" to two")
    await tab.page.keyboard.press("Enter")
    await shows(tab, "Count to two", "Two.")


@pytest.mark.gen_test
async def test_an_edited_question_that_is_not_taken_stays_in_its_editor(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    script(upstream, "One.")
    laptop = await visitor.open(headrace.url)
    await talk(laptop, ("Count", "One."))
    phone = await visitor.open(laptop.page.url)
    await shows(phone, "Count", "One.")
    upstream.tokens("Ei")
    await laptop.button("Regenerate").click()
    await laptop.expect_text("Ei")
    await phone.field.fill("What I write meanwhile")

    await edit(phone, "Count", "Count to two")

    editor = phone.page.get_by_role("textbox", name="Edited question")
    await expect(phone.page.get_by_text("An answer is still being generated.")).to_be_visible()
    await expect(editor).to_have_value("Count to two")
    await expect(phone.field).to_have_value("What I write meanwhile")
    await expect(switches(phone)).to_contain_text("1 / 2")
    send = phone.page.locator(".editor").get_by_role("button", name="Send")
    await expect(send).to_be_disabled()
    upstream.tokens("ns.")
    upstream.finish()
    upstream.next_request()
    script(upstream, "Two.")
    await expect(send).to_be_enabled()
    await send.click()
    await shows(phone, "Count to two", "Two.")
    assert ["Count to two"] == sent(upstream)


@pytest.mark.gen_test
async def test_words_in_an_editor_outlive_a_look_at_another_branch(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    script(upstream, "One.", "Two.", "Eins.")
    tab = await visitor.open(headrace.url)
    await talk(tab, ("Count", "One."), ("Go on", "Two."))
    await tab.button("Regenerate").first.click()
    await expect(switches(tab)).to_have_count(1)
    await tab.expect_status("complete")
    await tab.button("Previous version").click()
    await tab.page.locator(".question", has_text="Go on").hover()
    await tab.button("Edit the question").last.click()
    editor = tab.page.get_by_role("textbox", name="Edited question")
    await editor.fill("Go on, slowly")

    await tab.button("Next version").click()
    await expect(editor).to_have_count(0)
    await tab.button("Previous version").click()

    await expect(editor).to_have_value("Go on, slowly")


@pytest.mark.gen_test
async def test_a_page_loaded_again_before_the_server_took_it_regenerates_once(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    script(upstream, "One.", "Two.")
    tab = await visitor.open(headrace.url)
    await talk(tab, ("Count", "One."))
    keys = []

    async def cut(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        await route.abort("connectionfailed")

    await tab.page.route("**/regenerate", cut)
    await tab.button("Regenerate").click()
    await expect(tab.answer).to_contain_text("There is no connection.")
    await tab.page.unroute("**/regenerate", cut)
    async with tab.page.expect_request("**/regenerate") as asked:
        await tab.page.reload()
    await shows(tab, "Count", "Two.")

    assert {(await asked.value).headers["idempotency-key"]} == set(keys)
    assert 2 == len(upstream.requests)
    await expect(switches(tab)).to_contain_text("2 / 2")


@pytest.mark.gen_test
async def test_one_more_answer_that_was_not_taken_yet_can_be_taken_back(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    script(upstream, "One.")
    context = await visitor.context()
    tab = await visitor.open(headrace.url, context=context)
    await talk(tab, ("Count", "One."))
    await context.set_offline(True)
    await tab.button("Regenerate").click()
    await expect(tab.answer).to_contain_text("There is no connection.")

    await tab.button("Stop").click()

    await shows(tab, "Count", "One.")
    await expect(tab.field).to_have_value("")
    assert 1 == len(upstream.requests)
