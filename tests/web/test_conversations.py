"""The list at the side."""

import asyncio
import re

import pytest
from playwright.async_api import expect

from app.server import Server
from tests.readers import call
from tests.web.browsing import PHONE, Visitor

pytestmark = pytest.mark.slow  # a browser starts for each


async def make(server: Server, *titles: str) -> None:
    for title in titles:
        await call(server.url, "POST", "/api/v1/conversations", {"title": title})


async def titles_kept(server: Server) -> list[str]:
    listed = await call(server.url, "GET", "/api/v1/conversations")
    return [conversation["title"] for conversation in listed.body["data"]]


@pytest.mark.gen_test
async def test_a_conversation_is_renamed_in_place_and_other_tabs_see_it(
    headrace: Server, visitor: Visitor
) -> None:
    await make(headrace, "Old")
    context = await visitor.context()
    tab = await visitor.open(headrace.url, context=context)
    other = await visitor.open(headrace.url, context=context)

    await tab.listed("Old").hover()
    await tab.button("Rename “Old”").click()
    await tab.page.get_by_role("textbox", name="Title").fill("New")
    await tab.page.keyboard.press("Enter")

    await expect(tab.listed("New")).to_be_visible()
    await expect(other.listed("New")).to_be_visible()
    assert ["New"] == await titles_kept(headrace)


@pytest.mark.gen_test
async def test_a_deleted_conversation_can_be_had_back(headrace: Server, visitor: Visitor) -> None:
    await make(headrace, "Keep me")
    tab = await visitor.open(headrace.url)

    await tab.listed("Keep me").hover()
    await tab.button("Delete “Keep me”").click()
    await expect(tab.listed("Keep me")).to_have_count(0)
    await tab.button("Undo").click()

    await expect(tab.listed("Keep me")).to_be_visible()
    assert ["Keep me"] == await titles_kept(headrace)


@pytest.mark.gen_test
async def test_leaving_the_page_carries_out_what_was_deleted(
    headrace: Server, visitor: Visitor
) -> None:
    await make(headrace, "Keep me", "Delete me")
    tab = await visitor.open(headrace.url)
    await tab.listed("Delete me").hover()
    await tab.button("Delete “Delete me”").click()
    await expect(tab.button("Undo")).to_be_visible()

    await tab.page.goto("about:blank")

    async with asyncio.timeout(5):
        while await titles_kept(headrace) != ["Keep me"]:
            pass


@pytest.mark.gen_test
async def test_a_search_finds_titles_beyond_the_first_page(
    headrace: Server, visitor: Visitor
) -> None:
    await make(headrace, "Needle", *(f"Straw {number}" for number in range(200)))
    tab = await visitor.open(headrace.url)
    await expect(tab.listed("Straw 199")).to_be_visible()
    await expect(tab.listed("Needle")).to_have_count(0)

    await tab.page.get_by_role("searchbox").fill("needle")

    await expect(tab.listed("Needle")).to_be_visible()
    await expect(tab.page.get_by_role("navigation").get_by_role("link")).to_have_count(1)

    # What another tab does has the list read anew, and what was found stays.
    other = await visitor.open(headrace.url, context=tab.page.context)
    await other.listed("Straw 199").hover()
    await other.button("Rename “Straw 199”").click()
    await other.page.keyboard.type("Needlework")
    await other.page.keyboard.press("Enter")
    await expect(tab.listed("Needlework")).to_be_visible()
    await expect(tab.page.get_by_role("navigation").get_by_role("link")).to_have_count(2)


@pytest.mark.gen_test
async def test_a_conversation_that_is_gone_is_said_to_be(
    headrace: Server, visitor: Visitor
) -> None:
    tab = await visitor.open(f"{headrace.url}/c/0123456789abcdef")

    await expect(tab.page.get_by_text("There is no such conversation")).to_be_visible()


@pytest.mark.gen_test
async def test_back_and_forward_go_through_conversations(
    headrace: Server, visitor: Visitor
) -> None:
    await make(headrace, "One", "Two")
    tab = await visitor.open(headrace.url)
    await tab.listed("One").click()
    await tab.listed("Two").click()

    await tab.page.go_back()
    await expect(tab.listed("One")).to_have_attribute("aria-current", "page")
    await tab.page.go_forward()
    await expect(tab.listed("Two")).to_have_attribute("aria-current", "page")


@pytest.mark.gen_test
async def test_on_a_phone_the_list_comes_when_it_is_called_and_goes_when_it_was_used(
    headrace: Server, visitor: Visitor
) -> None:
    await make(headrace, "One")
    tab = await visitor.open(headrace.url, viewport=PHONE)
    await expect(tab.listed("One")).to_be_hidden()

    await tab.button("Show conversations").click()
    await expect(tab.listed("One")).to_be_visible()
    await tab.screenshot("list-phone")
    await tab.listed("One").click()

    await expect(tab.listed("One")).to_be_hidden()
    await expect(tab.page).to_have_url(re.compile("/c/"))
