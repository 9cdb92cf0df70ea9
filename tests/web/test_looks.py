"""What the page looks like, to eyes, to screen readers and to axe; pictures of it are kept."""

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

from app.server import Server
from tests.upstreams import ScriptedUpstream
from tests.web.browsing import LAPTOP, NARROWEST, PHONE, Tab, Visitor
from tests.web.contents import IN_CHINESE, RICH

pytestmark = pytest.mark.slow  # a browser starts for each

WIDTHS = {"phone": PHONE, "laptop": LAPTOP}


async def rich(tab: Tab, upstream: ScriptedUpstream) -> None:
    """A conversation with everything in it that Markdown has."""
    upstream.reasoning("Rayleigh scattering. Keep it short.")
    upstream.tokens(RICH)
    upstream.finish()
    await tab.ask("Why is the sky blue?")
    await tab.expect_status("complete")
    await expect(tab.text.locator(".hljs-keyword").first).to_be_visible()
    await expect(tab.text.locator("math").nth(1)).to_be_visible()


async def axe(tab: Tab, web: Path) -> list[dict[str, Any]]:
    """The faults that axe finds, by rule and place; what it calls minor is one, too."""
    if not await tab.page.evaluate("'axe' in window"):
        await tab.page.evaluate((web / "node_modules/axe-core/axe.min.js").read_text("utf-8"))
    found = await tab.page.evaluate("axe.run({ resultTypes: ['violations'] })")
    (Path(__file__).parent / "seen" / "axe.json").write_text(json.dumps(found["violations"]))
    return [
        {"rule": fault["id"], "at": [node["target"] for node in fault["nodes"]]}
        for fault in found["violations"]
    ]


async def sideways(tab: Tab) -> int:
    """By how many pixels the page is wider than its window."""
    return await tab.page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )


@pytest.mark.gen_test
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
async def test_a_rich_answer(
    headrace: Server,
    upstream: ScriptedUpstream,
    visitor: Visitor,
    web: Path,
    width: str,
    scheme: str,
) -> None:
    tab = await visitor.open(headrace.url, viewport=WIDTHS[width], color_scheme=scheme)
    await tab.screenshot(f"empty-{width}-{scheme}")
    empty = await axe(tab, web)
    await rich(tab, upstream)

    await expect(tab.text.locator("td").nth(1)).to_have_css("text-align", "right")
    assert [] == empty
    assert [] == await axe(tab, web)
    assert 0 == await sideways(tab)
    await tab.screenshot(f"end-{width}-{scheme}")
    await tab.page.evaluate("scrollTo(0, 0)")
    await tab.screenshot(f"rich-{width}-{scheme}")


@pytest.mark.gen_test
async def test_the_page_in_chinese(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    tab = await visitor.open(headrace.url, locale="zh-CN")
    await tab.screenshot("empty-laptop-chinese")
    upstream.tokens(IN_CHINESE)
    upstream.finish()
    await tab.ask("为什么天空是蓝色的？")
    await tab.expect_status("complete")
    await tab.screenshot("answer-laptop-chinese")

    await tab.page.get_by_label("语言").select_option("en")
    await expect(tab.button("Regenerate")).to_be_visible()
    await tab.page.reload()

    await expect(tab.button("Regenerate")).to_be_visible()


@pytest.mark.gen_test
@pytest.mark.parametrize("locale", ["en", "zh"])
async def test_branches_and_their_editor(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor, web: Path, locale: str
) -> None:
    upstream.tokens("Rayleigh scattering.")
    upstream.finish()
    tab = await visitor.open(headrace.url, viewport=NARROWEST, locale=locale)
    again, edit, send, previous = {
        "en": ("Regenerate", "Edit the question", "Send", "Previous version"),
        "zh": ("重新生成", "修改问题", "发送", "上一个版本"),
    }[locale]
    await tab.ask("Why is the sky blue?")
    await tab.expect_status("complete")
    await tab.button(again).click()
    await expect(tab.button(previous)).to_have_count(1)
    await tab.expect_status("complete")
    await tab.button(edit).click()
    await tab.screenshot(f"editor-narrowest-{locale}")
    assert [] == await axe(tab, web)
    assert 0 == await sideways(tab)

    await tab.button(send).first.click()
    await expect(tab.button(previous)).to_have_count(1)
    await tab.expect_status("complete")
    await tab.button(again).click()
    await expect(tab.button(previous)).to_have_count(2)
    await tab.expect_status("complete")

    await tab.screenshot(f"branches-narrowest-{locale}")
    assert [] == await axe(tab, web)
    assert 0 == await sideways(tab)


@pytest.mark.gen_test
async def test_the_narrowest_phone_needs_no_sideways_scrolling(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    tab = await visitor.open(headrace.url, viewport=NARROWEST)
    await rich(tab, upstream)

    assert 0 == await sideways(tab)
    await tab.screenshot("rich-narrowest")


@pytest.mark.gen_test
async def test_screen_readers_are_told_sentences_and_the_end(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    tab = await visitor.open(headrace.url)
    told = tab.page.get_by_role("log").locator("p")
    await tab.ask("hi")

    upstream.tokens("The **sky**", " is blue. And", " the sea")
    await expect(told).to_have_text(["The answer begins.", "The sky is blue."])
    upstream.tokens(" too.")
    upstream.finish()

    await expect(told).to_have_text(
        ["The answer begins.", "The sky is blue.", "And the sea too.", "The answer is complete."]
    )


@pytest.mark.gen_test
async def test_everything_can_be_done_by_keyboard(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    tab = await visitor.open(headrace.url)
    upstream.tokens("Hel")
    await tab.page.keyboard.type("one")
    await tab.page.keyboard.press("Shift+Enter")
    await tab.page.keyboard.type("two")
    await tab.page.keyboard.press("Enter")
    await tab.expect_text("Hel")
    assert "one\ntwo" == upstream.requests[0].json["messages"][-1]["content"]

    await tab.page.keyboard.press("Escape")
    await tab.expect_status("stopped")
    await tab.button("Regenerate").focus()
    await tab.page.keyboard.press("Shift+Tab")
    await expect(tab.button("Copy the answer")).to_be_focused()


@pytest.mark.gen_test
async def test_an_answer_and_its_code_can_be_copied(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    context = await visitor.context(permissions=["clipboard-read", "clipboard-write"])
    tab = await visitor.open(headrace.url, context=context)
    await rich(tab, upstream)
    clipboard = "navigator.clipboard.readText()"

    await tab.button("Copy the code").click()
    await expect(tab.page.get_by_text("Copied").first).to_be_attached()
    code = await tab.page.evaluate(clipboard)
    await tab.button("Copy the answer").click()
    await expect(tab.page.get_by_text("Copied")).to_have_count(2)
    answer = await tab.page.evaluate(clipboard)

    assert code.startswith("def scattered(")
    assert RICH == answer
