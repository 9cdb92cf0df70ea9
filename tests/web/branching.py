"""What tests of branches do at the page, and what they look at."""

from playwright.async_api import Locator, expect

from app.server import Server
from tests.readers import call
from tests.upstreams import ScriptedUpstream
from tests.web.browsing import Tab

# Two pages of the list of messages, and some.
LONG = 60


def script(upstream: ScriptedUpstream, *answers: str) -> None:
    """What is answered to the next requests, each once; then there is silence."""
    for answer in answers:
        upstream.tokens(answer)
        upstream.finish()
        upstream.next_request()


def sent(upstream: ScriptedUpstream, number: int = -1) -> list[str]:
    """The history that went upstream, the last time unless told."""
    return [message["content"] for message in upstream.requests[number].json["messages"]]


def switches(tab: Tab) -> Locator:
    return tab.page.get_by_role("group", name="Versions")


async def shows(tab: Tab, *texts: str) -> None:
    """Wait until the page shows just these, questions and answers in turns, all of it over."""
    await expect(tab.page.locator(".question > p, .answer .markdown")).to_have_text(texts)
    await tab.expect_status("complete")


async def talk(tab: Tab, *turns: tuple[str, str]) -> None:
    """Have questions answered, one after the other."""
    for question, answer in turns:
        await tab.ask(question)
        await tab.expect_text(answer)
        await tab.expect_status("complete")


async def edit(tab: Tab, question: str, words: str) -> None:
    """Ask a question that is shown in other words."""
    shown = tab.page.locator(".question", has_text=question)
    await shown.hover()
    await shown.get_by_role("button", name="Edit the question").click()
    field = tab.page.get_by_role("textbox", name="Edited question")
    await expect(field).to_be_focused()
    await expect(field).to_have_value(question)
    await field.fill(words)
    await field.press("Enter")


async def ask_by_api(server: Server, **question: object) -> dict[str, str]:
    """Ask past the page, as another device would; returns the answer."""
    asked = await call(
        server.url, "POST", "/api/v1/chat", question, headers={"Accept": "application/json"}
    )
    answer: dict[str, str] = asked.body
    return answer


async def long_conversation(server: Server, upstream: ScriptedUpstream) -> dict[str, str]:
    """One of more than two pages, without a branch; returns its last answer."""
    script(upstream, *(f"Answer {number}." for number in range(LONG)))
    last = await ask_by_api(server, content="Question 0?")
    for number in range(1, LONG):
        where = {"conversation_id": last["conversation_id"], "parent_id": last["id"]}
        last = await ask_by_api(server, content=f"Question {number}?", **where)
    return last
