"""What the user has written, chosen and deleted is kept, whatever becomes of the tab."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

from app.server import Server
from tests.auth_servers import AuthServers
from tests.serving import Serving
from tests.tcp_proxy import TcpProxy
from tests.upstreams import ScriptedUpstream
from tests.web.branching import script, shows, talk
from tests.web.browsing import Visitor
from tests.web.key_holders import KEPT, signed_in_tab
from tests.web.test_conversations import make, titles_kept
from tests.web.test_looks import axe

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
    await tab.button("Conversation settings").click()
    await tab.page.get_by_role("textbox", name="System prompt").fill("Not saved")
    await tab.page.keyboard.press("Escape")
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
    await expect(other.page.locator(".empty"), "it is loaded").to_be_visible()
    script(upstream, "One.")
    await other.field.press("Enter")
    await shows(other, "Half a question, and more", "One.")

    await expect(tab.field).to_have_value("")
    await expect(tab.text).to_have_text("One.")
    await tab.button("New conversation").first.click()
    await expect(tab.field).to_have_value("A new question")
    await tab.button("Conversation settings").click()
    words = tab.page.get_by_role("textbox", name="System prompt")
    await expect(words).to_have_value("Not saved")
    await tab.button("Cancel").click()
    await tab.button("Conversation settings").click()
    await expect(words).to_have_value("")


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


@pytest.mark.gen_test
async def test_a_question_that_its_closed_tab_could_not_send_is_back_in_the_composer(
    upstream: ScriptedUpstream, tcp_proxy: TcpProxy, visitor: Visitor
) -> None:
    context = await visitor.context()
    tab = await visitor.open(tcp_proxy.url, context=context)
    tcp_proxy.refuse()
    await tab.ask("Wait for me")
    await expect(tab.answer).to_contain_text("There is no connection")
    async with tab.page.expect_event("close"):
        await tab.page.close(run_before_unload=True)
    tcp_proxy.accept()

    last = await visitor.open(tcp_proxy.url, context=context)

    await expect(last.field).to_have_value("Wait for me")
    other = await visitor.open(tcp_proxy.url, context=await visitor.context())
    await expect(other.field).to_have_value("")
    assert [] == upstream.requests


@pytest.mark.gen_test
async def test_a_deletion_that_no_tab_could_send_is_sent_by_the_next_page(
    headrace: Server, tcp_proxy: TcpProxy, visitor: Visitor
) -> None:
    await make(headrace, "Kept", "Left")
    context = await visitor.context()
    tab = await visitor.open(tcp_proxy.url, context=context)
    await tab.listed("Left").hover()
    await tab.button("Delete “Left”").click()
    await expect(tab.listed("Left")).to_have_count(0)

    tcp_proxy.refuse()
    async with tab.page.expect_event("close"):
        await tab.page.close(run_before_unload=True)
    assert ["Left", "Kept"] == await titles_kept(headrace)
    tcp_proxy.accept()
    last = await visitor.open(tcp_proxy.url, context=context)
    async with asyncio.timeout(10):
        while await titles_kept(headrace) != ["Kept"]:
            pass

    await expect(last.listed("Kept")).to_be_visible()
    await expect(last.listed("Left")).to_have_count(0)


@pytest.mark.gen_test
async def test_a_question_asked_while_the_server_is_away_is_answered_where_it_was_asked(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    await make(headrace, "Another")
    script(upstream, "One.", "Two.")
    context = await visitor.context()
    tab = await visitor.open(headrace.url, context=context)
    await talk(tab, ("Count", "One."))
    await expect(tab.page).to_have_title("Count · Headrace")

    # The server is away: another conversation cannot be loaded, and this one neither.
    await context.route("**/api/**", lambda route: route.abort("connectionrefused"))
    await tab.ask("Go on")
    await expect(tab.answer).to_contain_text("connection")
    await tab.listed("Another").click()
    await expect(tab.page.get_by_text("could not be loaded")).to_be_visible()
    await tab.listed("Count").click()
    await expect(tab.page.locator(".question > p")).to_have_text(["Go on"])
    await context.unroute_all()
    await shows(tab, "Count", "One.", "Go on", "Two.")

    # An answer that ends while its user looks elsewhere is marked until they look.
    upstream.tokens("Thr")
    await tab.ask("And now?")
    await tab.expect_text("Thr")
    await tab.listed("Another").click()
    await expect(tab.answers).to_have_count(0)
    upstream.tokens("ee.")
    upstream.finish()
    await expect(tab.page).to_have_title("(1) Another · Headrace")
    await expect(tab.listed("Count")).to_contain_text("(new answer)")
    await tab.listed("Count").click()
    await tab.expect_text("Three.")
    await expect(tab.page).to_have_title("Count · Headrace")
    await expect(tab.listed("Count")).not_to_contain_text("(new answer)")


# Replaces texts as Chromium's translation does, in another language than the page's or in the same.
TRANSLATION = """
const kept = "font, [translate=no], title, script, style, textarea, option";
function translate(node) {
  const texts = [];
  const walker = document.createTreeWalker(node, NodeFilter.SHOW_TEXT);
  if (node instanceof Text) texts.push(node);
  while (walker.nextNode()) texts.push(walker.currentNode);
  for (const text of texts) {
    if (!text.data.trim() || !text.parentElement || text.parentElement.closest(kept)) continue;
    const outer = document.createElement("font");
    outer.appendChild(document.createElement("font")).append(text.data);
    text.replaceWith(outer);
  }
}
new MutationObserver((records) => {
  for (const { addedNodes, target, type } of records)
    for (const node of type === "childList" ? addedNodes : [target]) translate(node);
}).observe(document, { childList: true, subtree: true, characterData: true });
"""

DAMAGE = """
window.BroadcastChannel = class { constructor() { throw new DOMException("", "SecurityError"); } };
if (!sessionStorage.getItem("damaged")) {
  localStorage["headrace.key"] = "garbage";
  sessionStorage["headrace.key"] = "{}";
  sessionStorage["headrace.outbox"] = '[{"key": "broken"}, 7]';
  localStorage["headrace.kept//draft//question"] = "garbage";
  localStorage["headrace.deletions//broken"] = "garbage";
  sessionStorage.setItem("damaged", "once");
}
"""


@pytest.mark.gen_test
async def test_a_page_whose_storage_is_damaged_and_which_is_translated_works(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    context = await visitor.context()
    await context.add_init_script(DAMAGE + TRANSLATION)
    tab = await visitor.open(headrace.url, context=context)
    await tab.ask("Count")
    for piece in ("One ", "**two** ", "three\n\n", "* four\n", "* fi", "ve\n\nsix"):
        upstream.tokens(piece)
        await expect(tab.text).to_contain_text(piece.split()[-1].strip("*"))
    upstream.finish()
    await tab.expect_status("complete")
    await expect(tab.text.locator("li")).to_have_text(["four", "five"])
    await expect(tab.text.locator("font").first).to_be_visible()  # it is translated after all

    await tab.listed("Count").hover()
    await tab.button("Rename “Count”").click()
    await tab.page.get_by_role("textbox", name="Title").fill("Counted")
    await tab.page.keyboard.press("Enter")
    await expect(tab.listed("Counted")).to_be_visible()
    await expect(tab.page).to_have_title("Counted · Headrace")
    await expect(tab.page.locator("h1")).to_have_text("Counted")
    await expect(tab.page.locator(".top-title")).to_have_text("Counted")

    await tab.page.reload()
    await expect(tab.text.locator("li")).to_have_text(["four", "five"])
    await expect(tab.field).to_be_focused()
    assert ["Counted"] == await titles_kept(headrace)


@pytest.mark.gen_test
async def test_a_question_past_the_limit_is_told_and_stays_where_it_was_written(
    serve: Serving,
    providers: dict[str, Any],
    upstream: ScriptedUpstream,
    visitor: Visitor,
    web: Path,
) -> None:
    server = await serve.start(providers=providers, limits={"max_question_chars": 20})
    script(upstream, "One.", "Two.")
    tab = await visitor.open(server.url)
    await tab.field.fill("a" * 23)
    await expect(tab.page.get_by_text("too long for this server by 3 characters")).to_be_visible()
    assert [] == await axe(tab, web)
    await tab.screenshot("question-too-long")
    await tab.field.press("Enter")
    await expect(tab.button("Send")).to_have_attribute("aria-disabled", "true")
    await expect(tab.field).to_have_value("a" * 23)
    await tab.field.fill("a" * 20)
    await expect(tab.page.get_by_text("too long for this server")).to_have_count(0)
    await tab.field.press("Enter")
    await tab.expect_text("One.")

    # The page cannot always know the limit: what the server refuses is given back, too.
    context = await visitor.context()
    await context.route("**/api/v1/me", lambda route: route.abort("connectionrefused"))
    other = await visitor.open(server.url, context=context)
    await other.ask("b" * 21)
    await expect(other.page.locator(".toast")).to_contain_text("The question is too long.")
    await expect(other.field).to_have_value("b" * 21)
    await expect(other.answers).to_have_count(0)
    assert 1 == len(upstream.requests)
