"""What a model writes is shown, and does nothing."""

import asyncio
import re

import pytest
from playwright.async_api import Request, Route, expect

from app.server import Server
from tests.steps import until
from tests.upstreams import ScriptedUpstream
from tests.web.browsing import Tab, Visitor
from tests.web.contents import HOSTILE

pytestmark = pytest.mark.slow  # a browser starts for each

# Every element that an answer may consist of; MathML is Temml's.
HARMLESS = {
    *"a abbr article blockquote br button cite code del details dfn div em figcaption".split(),
    *"figure footer h2 h3 h4 h5 h6 hr i img input ins kbd li mark ol p path pre q rp rt".split(),
    *"ruby s samp section small span strong sub summary sup svg table tbody td th thead".split(),
    *"tr u ul var wbr".split(),
    *"math mrow mi mo mn mtext mspace mstyle mpadded mphantom msup msub msubsup".split(),
    *"munder mover munderover mfrac msqrt mroot menclose mtable mtr mtd".split(),
}

LOOK = """article => [...article.querySelectorAll("*")].map(element => ({
  name: element.localName,
  isMath: element instanceof MathMLElement,
  attributes: Object.fromEntries([...element.attributes].map(({name, value}) => [name, value])),
}))"""


async def assert_harmless(tab: Tab) -> None:
    elements = await tab.answer.evaluate(LOOK)

    assert set() == {element["name"] for element in elements} - HARMLESS
    for element in elements:
        assert [] == [name for name in element["attributes"] if name.startswith("on")]
        assert not {"srcdoc", "action", "formaction"} & element["attributes"].keys()
        if element["isMath"]:  # Temml sets styles; an id or a link would reach out of the formula
            assert not {"id", "href"} & element["attributes"].keys()
        else:
            assert "style" not in element["attributes"]
        for name in ("href", "src"):
            assert element["attributes"].get(name, "https:").startswith(("https:", "http:"))
        if element["name"] == "a":
            assert "noopener" in element["attributes"]["rel"]
    assert await tab.page.evaluate("window.hacked") is None


@pytest.mark.gen_test
async def test_an_answer_full_of_traps_runs_nothing_and_asks_nobody(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    tab = await visitor.open(headrace.url)
    elsewhere: list[str] = []

    def note(request: Request) -> None:
        if not request.url.startswith(headrace.url):
            elsewhere.append(request.url)

    tab.page.on("request", note)
    # Half-open tags and all: it arrives in pieces, and is looked at in between.
    middle = len(HOSTILE) // 2
    upstream.tokens(*(HOSTILE[at : at + 7] for at in range(0, middle, 7)))
    await tab.ask("<script>window.hacked = 0</script><img src=x onerror=window.hacked=0>")
    await expect(tab.text).to_contain_text("<iframe")
    await assert_harmless(tab)

    rest = (middle + 6) // 7 * 7
    upstream.tokens(*(HOSTILE[at : at + 7] for at in range(rest, len(HOSTILE), 7)))
    upstream.finish()
    await tab.expect_status("complete")
    await expect(tab.text).to_contain_text("window.hacked = 20")
    await expect(tab.text.locator("math").first).to_be_attached()
    await assert_harmless(tab)

    await tab.page.reload()
    await expect(tab.text).to_contain_text("window.hacked = 20")
    await assert_harmless(tab)
    assert [] == elsewhere


@pytest.mark.gen_test
async def test_the_policy_would_stop_what_the_renderer_let_through(
    headrace: Server, visitor: Visitor
) -> None:
    tab = await visitor.open(headrace.url)

    refused = await tab.page.evaluate(
        """() => {
          const refused = [];
          const attempt = (name, act) => {
            try { act(); } catch { refused.push(name); }
          };
          attempt("html", () => { document.createElement("div").innerHTML = "<b>x</b>"; });
          attempt("script", () => { document.createElement("script").text = "window.hacked = 2"; });
          attempt("policy", () => { trustedTypes.createPolicy("mine", {}); });
          return refused;
        }"""
    )

    assert ["html", "script", "policy"] == refused
    assert await tab.page.evaluate("window.hacked") is None
    async with asyncio.timeout(5):
        await until(lambda: len(tab.errors) == len(refused))  # each is logged on the console
    tab.errors.clear()


@pytest.mark.gen_test
async def test_an_image_is_asked_for_only_after_a_click(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    tab = await visitor.open(headrace.url)
    asked: list[dict[str, str]] = []

    async def picture(route: Route) -> None:
        asked.append({"url": route.request.url, **await route.request.all_headers()})
        svg = '<svg xmlns="http://www.w3.org/2000/svg" width="80" height="40"/>'
        await route.fulfill(body=svg, content_type="image/svg+xml")

    await tab.page.route(re.compile(r"https://(pictures|others)\.example/"), picture)
    canal = "![A canal](https://pictures.example/canal.svg?said=secret)"
    upstream.tokens(f"[{canal}](https://pictures.example/)\n\nSee ![A lock][1], {canal}")
    await tab.ask("Draw")
    offers = tab.page.get_by_role("button", name="Load the image from pictures.example")
    await expect(offers).to_have_count(2)
    assert [] == asked

    await offers.first.click()
    await offers.first.click()

    images = tab.page.get_by_role("img", name="A canal")
    await expect(images).to_have_count(2)
    for image in await images.all():
        await expect(image).to_have_js_property("complete", True)
    assert 1 == len(tab.page.context.pages), "the link around the image was followed"
    assert asked
    assert not any("referer" in each for each in asked)

    # Another one in its place, of which the address comes only now, is another host's.
    upstream.tokens("\n\n[1]: https://others.example/lock.svg\n")
    upstream.finish()
    await tab.expect_status("complete")
    await expect(tab.page.get_by_role("button", name="from others.example")).to_be_visible()
    assert not any("others.example" in each["url"] for each in asked)
