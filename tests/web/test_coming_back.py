"""Nothing is lost and nothing is asked twice, whatever happens between the page and the server."""

import asyncio

import pytest
from playwright.async_api import Route, expect

from app.server import Server
from tests.http_client.far_side import unused_port
from tests.launching import Launcher
from tests.tcp_proxy import TcpProxy
from tests.upstreams import ScriptedUpstream
from tests.web.browsing import Visitor

pytestmark = pytest.mark.slow  # a browser starts for each


@pytest.mark.gen_test
async def test_a_page_loaded_again_in_the_middle_goes_on_with_the_answer(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    tab = await visitor.open(headrace.url)
    await tab.ask("hi")
    upstream.tokens("Hel")
    await tab.expect_text("Hel")

    await tab.page.reload()
    await tab.expect_text("Hel")
    upstream.tokens("lo, ", "world")
    await tab.expect_text("Hello, world")
    upstream.finish()

    await tab.expect_status("complete")
    assert 1 == len(upstream.requests)


@pytest.mark.gen_test
async def test_an_answer_goes_on_while_its_reader_looks_at_another_conversation(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    tab = await visitor.open(headrace.url)
    await tab.ask("First")
    upstream.tokens("Hel")
    await tab.expect_text("Hel")

    await tab.button("New conversation").first.click()
    await expect(tab.answers).to_have_count(0)
    await expect(tab.page.get_by_text("(answer in progress)")).to_be_attached()
    upstream.tokens("lo")
    upstream.finish()
    await expect(tab.page.get_by_text("(answer in progress)")).not_to_be_attached()
    await tab.listed("First").click()

    await tab.expect_text("Hello")
    await tab.expect_status("complete")


@pytest.mark.gen_test
async def test_a_network_that_goes_and_comes_back_costs_not_a_word(
    tcp_proxy: TcpProxy, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    context = await visitor.context()
    tab = await visitor.open(tcp_proxy.url, context=context)
    await tab.ask("hi")
    upstream.tokens("One ")
    await tab.expect_text("One")

    await context.set_offline(True)
    tcp_proxy.cut()
    await expect(tab.answer).to_contain_text("The connection is lost.")
    upstream.tokens("two ", "three ")
    await context.set_offline(False)
    await tab.expect_text("One two three")
    await expect(tab.answer).not_to_contain_text("The connection is lost.")
    upstream.tokens("four")
    upstream.finish()

    await tab.expect_text("One two three four")
    await tab.expect_status("complete")
    assert 1 == len(upstream.requests)


@pytest.mark.gen_test
async def test_a_question_asked_offline_is_sent_once_there_is_a_network(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    context = await visitor.context()
    tab = await visitor.open(headrace.url, context=context)
    upstream.tokens("Hello")
    upstream.finish()

    await context.set_offline(True)
    await tab.ask("hi")
    await expect(tab.answer).to_contain_text("There is no connection.")
    await context.set_offline(False)

    await tab.expect_status("complete")
    await tab.expect_text("Hello")
    assert 1 == len(upstream.requests)


@pytest.mark.gen_test
async def test_a_question_that_was_not_sent_yet_can_be_taken_back(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    context = await visitor.context()
    tab = await visitor.open(headrace.url, context=context)
    await context.set_offline(True)
    await tab.ask("Never mind")
    await expect(tab.answer).to_contain_text("There is no connection.")

    await tab.button("Stop").click()

    await expect(tab.field).to_have_value("Never mind")
    await expect(tab.answers).to_have_count(0)
    assert [] == upstream.requests


@pytest.mark.gen_test
async def test_a_page_loaded_again_before_the_server_took_the_question_asks_it_once(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    context = await visitor.context()
    tab = await visitor.open(headrace.url, context=context)
    upstream.tokens("Hello")
    upstream.finish()
    keys = []

    async def cut(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        await route.abort("connectionfailed")

    await context.route("**/api/v1/chat", cut)
    await tab.ask("hi")
    await expect(tab.answer).to_contain_text("There is no connection.")
    await context.unroute("**/api/v1/chat", cut)
    async with tab.page.expect_request("**/api/v1/chat") as asked:
        await tab.page.reload()

    await tab.expect_status("complete")
    await tab.expect_text("Hello")
    assert {(await asked.value).headers["idempotency-key"]} == set(keys)
    assert 1 == len(upstream.requests)


@pytest.mark.gen_test
async def test_a_server_killed_in_the_middle_is_told_in_words_once_it_is_back(
    launcher: Launcher, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    launcher.settings.write_text(
        f"port = {unused_port()}\n[relay]\ncheckpoint_seconds = 0.02\n"
        f'[providers.openai]\nbase_url = "{upstream.url}/v1"\n'
    )
    server = await launcher.serve()
    tab = await visitor.open(server.url)
    await tab.ask("hi")
    upstream.tokens("Hel")
    await tab.expect_text("Hel")

    await server.kill()
    await expect(tab.answer).to_contain_text("The connection is lost.")
    await launcher.serve()

    await tab.expect_status("interrupted")
    await expect(tab.answer).to_contain_text("The server stopped before the answer was complete.")
    await expect(tab.button("Try again")).to_be_visible()


@pytest.mark.gen_test
async def test_two_tabs_stay_in_step(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    context = await visitor.context()
    first = await visitor.open(headrace.url, context=context)
    await first.ask("hi")
    upstream.tokens("Hel")
    await first.expect_text("Hel")

    second = await visitor.open(first.page.url, context=context)
    await second.expect_text("Hel")
    upstream.tokens("lo")
    await asyncio.gather(first.expect_text("Hello"), second.expect_text("Hello"))
    await second.button("Stop").click()
    await asyncio.gather(first.expect_status("stopped"), second.expect_status("stopped"))

    upstream.next_request()
    upstream.tokens("Again")
    await second.ask("And now?")
    await expect(first.page.get_by_text("And now?")).to_be_visible()
    await asyncio.gather(first.expect_text("Again"), second.expect_text("Again"))
    upstream.finish()
    await asyncio.gather(first.expect_status("complete"), second.expect_status("complete"))
    assert 2 == len(upstream.requests)


@pytest.mark.gen_test
async def test_a_second_question_to_a_busy_conversation_is_given_back(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    """Two browsers that cannot tell each other: a phone and a laptop."""
    laptop = await visitor.open(headrace.url)
    upstream.tokens("One")
    upstream.finish()
    await laptop.ask("First")
    await laptop.expect_status("complete")
    phone = await visitor.open(laptop.page.url)
    await phone.expect_text("One")

    upstream.next_request()
    upstream.tokens("Two")
    await laptop.ask("Second")
    await laptop.expect_text("Two")
    await phone.ask("Third")

    await phone.expect_text("Two")
    await expect(phone.field).to_have_value("Third")
    await expect(phone.page.get_by_text("Second")).to_be_visible()
    upstream.finish()
    await asyncio.gather(laptop.expect_status("complete"), phone.expect_status("complete"))
