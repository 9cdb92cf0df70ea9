"""What a person sets for a conversation, takes out of it, and does with keys."""

import json
from pathlib import Path

import pytest
from playwright.async_api import expect

from app.server import Server
from tests.readers import call
from tests.upstreams import ScriptedUpstream
from tests.web.browsing import NARROWEST, Visitor
from tests.web.test_looks import axe, sideways

pytestmark = pytest.mark.slow  # a browser starts for each


@pytest.mark.gen_test
async def test_parameters_go_with_each_question_and_the_conversation_is_saved_as_a_file(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor, web: Path, tmp_path: Path
) -> None:
    upstream.tokens("One")
    upstream.finish()
    tab = await visitor.open(headrace.url, viewport=NARROWEST)
    await tab.button("Conversation settings").click()
    await tab.page.get_by_label("Temperature").press_sequentially("0.05")
    await tab.page.get_by_label("Maximum tokens").fill("0")
    await tab.button("Save").click()
    await expect(tab.page.get_by_label("Maximum tokens")).to_be_focused()  # 0 is refused there
    await tab.page.get_by_label("Maximum tokens").fill("64")
    await tab.page.get_by_label("Reasoning effort").select_option("low")
    assert [] == await axe(tab, web)
    assert 0 == await sideways(tab)
    await tab.screenshot("settings-narrowest")
    await tab.button("Save").click()
    await tab.ask("first")
    await tab.expect_status("complete")

    asked = upstream.requests[0].json
    assert (0.05, 64, "low") == (
        asked["temperature"],
        asked["max_tokens"],
        asked["reasoning_effort"],
    )
    assert "top_p" not in asked

    await tab.page.reload()
    await expect(tab.field).to_be_focused()
    await tab.button("Conversation settings").click()
    await expect(tab.page.get_by_label("Temperature")).to_have_value("0.05")
    await tab.page.get_by_label("Temperature").fill("")
    await tab.page.get_by_label("Top P").fill("0.5")
    await tab.button("Save").click()
    await expect(tab.page.get_by_role("dialog")).to_have_count(0)
    await tab.button("Regenerate").click()
    await upstream.request(1)

    asked = upstream.requests[1].json
    assert ("temperature" not in asked, 0.5, 64) == (True, asked["top_p"], asked["max_tokens"])

    upstream.finish()
    await tab.expect_status("complete")
    await tab.button("Conversation settings").click()
    saved = {}
    for form in ("Markdown", "JSON"):
        async with tab.page.expect_download() as started:
            await tab.button(form).click()
        download = await started.value
        file = tmp_path / download.suggested_filename
        await download.save_as(file)
        saved[file.name] = file.read_text("utf-8")
    assert "## You\n\nfirst\n\n## Answer (openai/" in saved["first.md"]
    assert 3 == len(json.loads(saved["first.json"])["messages"])
    [kept] = (await call(headrace.url, "GET", "/api/v1/conversations")).body["data"]
    assert {"parameters"} == kept["metadata"].keys()


@pytest.mark.gen_test
async def test_keys_do_what_the_sheet_of_shortcuts_says(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor, web: Path
) -> None:
    upstream.tokens("Hel")
    context = await visitor.context(permissions=["clipboard-read", "clipboard-write"])
    tab = await visitor.open(headrace.url, context=context)
    keys = tab.page.keyboard
    await tab.ask("hi")
    await tab.expect_text("Hel")

    await keys.press("Control+/")
    sheet = tab.page.get_by_role("dialog", name="Keyboard shortcuts")
    await expect(sheet.locator("div", has_text="Copy the last answer").first).to_contain_text("C")
    assert [] == await axe(tab, web)
    await tab.screenshot("shortcuts")
    await keys.press("Control+k")  # nothing behind the sheet
    await keys.press("Escape")
    await expect(sheet).to_have_count(0)
    await tab.expect_status("live")

    await tab.page.get_by_label("Search titles").focus()
    await keys.press("Escape")  # clears the search
    await tab.button("Conversation settings").focus()
    await tab.expect_status("live")
    await keys.press("Escape")
    await tab.expect_status("stopped")
    await keys.press("Control+Shift+C")
    await expect(tab.page.get_by_text("Copied").first).to_be_attached()
    assert "Hel" == await tab.page.evaluate("navigator.clipboard.readText()")

    await keys.press("Control+k")
    await expect(tab.page.get_by_label("Search titles")).to_be_focused()
    await keys.press("Shift+Escape")
    await expect(tab.field).to_be_focused()
    await tab.button("Keyboard shortcuts").click()
    await sheet.get_by_role("button", name="Close").click()
    await keys.press("Control+Shift+O")
    await expect(tab.answers).to_have_count(0)
    await expect(tab.page).to_have_url(f"{headrace.url}/")
    await expect(tab.field).to_be_focused()
