"""A long answer: all of it is there, and what is off the screen stays as high as it was."""

import asyncio
import re

import pytest
from playwright.async_api import expect

from app.server import Server
from tests.upstreams import ScriptedUpstream
from tests.web.browsing import Visitor
from tests.web.contents import RICH
from tests.web.test_keeping import TRANSLATION

pytestmark = pytest.mark.slow

TOKENS = 20_000
CHARS_PER_TOKEN = 4
# Ten tokens a write, a write a turn of the loop: as fast as the page's machine takes them.
PER_WRITE = 10

# The heights of what the browser leaves out while it is off the screen, and what they are drawn.
HEIGHTS = """() => {
  const groups = [...document.querySelectorAll(".blocks.drawn")];
  const heights = () => groups.map((group) => group.getBoundingClientRect().height);
  const kept = heights();
  for (const group of groups) group.style.contentVisibility = "visible";
  const drawn = heights();
  for (const group of groups) group.style.contentVisibility = "";
  return [kept, drawn];
}"""
ALL_HEIGHTS = """() => new Promise((resolve) => {
  const groups = [...document.querySelectorAll(".blocks")];
  const heights = () => groups.map((group) => group.getBoundingClientRect().height);
  // By the second frame the browser has left out what it leaves out.
  requestAnimationFrame(() => requestAnimationFrame(() => {
    const kept = heights();
    for (const group of groups) group.style.contentVisibility = "visible";
    resolve({ kept, drawn: heights() });
  }));
})"""
# The distances below lines: from one group to the next, and within one.
BELOW_LINES = """(text) => [...text.querySelectorAll("hr")].map((line) => {
  const next = line.nextElementSibling ?? line.parentElement.nextElementSibling.firstElementChild;
  return Math.round(next.getBoundingClientRect().top - line.getBoundingClientRect().bottom);
})"""
# The distances between one paragraph and the next.
GAPS = """() => {
  const boxes = [...document.querySelectorAll(".markdown p")].map((p) => p.getBoundingClientRect());
  return boxes.slice(1).map((box, index) => Math.round(box.top - boxes[index].bottom));
}"""


@pytest.mark.gen_test
async def test_what_is_off_the_screen_keeps_its_place_and_is_found_copied_and_printed(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    tab = await visitor.open(headrace.url, permissions=["clipboard-read", "clipboard-write"])
    await tab.ask("Tell me everything")
    for number in range(50):
        upstream.tokens(f"Paragraph {number}. {'More of it. ' * (number * 7 % 40)}\n\n")
        await expect(tab.text.get_by_text(f"Paragraph {number}.")).to_be_in_viewport()
    upstream.finish()
    await tab.expect_status("complete")

    kept, drawn = await tab.page.evaluate(HEIGHTS)
    assert 3 == len(kept)
    assert kept == drawn
    assert 1 == len(set(await tab.page.evaluate(GAPS)))
    third = tab.text.get_by_text("Paragraph 3.")
    await expect(third).not_to_be_in_viewport()
    assert await tab.page.evaluate("find('Paragraph 3.', false, true)")
    await expect(third).to_be_in_viewport()
    await tab.page.keyboard.press("Control+a")
    await tab.page.keyboard.press("Control+c")
    copied = await tab.page.evaluate("navigator.clipboard.readText()")
    assert [f"{number}" for number in range(50)] == re.findall(r"Paragraph (\d+)\.", copied)[:50]
    await tab.page.emulate_media(media="print")
    await expect(tab.page.locator(".blocks").first).to_have_css("content-visibility", "visible")


@pytest.mark.gen_test
async def test_what_was_not_laid_out_yet_is_not_left_out_and_what_is_stands_as_it_stood(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    context = await visitor.context()
    await context.add_init_script(TRANSLATION)
    tab = await visitor.open(headrace.url, context=context)
    await tab.ask("Tell me everything")
    reasoning, text = (
        tab.answer.locator(".collapsible .markdown"),
        tab.answer.locator("> .markdown"),
    )
    for number in range(0, 128, 16):
        upstream.reasoning(*(f"Thought {each}.\n\n" for each in range(number, number + 16)))
        await expect(reasoning.get_by_text(f"Thought {number + 15}.")).to_have_count(1)
    upstream.tokens(*["Words.\n\n"] * 15, "---\n\n", "After.\n\n", "---\n\n")
    for number in range(0, 128, 16):
        upstream.tokens(*(f"Paragraph {each}.\n\n" for each in range(number, number + 16)))
        await expect(text.get_by_text(f"Paragraph {number + 15}.")).to_be_in_viewport()

    border, within = await text.evaluate(BELOW_LINES)
    assert within == border

    upstream.finish()
    await tab.expect_status("complete")
    await expect(text.locator("font").first).to_be_attached()  # it was made anew, to be translated
    await tab.answer.locator("summary").click()
    heights = await tab.page.evaluate(f"({ALL_HEIGHTS})()")
    assert heights["kept"] == heights["drawn"]


@pytest.mark.gen_test(timeout=120)
async def test_twenty_thousand_tokens_arrive_whole(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    """How responsive the page stays meanwhile is measured by bench/page.py."""
    copies = TOKENS * CHARS_PER_TOKEN // len(RICH) + 1
    text = "\n".join(f"{RICH}\nThat was part {number}.\n" for number in range(copies))
    size = PER_WRITE * CHARS_PER_TOKEN
    tab = await visitor.open(headrace.url)
    await tab.ask("Tell me everything")
    await upstream.request()

    for at in range(0, len(text), size):
        upstream.tokens(text[at : at + size])
        await asyncio.sleep(0)
    upstream.finish()

    await expect(tab.answer).to_have_attribute("data-status", "complete", timeout=60_000)
    await tab.expect_formatted()
    parts = tab.text.get_by_text("That was part")
    assert [f"That was part {number}." for number in range(copies)] == (
        await parts.all_text_contents()
    )
    await expect(tab.answer.locator("figure.code")).to_have_count(copies)
    await expect(tab.answer.locator("math")).to_have_count(2 * copies)
    await expect(parts.last).to_be_in_viewport()
