"""Going between branches: what is shown, also while answers are written and other tabs ask."""

import asyncio
import re

import pytest
from playwright.async_api import expect

from app.server import Server
from tests.upstreams import ScriptedUpstream
from tests.web.branching import (
    LONG,
    ask_by_api,
    edit,
    long_conversation,
    script,
    sent,
    shows,
    switches,
    talk,
)
from tests.web.browsing import PHONE, Visitor

pytestmark = pytest.mark.slow  # a browser starts for each


@pytest.mark.gen_test
async def test_an_older_branch_is_there_again_after_a_reload_and_is_gone_on_with(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    script(upstream, "One.", "Eins.", "Two.", "Three.", "Four.")
    tab = await visitor.open(headrace.url)
    await talk(tab, ("Count", "One."))
    await tab.button("Regenerate").click()
    await shows(tab, "Count", "Eins.")
    await tab.button("Previous version").click()
    await shows(tab, "Count", "One.")

    await tab.page.reload()
    await shows(tab, "Count", "One.")
    await talk(tab, ("Go on", "Two."))
    assert ["Count", "One.", "Go on"] == sent(upstream)
    await expect(tab.page).to_have_url(re.compile(r"^[^?]+$"))  # the newest needs no name

    await tab.button("Next version").click()
    await shows(tab, "Count", "Eins.")
    await talk(tab, ("Weiter", "Three."))
    assert ["Count", "Eins.", "Weiter"] == sent(upstream)

    # The other branch, down to where it has got; and there once more after another reload.
    await tab.button("Previous version").click()
    await shows(tab, "Count", "One.", "Go on", "Two.")
    await tab.page.reload()
    await shows(tab, "Count", "One.", "Go on", "Two.")
    await talk(tab, ("More", "Four."))
    assert ["Count", "One.", "Go on", "Two.", "More"] == sent(upstream)


@pytest.mark.gen_test
async def test_a_switch_keeps_its_place_and_the_focus_of_who_uses_it(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    def paragraphs(count: int) -> str:
        return "\n\n".join(f"Paragraph {number}." for number in range(count))

    script(upstream, paragraphs(20), paragraphs(40), paragraphs(40))
    tab = await visitor.open(headrace.url, viewport=PHONE)
    await tab.ask("Write")
    await tab.expect_status("complete")
    await tab.button("Regenerate").click()
    await expect(tab.text.get_by_text("Paragraph 39.")).to_be_visible()
    await tab.expect_status("complete")
    await tab.ask("Go on")
    await expect(tab.answers).to_have_count(2)
    await tab.expect_status("complete")

    async def top_of_switch() -> float:
        box = await switches(tab).bounding_box()
        assert box
        return box["y"]

    await tab.button("Previous version").focus()
    for _ in range(2):  # the second time there is nowhere to go
        await tab.page.keyboard.press("Enter")
        await expect(switches(tab)).to_contain_text("1 / 2")
    await expect(tab.button("Previous version")).to_be_focused()
    await expect(tab.button("Previous version")).to_have_attribute("aria-disabled", "true")

    # The answer above it is twice as long as this one, and more follows below.
    seen_at = await top_of_switch()
    await tab.page.keyboard.press("Tab")
    await tab.page.keyboard.press("Enter")
    await expect(switches(tab)).to_contain_text("2 / 2")
    await expect(tab.answers).to_have_count(2)
    await expect(tab.button("Scroll to the end")).to_be_visible()
    assert seen_at == pytest.approx(await top_of_switch(), abs=2)
    await expect(tab.button("Next version")).to_be_focused()


@pytest.mark.gen_test
async def test_what_another_tab_asks_is_shown_where_it_grows_on_the_branch_shown(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    script(upstream, "One.", "Eins.", "Un.", "Zwei.", "Two.")
    context = await visitor.context()
    first = await visitor.open(headrace.url, context=context)
    await talk(first, ("Count", "One."))
    second = await visitor.open(first.page.url, context=context)
    await shows(second, "Count", "One.")

    # Beside what both show, the new one is shown by both.
    await first.button("Regenerate").click()
    await asyncio.gather(shows(first, "Count", "Eins."), shows(second, "Count", "Eins."))
    await second.button("Regenerate").click()
    await asyncio.gather(shows(first, "Count", "Un."), shows(second, "Count", "Un."))

    # On another branch it is left to those who look at that one.
    await second.button("Previous version").click()
    await second.button("Previous version").click()
    await shows(second, "Count", "One.")
    await first.button("Previous version").click()
    await talk(first, ("Weiter", "Zwei."))
    assert ["Count", "Eins.", "Weiter"] == sent(upstream)
    await expect(switches(second)).to_contain_text("1 / 3")
    await shows(second, "Count", "One.")

    # Another tab goes on with it too, and from there.
    await talk(second, ("Go on", "Two."))
    assert ["Count", "One.", "Go on"] == sent(upstream)
    await shows(first, "Count", "Eins.", "Weiter", "Zwei.")


@pytest.mark.gen_test
async def test_while_an_answer_is_written_other_branches_can_be_read(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    script(upstream, "One.")
    tab = await visitor.open(headrace.url)
    await talk(tab, ("Count", "One."))
    upstream.tokens("Ei")
    await tab.button("Regenerate").click()
    await tab.expect_text("Ei")

    await tab.button("Previous version").click()
    await shows(tab, "Count", "One.")
    await expect(tab.button("Regenerate")).to_be_disabled()
    await expect(tab.button("Edit the question")).to_be_disabled()
    await expect(tab.button("Stop")).to_be_visible()
    upstream.tokens("ns.")
    upstream.finish()
    await expect(tab.button("Regenerate")).to_be_enabled()
    await tab.button("Next version").click()

    await shows(tab, "Count", "Eins.")


@pytest.mark.gen_test
async def test_a_busy_conversation_shows_the_branch_that_is_being_written(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    """Two browsers that cannot tell each other: a phone and a laptop, on different branches."""
    script(upstream, "One.", "Eins.")
    laptop = await visitor.open(headrace.url)
    await talk(laptop, ("Count", "One."))
    await laptop.button("Regenerate").click()
    await shows(laptop, "Count", "Eins.")
    phone = await visitor.open(laptop.page.url)
    await phone.button("Previous version").click()
    await shows(phone, "Count", "One.")
    upstream.tokens("Zw")
    await laptop.ask("Weiter")
    await laptop.expect_text("Zw")

    await phone.button("Regenerate").click()

    await expect(phone.page.get_by_text("Weiter")).to_be_visible()
    await phone.expect_text("Zw")
    await expect(phone.field).to_have_value("")
    upstream.finish()
    await asyncio.gather(laptop.expect_status("complete"), phone.expect_status("complete"))
    assert 3 == len(upstream.requests)


@pytest.mark.gen_test
@pytest.mark.parametrize("where", ["on an older branch", "scrolled up", "in an editor"])
async def test_who_reads_is_not_thrown_elsewhere_by_another_tab(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor, where: str
) -> None:
    long = "\n\n".join(f"Paragraph {number}." for number in range(60))
    script(upstream, "Short.", long, "Another.")
    context = await visitor.context()
    first = await visitor.open(headrace.url, context=context)
    await talk(first, ("Write", "Short."))
    await first.button("Regenerate").click()
    await expect(first.text).to_contain_text("Paragraph 59.")
    await first.expect_status("complete")
    reader = await visitor.open(first.page.url, context=context)
    await expect(reader.page.get_by_text("Paragraph 59.")).to_be_in_viewport()
    if where == "on an older branch":
        await reader.button("Previous version").click()
    elif where == "scrolled up":
        await reader.page.mouse.move(600, 300)
        await reader.page.mouse.wheel(0, -900)
        await expect(reader.button("Scroll to the end")).to_be_visible()
    else:
        await reader.page.locator(".question").hover()
        await reader.button("Edit the question").click()
        await reader.page.keyboard.type(" something else")
    shown = "Short." if where == "on an older branch" else "Paragraph 30."
    await expect(reader.text).to_contain_text(shown)

    await first.button("Regenerate").click()
    await first.expect_text("Another.")
    await first.expect_status("complete")

    await expect(switches(reader)).to_contain_text("/ 3")
    await expect(reader.text).to_contain_text(shown)
    if where == "in an editor":
        editor = reader.page.get_by_role("textbox", name="Edited question")
        await expect(editor).to_have_value("Write something else")


@pytest.mark.gen_test
async def test_parents_and_siblings_on_older_pages_are_found(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    last = await long_conversation(headrace, upstream)
    script(upstream, "Another answer.", "One more.", "And more.")
    conversation = last["conversation_id"]
    await ask_by_api(
        headrace, content="Another question?", conversation_id=conversation, parent_id=None
    )

    # The branch that is shown has two messages; what it stands beside is the oldest there is.
    tab = await visitor.open(f"{headrace.url}/c/{conversation}")
    await shows(tab, "Another question?", "Another answer.")
    await expect(switches(tab)).to_contain_text("2 / 2")
    await tab.button("Previous version").click()
    await expect(tab.answers).to_have_count(LONG)
    await tab.expect_text(f"Answer {LONG - 1}.")
    await expect(tab.page).to_have_url(re.compile(rf"\?at={last['id']}$"))

    # Loaded again, as much of it is read as is looked at; the rest when it is asked for.
    await tab.page.reload()
    await tab.expect_text(f"Answer {LONG - 1}.")
    assert await tab.answers.count() < LONG
    while await tab.button("Show earlier messages").count():
        before = await tab.answers.count()
        await tab.button("Show earlier messages").click()
        await expect(tab.answers.nth(before)).to_be_attached()
    await expect(tab.answers).to_have_count(LONG)
    await expect(switches(tab)).to_contain_text("1 / 2")

    await talk(tab, ("Go on", "One more."))
    assert "Answer 59." == sent(upstream)[-2]
    await edit(tab, "Question 1?", "Question one?")
    await shows(tab, "Question 0?", "Answer 0.", "Question one?", "And more.")
    assert ["Question 0?", "Answer 0.", "Question one?"] == sent(upstream)


@pytest.mark.gen_test
async def test_a_branch_that_there_is_not_shows_the_newest(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    script(upstream, "One.")
    answer = await ask_by_api(headrace, content="Count")

    tab = await visitor.open(f"{headrace.url}/c/{answer['conversation_id']}?at=none")

    await shows(tab, "Count", "One.")
    await expect(tab.page).to_have_url(re.compile(r"^[^?]+$"))
