"""The page of a server that asks for keys: how people sign in, and what it keeps of that."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Request, Route, expect

from app.server import Server
from tests.auth_servers import AuthServers
from tests.issuer import Issuer
from tests.serving import Serving
from tests.upstreams import ScriptedUpstream
from tests.web.browsing import LAPTOP, NARROWEST, PHONE, Visitor
from tests.web.key_holders import signed_in_tab, titles_of
from tests.web.test_looks import axe, sideways

pytestmark = pytest.mark.slow  # a browser starts for each


# Coming in


@pytest.mark.gen_test
async def test_where_no_key_is_needed_nobody_is_asked_for_one(
    headrace: Server, visitor: Visitor
) -> None:
    tab = await visitor.open(headrace.url)
    await expect(tab.page.get_by_text("There are no conversations yet.")).to_be_visible()

    await expect(tab.page.get_by_role("dialog")).to_have_count(0)
    await expect(tab.button("Sign out")).to_have_count(0)


@pytest.mark.gen_test
async def test_a_wrong_key_is_said_to_be_and_the_right_one_opens(
    auth_servers: AuthServers,
    providers: dict[str, Any],
    upstream: ScriptedUpstream,
    visitor: Visitor,
) -> None:
    server = await auth_servers.open(providers=providers)
    alice = await auth_servers.create_key("alice")
    tab = await visitor.open_page(server.url)
    field = tab.sign_in_dialog.get_by_label("API key or access token")

    for wrong in (alice.key[:-1], "no key", "密钥"):
        await expect(field).to_be_focused()
        await tab.page.keyboard.insert_text(wrong)
        await tab.page.keyboard.press("Enter")
        await expect(tab.page.get_by_role("alert")).to_have_text("This key is not valid here.")
        await expect(field).to_have_attribute("aria-invalid", "true")
        await expect(field).to_be_focused()
    for _ in range(3):  # there is no way around it
        await tab.page.keyboard.press("Escape")
    await expect(tab.sign_in_dialog).to_be_visible()
    await tab.page.keyboard.press("ControlOrMeta+a")
    await tab.page.keyboard.insert_text(f" {alice.key}\t")
    await tab.page.keyboard.press("Enter")

    await expect(tab.field).to_be_focused()
    await expect(tab.sign_in_dialog).to_have_count(0)
    await expect(tab.page.get_by_text("alice", exact=True)).to_be_visible()
    upstream.tokens("Hello")
    upstream.finish()
    await tab.ask("hi")
    await tab.expect_status("complete")
    assert ["hi"] == await titles_of(server, alice)


@pytest.mark.gen_test
async def test_a_key_is_the_tab_s_unless_it_is_to_be_kept_on_the_device(
    auth_servers: AuthServers, visitor: Visitor
) -> None:
    server = await auth_servers.open()
    alice = await auth_servers.create_key("alice")
    context = await visitor.context()
    tab = await signed_in_tab(visitor, server, alice, context=context)
    await tab.page.reload()
    await expect(tab.field).to_be_focused()

    other = await visitor.open_page(server.url, context=context)
    await other.sign_in(alice.key, remember=True)
    await expect(other.field).to_be_focused()
    await visitor.open(server.url, context=context)

    assert alice.key in await tab.page.evaluate("JSON.stringify(sessionStorage)")
    assert alice.key not in await other.page.evaluate("JSON.stringify(sessionStorage)")
    assert alice.key in await other.page.evaluate("JSON.stringify(localStorage)")


@pytest.mark.gen_test
async def test_a_key_that_another_tab_keeps_on_the_device_opens_those_that_wait(
    auth_servers: AuthServers, visitor: Visitor
) -> None:
    server = await auth_servers.open()
    alice = await auth_servers.create_key("alice")
    context = await visitor.context()
    first = await visitor.open_page(server.url, context=context)
    second = await visitor.open_page(server.url, context=context)
    await expect(first.sign_in_dialog).to_be_visible()

    await second.sign_in(alice.key, remember=True)

    await expect(first.sign_in_dialog).to_have_count(0)
    await expect(first.page.get_by_text("There are no conversations yet.")).to_be_visible()


@pytest.mark.gen_test
async def test_every_request_carries_the_key_in_its_header_and_it_is_nowhere_else(
    auth_servers: AuthServers,
    providers: dict[str, Any],
    upstream: ScriptedUpstream,
    visitor: Visitor,
) -> None:
    server = await auth_servers.open(providers=providers)
    alice = await auth_servers.create_key("alice")
    context = await visitor.context()
    told = "const told = window.told = []; const heard = new BroadcastChannel('headrace');"
    await context.add_init_script(f"{told} heard.onmessage = ({{data}}) => told.push(data);")
    tab = await signed_in_tab(visitor, server, alice, context=context)
    requests: list[Request] = []
    context.on("request", lambda each: requests.append(each))

    upstream.tokens("Hel")
    await tab.ask("hi")
    await tab.expect_text("Hel")
    address = tab.page.url
    await tab.page.reload()  # and the events are read
    await tab.expect_text("Hel")
    await tab.button("Stop").click()
    await tab.expect_status("stopped")
    upstream.next_request()
    upstream.tokens("Hello")
    upstream.finish()
    await tab.button("Regenerate").click()
    await tab.expect_text("Hello")
    await tab.expect_status("complete")
    title = await tab.page.title()
    await tab.listed("hi").hover()
    await tab.button("Rename “hi”").click()
    await tab.page.keyboard.type("New")
    await tab.page.keyboard.press("Enter")
    await expect(tab.listed("New")).to_be_visible()
    heard = await tab.page.evaluate("JSON.stringify(told)")
    await tab.listed("New").hover()
    await tab.button("Delete “New”").click()
    await expect(tab.button("Undo")).to_be_visible()
    await tab.page.goto("about:blank")
    async with asyncio.timeout(5):
        while await titles_of(server, alice):
            pass

    asked = {(each.method, each.url.rpartition("/")[2]) for each in requests}
    assert {("POST", "stop"), ("POST", "regenerate"), ("GET", "events")} < asked
    assert "PATCH" in {method for method, _ in asked}
    entries = {each.headers.get("authorization") for each in requests if "/api/" in each.url}
    assert {f"Bearer {alice.key}"} == entries
    assert '"what":"ended"' in heard
    for place in (*(each.url for each in requests), address, title, heard):
        assert alice.key not in place


@pytest.mark.gen_test
async def test_a_token_does_as_well_and_one_that_has_expired_is_said_to_have(
    serve: Serving, issuer: Issuer, visitor: Visitor
) -> None:
    server = await serve.start(auth=issuer.settings())
    over = int(time.time()) - 3600
    tab = await visitor.open_page(server.url)
    await tab.sign_in(issuer.token(exp=over))
    await expect(tab.page.get_by_role("alert")).to_have_text("This key has expired.")
    good, late = issuer.token(), issuer.token(exp=over)
    await tab.sign_in_dialog.get_by_role("textbox").fill(good)
    await tab.page.keyboard.press("Enter")
    await expect(tab.field).to_be_focused()

    # An hour later, for all that the page can tell.
    kept = {"key": late, "user": "alice"}
    await tab.page.evaluate(
        "kept => sessionStorage.setItem('headrace.key', JSON.stringify(kept))", kept
    )
    await tab.page.reload()
    await expect(tab.sign_in_dialog).to_contain_text("The key of alice has expired.")
    await tab.sign_in(good)

    await expect(tab.field).to_be_focused()


# Words and looks


@pytest.mark.gen_test
async def test_a_403_is_said_in_words_and_asks_for_no_key(
    headrace: Server, visitor: Visitor
) -> None:
    context = await visitor.context()

    async def forward(route: Route) -> None:
        await route.continue_(headers={**route.request.headers, "X-Forwarded-For": "192.0.2.1"})

    await context.route("**/api/**", forward)
    tab = await visitor.open(headrace.url, context=context)
    words = "accepts requests from its own machine only, and this one came through a proxy"

    await expect(tab.page.get_by_role("navigation")).to_contain_text(words)
    await tab.ask("hi")
    await expect(tab.answer).to_contain_text(words)
    await expect(tab.sign_in_dialog).to_have_count(0)


@pytest.mark.gen_test
async def test_a_server_that_cannot_be_reached_is_no_wrong_key(
    auth_servers: AuthServers, visitor: Visitor
) -> None:
    server = await auth_servers.open()
    alice = await auth_servers.create_key("alice")
    tab = await visitor.open_page(server.url)
    refused = {"error": {"code": "auth_unavailable", "message": "", "request_id": "r"}}

    async def away(route: Route) -> None:
        await route.abort("connectionfailed")

    async def unable(route: Route) -> None:
        await route.fulfill(status=503, body=json.dumps(refused))

    await tab.page.route("**/me", away)
    await tab.sign_in(alice.key)
    await expect(tab.page.get_by_role("alert")).to_have_text("The server cannot be reached.")
    await tab.page.unroute("**/me", away)
    await tab.page.route("**/me", unable)
    await tab.sign_in_dialog.get_by_role("button", name="Sign in").click()
    await expect(tab.page.get_by_role("alert")).to_have_text(
        "Keys cannot be checked at the moment."
    )
    await tab.page.unroute("**/me", unable)
    await tab.sign_in_dialog.get_by_role("button", name="Sign in").click()

    await expect(tab.field).to_be_focused()


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("name", "look"),
    {
        "phone-light": {"viewport": PHONE},
        "phone-dark": {"viewport": PHONE, "color_scheme": "dark"},
        "laptop-light": {"viewport": LAPTOP},
        "laptop-dark": {"viewport": LAPTOP, "color_scheme": "dark"},
        "narrowest-chinese": {"viewport": NARROWEST, "locale": "zh-CN"},
    }.items(),
)
async def test_the_sign_in(
    auth_servers: AuthServers, visitor: Visitor, web: Path, name: str, look: dict[str, Any]
) -> None:
    server = await auth_servers.open()
    alice = await auth_servers.create_key(
        "a-name-as-long-as-an-identity-provider-makes-them@example.org"
    )
    tab = await visitor.open_page(server.url, **look)
    field = tab.page.locator("dialog input[type=password]")
    await expect(field).to_be_focused()
    assert ("password", "current-password") == (
        await field.get_attribute("type"),
        await field.get_attribute("autocomplete"),
    )
    await tab.screenshot(f"sign-in-{name}")
    assert [] == await axe(tab, web)

    await field.fill("wrong")
    await field.press("Enter")
    await expect(tab.page.get_by_role("alert")).not_to_be_empty()
    await tab.screenshot(f"sign-in-wrong-{name}")
    assert [] == await axe(tab, web)
    assert 0 == await sideways(tab)

    await field.fill(alice.key)
    await field.press("Enter")
    await expect(tab.field).to_be_focused()
    if look["viewport"] != LAPTOP:
        await tab.page.locator(".top-bar button").first.click()
    await expect(tab.page.locator(".account")).to_be_visible()
    await tab.screenshot(f"signed-in-{name}")
    assert [] == await axe(tab, web)
    assert 0 == await sideways(tab)
