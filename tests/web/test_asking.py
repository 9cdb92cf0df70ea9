"""Asking and reading, as people do it."""

import asyncio
import re

import pytest
from playwright.async_api import Locator, expect

from app.server import Server
from tests.serving import Serving
from tests.upstreams import ScriptedUpstream
from tests.web.browsing import PHONE, Tab, Visitor
from tests.web.contents import IN_CHINESE

pytestmark = pytest.mark.slow  # a browser starts for each


@pytest.mark.gen_test
async def test_the_first_run_answers_without_a_key_and_says_so(
    serve: Serving, visitor: Visitor
) -> None:
    server = await serve.start()
    tab = await visitor.open(server.url)
    await expect(tab.page.get_by_text("a scripted demo answers")).to_be_visible()

    await tab.button("Why is the sky blue?").click()

    await tab.expect_status("complete")
    await expect(tab.text).to_contain_text("This was a script: the demo has no model")
    await expect(tab.answer).to_contain_text("173 out")
    await expect(tab.answer).to_contain_text("s in total")
    await expect(tab.listed("Why is the sky blue?")).to_have_attribute("aria-current", "page")
    await expect(tab.page).to_have_url(re.compile("/c/"))


@pytest.mark.gen_test
async def test_an_answer_in_chinese_appears_piece_by_piece(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    tab = await visitor.open(headrace.url, locale="zh-CN", viewport=PHONE)
    await tab.ask("为什么天空是蓝色的？")

    upstream.tokens("天空之所以", "是**蓝")
    await tab.expect_text("天空之所以是**蓝")
    upstream.tokens("色**的")
    await tab.expect_text("天空之所以是蓝色的")
    upstream.tokens(IN_CHINESE[len("天空之所以是蓝色的") :])
    upstream.finish()

    await tab.expect_status("complete")
    await expect(tab.page.get_by_role("button", name="重新生成")).to_be_visible()
    assert "zh-CN" == await tab.page.locator("html").get_attribute("lang")
    await tab.screenshot("chinese-phone")


@pytest.mark.gen_test
async def test_stop_ends_the_upstream_call_and_keeps_what_arrived(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    tab = await visitor.open(headrace.url)
    await tab.ask("hi")
    upstream.tokens("Hel")
    await tab.expect_text("Hel")

    await tab.button("Stop").click()

    await tab.expect_status("stopped")
    await asyncio.wait_for(upstream.closed.wait(), 5)
    await expect(tab.answer).to_contain_text("The answer was stopped. Its text so far is kept.")
    await tab.expect_text("Hel")
    await expect(tab.button("Continue")).to_be_visible()


@pytest.mark.gen_test
async def test_continue_goes_on_behind_an_answer_that_was_cut_short(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    tab = await visitor.open(headrace.url)
    upstream.tokens("One")
    upstream.finish("length")
    await tab.ask("Count")
    await expect(tab.answer).to_contain_text("reached the maximum length")

    upstream.next_request()
    upstream.tokens("two")
    upstream.finish()
    await tab.button("Continue").click()
    await tab.expect_text("two")
    await tab.expect_status("complete")

    said = [message["content"] for message in upstream.requests[1].json["messages"]]
    assert ["Count", "One", "Please continue exactly where you stopped."] == said
    await expect(tab.answers).to_have_count(2)


@pytest.mark.gen_test
async def test_a_refusal_of_the_provider_is_said_in_words_with_a_way_on(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    upstream.fail(401, {"error": {"message": "Incorrect API key", "code": "invalid_api_key"}})
    tab = await visitor.open(headrace.url)
    await tab.ask("hi")

    await tab.expect_status("failed")
    await expect(tab.answer).to_contain_text("The provider does not accept this server’s key.")
    await tab.answer.get_by_text("Details").click()
    await expect(tab.answer.locator(".error-details")).to_contain_text(
        re.compile("provider_unauthorized.*invalid_api_key")
    )

    upstream.next_request()
    upstream.tokens("Now")
    upstream.finish()
    await tab.button("Try again").click()
    await tab.expect_text("Now")
    await tab.expect_status("complete")
    await expect(tab.answers).to_have_count(1)
    assert 1 == len(upstream.requests[1].json["messages"])

    await tab.button("Previous version").click()
    await tab.expect_status("failed")


@pytest.mark.gen_test
async def test_thinking_is_folded_and_says_how_long_it_took(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    tab = await visitor.open(headrace.url)
    upstream.reasoning("Rayleigh, ", "of course.")
    await tab.ask("Why?")
    box = tab.answer.locator("details")
    await expect(box).to_contain_text("Thinking…")
    await expect(tab.page.get_by_text("Rayleigh, of course.")).to_be_hidden()

    upstream.tokens("Scattering.")
    upstream.finish()
    await tab.expect_status("complete")

    await expect(box.locator("summary")).to_contain_text("Thought for")
    await box.locator("summary").click()
    await expect(tab.page.get_by_text("Rayleigh, of course.")).to_be_visible()


@pytest.mark.gen_test
async def test_an_answers_figures_are_the_servers_after_a_reload_and_on_another_device(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    tab = await visitor.open(headrace.url)
    await tab.page.clock.install()  # its times are wrong by seconds, and may not be seen at the end
    summary = tab.answer.locator("details summary")
    upstream.reasoning("Hm.")
    await tab.ask("Why?")
    await expect(summary).to_contain_text("Thinking…")
    await tab.page.clock.fast_forward(9_000)  # no connection is given up as silent so soon
    upstream.tokens("Because.")
    await expect(summary).to_contain_text(re.compile(r"Thought for (9|\d\d)"))
    upstream.finish()
    await tab.expect_status("complete")

    def told(of: Tab) -> tuple[Locator, Locator]:
        return of.answer.locator("details summary"), of.answer.locator(".metadata")

    thought, figures = [await each.inner_text() for each in told(tab)]
    assert "Thought for" in thought
    assert "in total" in figures
    await tab.page.reload()
    for place in (tab, await visitor.open(tab.page.url, viewport=PHONE)):
        for shown, words in zip(told(place), (thought, figures), strict=True):
            await expect(shown).to_have_text(words, use_inner_text=True)


@pytest.mark.gen_test
async def test_a_tool_call_is_shown_with_its_arguments(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    call = (
        b'data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c1","type":'
        b'"function","function":{"name":"weather","arguments":"{\\"city\\":\\"Oslo\\"}"}}]}}]}\n\n'
    )
    upstream.raw(call)
    upstream.finish("tool_calls")
    tab = await visitor.open(headrace.url)
    await tab.ask("Weather?")
    await tab.expect_status("complete")

    await tab.page.get_by_text("Wants to call weather").click()

    await expect(tab.answer.locator("pre")).to_have_text('{\n  "city": "Oslo"\n}')


@pytest.mark.gen_test
async def test_the_system_prompt_and_the_chosen_model_go_with_the_question(
    serve: Serving, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    provider = {"dialect": "openai", "base_url": f"{upstream.url}/v1", "models": ["small", "large"]}
    server = await serve.start(providers={"openai": provider})
    upstream.tokens("ok")
    upstream.finish()
    tab = await visitor.open(server.url)

    await tab.button("Conversation settings").click()
    await tab.page.get_by_role("textbox", name="System prompt").fill("Be brief.")
    await tab.button("Save").click()
    await tab.page.get_by_label("Model").select_option("openai/large")
    await tab.ask("hi")
    await tab.expect_status("complete")
    await tab.page.reload()
    await expect(tab.page.get_by_label("Model")).to_have_value("openai/large")

    sent = upstream.requests[0].json
    assert "large" == sent["model"]
    assert {"role": "system", "content": "Be brief."} == sent["messages"][0]


@pytest.mark.gen_test
async def test_a_reader_who_scrolled_up_is_left_there(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    tab = await visitor.open(headrace.url, viewport=PHONE)
    upstream.tokens("\n\n".join(f"Paragraph {number}." for number in range(60)))
    await tab.ask("Write")
    await expect(tab.page.get_by_text("Paragraph 59.")).to_be_in_viewport()

    await tab.page.mouse.move(200, 300)
    await tab.page.mouse.wheel(0, -600)
    latest = tab.button("Scroll to the end")
    await expect(latest).to_be_visible()
    before = await tab.page.evaluate("document.documentElement.scrollTop")
    upstream.tokens("\n\nThe last one.")
    await expect(tab.text).to_contain_text("The last one.")
    assert before == await tab.page.evaluate("document.documentElement.scrollTop")

    await latest.click()
    await expect(tab.page.get_by_text("The last one.")).to_be_in_viewport()
    upstream.finish()
    await tab.expect_status("complete")
