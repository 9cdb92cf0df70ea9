"""What the page says where there is nothing, where nothing comes, and where the server refuses."""

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

from tests.serving import Serving
from tests.upstreams import ScriptedUpstream
from tests.web.browsing import Visitor
from tests.web.test_looks import axe


@pytest.mark.slow
@pytest.mark.gen_test
async def test_what_there_is_not_what_is_silent_and_what_is_refused_are_said_as_they_are(
    serve: Serving, upstream: ScriptedUpstream, visitor: Visitor, providers: Any, web: Path
) -> None:
    server = await serve.start(providers=providers, limits={"tokens_per_day": 1})
    context = await visitor.context()
    await context.clock.install()
    tab = await visitor.open(f"{server.url}/no/such/page", context=context)
    notice = tab.page.locator(".chat .notice")
    await expect(notice).to_contain_text("nothing at this address")
    await notice.get_by_role("button").click()
    await expect(tab.page).to_have_url(f"{server.url}/")

    await tab.ask("Is anybody there?")
    await tab.expect_status("live")
    await context.clock.fast_forward(12_000)
    await expect(tab.answer).to_contain_text(re.compile(r"Nothing has arrived for 1\d s"))
    assert [] == await axe(tab, web), "while it is silent"
    upstream.tokens("Yes.")
    await tab.expect_text("Yes.")
    await expect(tab.answer).not_to_contain_text("Nothing has arrived")
    upstream.finish()
    await tab.expect_status("complete")

    await tab.ask("And now?")
    await tab.expect_status("refused")
    await expect(tab.answer).to_contain_text(
        re.compile(r"Your tokens for today are used up\. You can ask again at .*\d")
    )
    await expect(tab.answer).not_to_contain_text("connection")
    await tab.answer.get_by_text("Details").click()
    await expect(tab.answer.locator(".error-details")).to_contain_text("token_budget_spent")
    assert [] == await axe(tab, web), "refused, with details"
    assert 1 == len(upstream.requests)
