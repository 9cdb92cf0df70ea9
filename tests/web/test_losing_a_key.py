"""The page while its key is refused, revoked or not there: what was begun goes on afterwards."""

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Request, expect

from tests.auth_servers import AuthServers
from tests.upstreams import ScriptedUpstream
from tests.web.browsing import Visitor
from tests.web.key_holders import KEPT, revoke, signed_in_tab
from tests.web.test_looks import axe

pytestmark = pytest.mark.slow  # a browser starts for each


@pytest.mark.gen_test
async def test_an_answer_whose_key_is_revoked_goes_on_behind_its_last_word(
    auth_servers: AuthServers,
    providers: dict[str, Any],
    upstream: ScriptedUpstream,
    visitor: Visitor,
    web: Path,
) -> None:
    server = await auth_servers.open(providers=providers)
    first, second = await auth_servers.create_key("alice"), await auth_servers.create_key("alice")
    tab = await signed_in_tab(visitor, server, first)
    await tab.ask("hi")
    upstream.tokens("One ")
    await tab.expect_text("One")
    await tab.field.fill("A draft")
    requests: list[Request] = []
    tab.page.on("request", lambda each: requests.append(each))

    await auth_servers.revoke(first)
    await expect(tab.sign_in_dialog).to_contain_text("The key of alice is no longer accepted.")
    await expect(tab.text).to_be_hidden()
    assert [] == await axe(tab, web)
    await expect(tab.page).to_have_title("Headrace")
    assert first.key not in await tab.page.evaluate(KEPT)
    upstream.tokens("two ")
    await tab.sign_in(second.key)
    await tab.expect_text("One two")
    upstream.tokens("three")
    upstream.finish()

    await tab.expect_text("One two three")
    await tab.expect_status("complete")
    await expect(tab.field).to_have_value("A draft")
    assert 1 == len(upstream.requests)
    events = [each for each in requests if each.url.endswith("/events")]
    assert {"4"} == {each.headers["last-event-id"] for each in events}


@pytest.mark.gen_test
async def test_a_question_that_met_a_401_is_asked_again_once_somebody_signed_in(
    auth_servers: AuthServers,
    providers: dict[str, Any],
    upstream: ScriptedUpstream,
    visitor: Visitor,
) -> None:
    server = await auth_servers.open(providers=providers)
    first, second = await auth_servers.create_key("alice"), await auth_servers.create_key("alice")
    tab = await signed_in_tab(visitor, server, first)
    upstream.tokens("Hello")
    upstream.finish()
    await revoke(auth_servers, server, first)
    posts: list[Request] = []
    tab.page.on("request", lambda each: posts.append(each) if "/chat" in each.url else None)

    await tab.ask("hi")
    await expect(tab.sign_in_dialog).to_be_visible()
    await tab.sign_in(second.key)

    await tab.expect_text("Hello")
    await tab.expect_status("complete")
    assert [f"Bearer {each.key}" for each in (first, second)] == [
        each.headers["authorization"] for each in posts
    ]
    assert 1 == len({each.headers["idempotency-key"] for each in posts})
    assert 1 == len(upstream.requests)


@pytest.mark.gen_test
async def test_what_other_tabs_did_while_a_key_was_asked_for_is_seen_after(
    auth_servers: AuthServers,
    providers: dict[str, Any],
    upstream: ScriptedUpstream,
    visitor: Visitor,
) -> None:
    server = await auth_servers.open(providers=providers)
    first, second = await auth_servers.create_key("alice"), await auth_servers.create_key("alice")
    context = await visitor.context()
    tab = await signed_in_tab(visitor, server, first, context=context)
    other = await signed_in_tab(visitor, server, second, context=context)
    await tab.ask("hi")
    upstream.tokens("Hel")
    await tab.expect_text("Hel")
    await other.listed("hi").click()
    await other.expect_text("Hel")
    await auth_servers.revoke(first)
    await expect(tab.sign_in_dialog).to_be_visible()

    upstream.tokens("lo")
    upstream.finish()
    await other.expect_status("complete")
    upstream.next_request()
    upstream.tokens("Again")
    upstream.finish()
    await other.ask("And now?")
    await other.expect_text("Again")
    await other.expect_status("complete")
    await tab.sign_in(second.key)

    await expect(tab.page.locator(".question > p")).to_have_text(["hi", "And now?"])
    await tab.expect_text("Again")
    await tab.expect_status("complete")


@pytest.mark.gen_test
async def test_a_question_survives_a_reload_while_a_key_is_asked_for(
    auth_servers: AuthServers,
    providers: dict[str, Any],
    upstream: ScriptedUpstream,
    visitor: Visitor,
) -> None:
    server = await auth_servers.open(providers=providers)
    first, second = await auth_servers.create_key("alice"), await auth_servers.create_key("alice")
    tab = await signed_in_tab(visitor, server, first)
    upstream.tokens("Hello")
    upstream.finish()
    await revoke(auth_servers, server, first)
    await tab.ask("hi")
    await expect(tab.sign_in_dialog).to_be_visible()

    await tab.page.reload()
    await tab.sign_in(second.key)

    await tab.expect_text("Hello")
    await tab.expect_status("complete")
    assert 1 == len(upstream.requests)
