"""Formulas in a real browser: their strokes, their width, and what is copied of them."""

import pytest
from playwright.async_api import expect

from app.server import Server
from tests.upstreams import ScriptedUpstream
from tests.web.browsing import PHONE, Visitor

pytestmark = pytest.mark.slow  # a browser starts

WIDE = "+".join(f"x_{{{number}}}^2" for number in range(40))
ANSWER = (
    rf"""Half is \( \frac{{1}}{{2}} \), and $\cancel{{x}}$ is nothing, $\kern-99em y$ nowhere.

$$ {WIDE} $$

\begin{{align}}
a + b &= c \\
d &= e + f
\end{{align}}

And $"""
    + WIDE
    + "$ within a line."
)

SELECT = """([from, to]) => {
  const selection = getSelection();
  selection.setBaseAndExtent(from, 0, to, to.childNodes.length);
  return selection.toString();
}"""


@pytest.mark.gen_test
async def test_formulas_keep_their_strokes_their_place_and_their_latex(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    context = await visitor.context(
        viewport=PHONE, permissions=["clipboard-read", "clipboard-write"]
    )
    tab = await visitor.open(headrace.url, context=context)
    upstream.tokens(*(ANSWER[at : at + 9] for at in range(0, len(ANSWER), 9)))
    upstream.finish()
    await tab.ask("Show me")
    await tab.expect_status("complete")
    formulas = tab.text.locator(".formula")
    await expect(tab.text.locator("math")).to_have_count(6)

    async def copied() -> str:
        await tab.page.keyboard.press("Control+c")
        return await tab.page.evaluate("navigator.clipboard.readText()")

    # What a picture would show: the stroke, and equations that stand at their sign.
    await expect(tab.text.locator(".tml-cancel")).not_to_have_css("background-image", "none")
    signs = tab.text.locator("mtr mo", has_text="=")
    places = [await sign.bounding_box() for sign in await signs.all()]
    assert places[0]
    assert places[1]
    assert abs(places[0]["x"] - places[1]["x"]) < 1

    # Wide ones scroll by themselves, also by keyboard; the others are no tab stops.
    wide = tab.text.get_by_role("group", name="Formula")
    await expect(wide).to_have_count(2)
    sideways = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert 0 == await tab.page.evaluate(sideways)
    await wide.first.focus()
    await tab.page.keyboard.press("ArrowRight")
    await expect(wide.first).not_to_have_js_property("scrollLeft", 0)
    assert WIDE == await copied(), "a focused formula"

    # A selection within one formula is its TeX; one over more has it as it was written.
    fraction = await formulas.first.locator("mfrac").element_handle()
    await tab.page.evaluate(SELECT, [fraction, fraction])
    assert r"\frac{1}{2}" == await copied(), "a selection within a formula"
    markdown = await tab.text.element_handle()
    before = await tab.page.evaluate(SELECT, [markdown, markdown])
    text = await copied()
    assert r"Half is \( \frac{1}{2} \), and $\cancel{x}$ is nothing" in text
    assert f"$$ {WIDE} $$" in text.splitlines()
    assert "\\begin{align}\na + b &= c \\\\\nd &= e + f\n\\end{align}" in text
    assert before == await tab.page.evaluate("getSelection().toString()"), "is still selected"
    html = await tab.page.evaluate(
        "navigator.clipboard.read().then(([item]) => item.getType('text/html'))"
        ".then(blob => blob.text())"
    )
    assert r"\frac{1}{2}" in html
    assert "<math" not in html
    await tab.screenshot("formulas-phone")
