"""Signing out, and what the next user of the same browser sees."""

import asyncio
from typing import Any

import pytest
from playwright.async_api import Request, expect

from tests.auth_servers import AuthServers
from tests.upstreams import ScriptedUpstream
from tests.web.browsing import Visitor
from tests.web.key_holders import KEPT, revoke, signed_in_tab, titles_of

pytestmark = pytest.mark.slow  # a browser starts for each


@pytest.mark.gen_test
@pytest.mark.parametrize("reloads", [False, True])
async def test_another_user_neither_sees_nor_asks_what_the_first_one_left(
    auth_servers: AuthServers,
    providers: dict[str, Any],
    upstream: ScriptedUpstream,
    visitor: Visitor,
    reloads: bool,
) -> None:
    server = await auth_servers.open(providers=providers)
    alice, bob = await auth_servers.create_key("alice"), await auth_servers.create_key("bob")
    tab = await signed_in_tab(visitor, server, alice)
    upstream.tokens("Secret words")
    upstream.finish()
    await tab.ask("First")
    await tab.expect_status("complete")
    await expect(tab.listed("First")).to_be_visible()  # the last request before the key is gone
    address = tab.page.url
    await revoke(auth_servers, server, alice)
    await tab.ask("Second")
    await expect(tab.sign_in_dialog).to_be_visible()
    asked: list[Request] = []
    tab.page.on("request", lambda each: asked.append(each) if each.method == "POST" else None)

    if reloads:
        await tab.page.reload()
    await tab.sign_in(bob.key)

    await expect(tab.page.get_by_text("bob", exact=True)).to_be_visible()
    await expect(tab.page.get_by_text("There are no conversations yet.")).to_be_visible()
    for words in ("First", "Second", "Secret words", "alice"):
        await expect(tab.page.get_by_text(words)).to_have_count(0)
    # A page that knew whose it was begins anew; one that did not finds nothing at that address.
    if reloads:
        await expect(tab.page.get_by_text("There is no such conversation")).to_be_visible()
    else:
        await expect(tab.page).to_have_url(f"{server.url}/")
    kept = await tab.page.evaluate(KEPT)
    assert "Second" not in kept
    assert alice.key not in kept
    assert [] == asked
    assert 1 == len(upstream.requests)
    assert [] == await titles_of(server, bob)
    await tab.page.goto(address)
    await expect(tab.page.get_by_text("There is no such conversation")).to_be_visible()


@pytest.mark.gen_test
async def test_signing_out_forgets_the_key_and_the_words_in_all_of_the_user_s_tabs(
    auth_servers: AuthServers,
    providers: dict[str, Any],
    upstream: ScriptedUpstream,
    visitor: Visitor,
) -> None:
    server = await auth_servers.open(providers=providers)
    alice, bob = await auth_servers.create_key("alice"), await auth_servers.create_key("bob")
    context = await visitor.context()
    upstream.tokens("Secret")
    upstream.finish()
    first = await signed_in_tab(visitor, server, alice, context=context)
    await first.ask("hi")
    await first.expect_status("complete")
    kept = await visitor.open_page(first.page.url, context=context)
    await kept.sign_in(alice.key, remember=True)
    await kept.expect_text("Secret")
    stranger = await signed_in_tab(visitor, server, bob, context=await visitor.context())
    neighbour = await visitor.open_page(server.url, context=context)
    await expect(neighbour.field).to_be_focused()  # by the key on the device
    await first.listed("hi").hover()
    await first.button("Delete “hi”").click()

    await first.button("Sign out").click()

    for tab in (first, kept, neighbour):
        await expect(tab.sign_in_dialog).to_contain_text("This server requires an API key")
        await expect(tab.page.get_by_text("Secret")).to_have_count(0)
        await expect(tab.page.get_by_text("alice")).to_have_count(0)
        await expect(tab.page).to_have_url(f"{server.url}/")
        assert alice.key not in await tab.page.evaluate(KEPT)
    await expect(stranger.field).to_be_visible()
    # The delete that waited for its undo was carried out on the way.
    async with asyncio.timeout(5):
        while await titles_of(server, alice):
            pass


@pytest.mark.gen_test
async def test_a_tab_of_another_user_stays_when_one_signs_out(
    auth_servers: AuthServers, visitor: Visitor
) -> None:
    server = await auth_servers.open()
    alice, bob = await auth_servers.create_key("alice"), await auth_servers.create_key("bob")
    context = await visitor.context()
    hers = await signed_in_tab(visitor, server, alice, context=context)
    his = await signed_in_tab(visitor, server, bob, context=context)

    await hers.button("Sign out").click()
    await expect(hers.sign_in_dialog).to_be_visible()

    await his.page.reload()
    await expect(his.field).to_be_focused()
    await expect(his.page.get_by_text("bob", exact=True)).to_be_visible()


@pytest.mark.gen_test
async def test_after_signing_out_the_back_button_brings_nothing_back(
    auth_servers: AuthServers,
    providers: dict[str, Any],
    upstream: ScriptedUpstream,
    visitor: Visitor,
) -> None:
    server = await auth_servers.open(providers=providers)
    alice = await auth_servers.create_key("alice")
    upstream.tokens("Secret")
    upstream.finish()
    tab = await signed_in_tab(visitor, server, alice)
    await tab.ask("hi")
    await tab.expect_status("complete")
    await tab.button("New conversation").first.click()
    await tab.button("Sign out").click()
    await expect(tab.sign_in_dialog).to_be_visible()

    await tab.page.go_back()

    await expect(tab.sign_in_dialog).to_be_visible()
    await expect(tab.page.get_by_text("Secret")).to_have_count(0)
