"""What the user has written, chosen and deleted is kept, whatever becomes of the tab."""

import asyncio
from typing import Any

import pytest
from playwright.async_api import expect

from app.server import Server
from tests.auth_servers import AuthServers
from tests.serving import Serving
from tests.upstreams import ScriptedUpstream
from tests.web.branching import script, shows
from tests.web.browsing import Visitor
from tests.web.key_holders import KEPT, signed_in_tab
from tests.web.test_conversations import make, titles_kept

pytestmark = pytest.mark.slow  # a browser starts for each


@pytest.mark.gen_test
async def test_drafts_and_the_chosen_model_are_kept_for_each_conversation(
    serve: Serving, providers: dict[str, Any], upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    providers["openai"]["models"] = ["first", "second"]
    server = await serve.start(providers=providers)
    await make(server, "Old")
    context = await visitor.context()
    tab = await visitor.open(server.url, context=context)
    picker = tab.page.get_by_label("Model", exact=True)
    await tab.field.fill("A new question")
    await picker.select_option("openai/second")
    await tab.listed("Old").click()
    await expect(tab.field).to_have_value("")
    await tab.field.fill("Half a question")

    await tab.page.reload()
    await expect(tab.field).to_have_value("Half a question")
    other = await visitor.open(server.url, context=context)
    await expect(other.field).to_have_value("A new question")
    await expect(other.page.get_by_label("Model", exact=True)).to_have_value("openai/second")
    await other.listed("Old").click()
    await expect(other.field).to_have_value("Half a question")
    await other.field.fill("Half a question, and more")
    await expect(tab.field).to_have_value("Half a question, and more")
    script(upstream, "One.")
    await other.field.press("Enter")
    await shows(other, "Half a question, and more", "One.")

    await expect(tab.field).to_have_value("")
    await expect(tab.text).to_have_text("One.")
    await tab.button("New conversation").first.click()
    await expect(tab.field).to_have_value("A new question")


@pytest.mark.gen_test
async def test_drafts_belong_to_their_user_and_go_when_that_one_signs_out(
    auth_servers: AuthServers, visitor: Visitor
) -> None:
    server = await auth_servers.open()
    alice, bob = await auth_servers.create_key("alice"), await auth_servers.create_key("bob")
    context = await visitor.context()
    hers = await signed_in_tab(visitor, server, alice, context=context)
    await hers.field.fill("My secret")
    his = await signed_in_tab(visitor, server, bob, context=context)
    await expect(his.field).to_have_value("")
    await his.field.fill("His secret")
    again = await signed_in_tab(visitor, server, alice, context=context)
    await expect(again.field).to_have_value("My secret")

    await hers.button("Sign out").click()
    for tab in (hers, again):
        await expect(tab.sign_in_dialog).to_be_visible()
        kept = await tab.page.evaluate(KEPT)
        assert "His secret" in kept
        assert "My secret" not in kept
    await again.sign_in(alice.key)

    await expect(again.field).to_have_value("")
    await expect(his.field).to_have_value("His secret")


@pytest.mark.gen_test
async def test_a_deletion_is_done_whatever_becomes_of_tab_and_network_unless_it_is_undone(
    headrace: Server, visitor: Visitor
) -> None:
    await make(headrace, "Kept", "Left", "Offline")
    context = await visitor.context()
    tab = await visitor.open(headrace.url, context=context)
    other = await visitor.open(headrace.url, context=context)

    # Undoing leads back, and while the offer is looked at its time stands still.
    await tab.listed("Kept").click()
    await expect(tab.field).to_be_focused()
    opened = tab.page.url
    await tab.listed("Kept").hover()
    await tab.button("Delete “Kept”").click()
    await expect(other.listed("Kept")).to_have_count(0)
    await expect(tab.page).to_have_url(f"{headrace.url}/")
    await tab.button("Undo").click()
    await expect(tab.page).to_have_url(opened)
    await expect(tab.field).to_be_focused()
    for each in (tab, other):
        await expect(each.listed("Kept")).to_be_visible()

    # Without a network it is hidden, said to wait, and done once there is one.
    await context.set_offline(True)
    await tab.listed("Offline").hover()
    await tab.button("Delete “Offline”").click()
    await tab.listed("Left").hover()
    await tab.button("Delete “Left”").click()  # the next delete carries out the first
    for each in (tab, other):
        await expect(each.listed("Offline")).to_have_count(0)
        await expect(each.listed("Left")).to_have_count(0)
    assert ["Offline", "Left", "Kept"] == await titles_kept(headrace)
    await context.set_offline(False)
    async with asyncio.timeout(10):
        while await titles_kept(headrace) != ["Left", "Kept"]:
            pass

    # What a tab could not send when it was left is sent by the next one.
    await context.set_offline(True)
    for each in (tab, other):
        await each.page.close(run_before_unload=True)
    assert ["Left", "Kept"] == await titles_kept(headrace)
    await context.set_offline(False)
    last = await visitor.open(headrace.url, context=context)
    async with asyncio.timeout(10):
        while await titles_kept(headrace) != ["Kept"]:
            pass
    await expect(last.listed("Kept")).to_be_visible()
    await expect(last.listed("Left")).to_have_count(0)
