"""What axe finds in the page's states.

Other tests look at those that they come by anyway: an empty conversation, branches and their editor
(`test_looks`), signing in (`test_signing_in`), attachments (`test_attaching`), parameters
(`test_settings`), an answer that is silent and one that is refused (`test_refusals`), a question
that is too long (`test_keeping`), and a key that is revoked (`test_losing_a_key`).
"""

import asyncio
from pathlib import Path

import pytest
from playwright.async_api import Route, expect

from app.server import Server
from tests.tcp_proxy import TcpProxy
from tests.upstreams import ScriptedUpstream
from tests.web.browsing import PHONE, Tab, Visitor
from tests.web.contents import RICH
from tests.web.test_conversations import make
from tests.web.test_formulas import WIDE
from tests.web.test_hard_use import refuse
from tests.web.test_looks import axe
from tests.web.test_text import ANSWER, QUESTION

pytestmark = pytest.mark.slow  # a browser starts for each

# What neither RICH nor ANSWER has: a wide formula, and images that are not shown.
FURTHER = f"""
$$ {WIDE} $$

![From elsewhere](https://images.example/sky.png) ![Damaged](data:image/png;base64,AAAA)
"""
TOOL_CALL = (
    b'data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c1","type":'
    b'"function","function":{"name":"weather","arguments":"{}"}}]}}]}\n\n'
)


class Walk:
    """From state to state of the page, with a look at each."""

    def __init__(self, web: Path) -> None:
        self._web = web
        self.found: dict[str, object] = {}  # the faults of each state that has any

    async def look(self, tab: Tab, state: str) -> None:
        if faults := await axe(tab, self._web):
            self.found[state] = faults


@pytest.fixture
def walk(web: Path) -> Walk:
    return Walk(web)


@pytest.mark.gen_test
async def test_axe_finds_nothing_in_any_state(
    headrace: Server,
    upstream: ScriptedUpstream,
    visitor: Visitor,
    walk: Walk,
) -> None:
    await make(headrace, "One", "Two")
    tab = await visitor.open(headrace.url)

    await tab.listed("One").focus()
    await tab.page.keyboard.press("F2")
    await walk.look(tab, "renaming")
    await tab.page.keyboard.press("Escape")
    await tab.page.keyboard.press("Delete")
    await expect(tab.button("Undo")).to_be_visible()
    await walk.look(tab, "deleted, with an offer to undo")
    await tab.page.get_by_role("searchbox").fill("nothing")
    await walk.look(tab, "no match")
    await tab.page.get_by_role("searchbox").fill("")
    await refuse(tab.page, "**/api/v1/conversations/*", "PATCH")
    await tab.listed("Two").focus()
    await tab.page.keyboard.press("F2")
    await tab.page.keyboard.type("Three")
    await tab.page.keyboard.press("Enter")
    await expect(tab.page.locator(".toast.error")).to_be_visible()
    await walk.look(tab, "a change that failed")
    upstream.reasoning("Rayleigh scattering.")
    upstream.tokens(RICH)
    await tab.ask("Why is the sky blue?")
    await expect(tab.text.locator("math").nth(1)).to_be_visible()
    await walk.look(tab, "while it is answered")
    await tab.button("Stop").click()
    await tab.expect_status("stopped")
    await tab.answer.locator("summary").first.click()
    await walk.look(tab, "stopped, with reasoning open")
    await tab.page.emulate_media(color_scheme="dark")
    await walk.look(tab, "dark")
    await tab.page.emulate_media(color_scheme="light")
    await tab.button("Conversation settings").click()
    await expect(tab.page.get_by_role("dialog")).to_be_visible()
    await walk.look(tab, "settings")
    await tab.page.keyboard.press("Escape")
    await tab.page.keyboard.press("Control+/")
    await expect(tab.page.get_by_role("dialog")).to_be_visible()
    await walk.look(tab, "help")
    await tab.page.keyboard.press("Escape")
    await tab.page.goto(f"{headrace.url}/c/0123456789abcdef")
    await expect(tab.page.get_by_text("There is no such conversation")).to_be_visible()
    await walk.look(tab, "no such conversation")
    await tab.page.goto(f"{headrace.url}/no/such/page")
    await expect(tab.page.get_by_text("There is nothing at this address")).to_be_visible()
    await walk.look(tab, "no such page")

    assert {} == walk.found


@pytest.mark.gen_test
async def test_axe_finds_nothing_in_texts_of_many_kinds_nor_where_something_fails(
    tcp_proxy: TcpProxy,
    upstream: ScriptedUpstream,
    visitor: Visitor,
    walk: Walk,
) -> None:
    context = await visitor.context()
    tab = await visitor.open(tcp_proxy.url, context=context)
    page = tab.page
    upstream.tokens(ANSWER)
    await tab.ask(QUESTION)
    await expect(tab.text.get_by_role("note")).to_be_visible()
    await context.set_offline(True)
    tcp_proxy.cut()
    await expect(tab.answer).to_contain_text("The connection is lost.")
    await walk.look(tab, "reconnecting, with a folded question")
    await context.set_offline(False)
    upstream.tokens(FURTHER)
    upstream.raw(TOOL_CALL)
    upstream.finish("tool_calls")
    await tab.expect_status("complete")
    await expect(tab.text.get_by_role("group", name="Formula")).to_be_visible()
    await page.get_by_role("button", name="Show the whole question").click()
    for summary in await tab.answer.locator("summary").all():
        await summary.click()
    await tab.button("Wrap long lines").last.click()
    await walk.look(tab, "all is unfolded")
    await page.get_by_label("Language").select_option("zh")
    await expect(tab.button("重新生成")).to_be_visible()
    await walk.look(tab, "in Chinese")
    await page.set_viewport_size(PHONE)
    await walk.look(tab, "on a phone, in Chinese")
    await tab.button("显示对话列表").click()
    await walk.look(tab, "list on a phone")
    await page.get_by_label("语言").select_option("en")
    await tab.listed("What is wrong?").click()

    await page.route("**/api/v1/chat", lambda route: route.abort())
    await tab.ask("And now?")
    await expect(tab.answer).to_contain_text("There is no connection.")
    await walk.look(tab, "asked without a connection")
    await tab.button("Stop").click()
    await refuse(page, "**/api/v1/conversations**", "GET")
    await page.reload()
    await expect(tab.button("Try again")).to_be_visible()
    await walk.look(tab, "a conversation that could not be loaded")
    await tab.button("Show conversations").click()
    await expect(page.get_by_text("The list could not be loaded.")).to_be_visible()
    await walk.look(tab, "a list that could not be loaded")
    await page.go_back()  # closes the list
    seen = asyncio.Event()

    async def hold(route: Route) -> None:
        await seen.wait()
        await route.abort()

    await page.route("**/api/v1/conversations**", hold)
    await page.reload()
    await expect(page.get_by_text("Loading…")).to_be_visible()
    await expect(page.get_by_text("There are no conversations yet.")).to_have_count(0)
    await walk.look(tab, "while it is loaded")
    seen.set()
    await page.unroute_all(behavior="wait")

    assert {} == walk.found
