"""Text in a browser: its directions, its notes, and what of it is printed."""

import base64

import pytest
from playwright.async_api import Route, expect

from app.server import Server
from tests.upstreams import ScriptedUpstream
from tests.web.browsing import Visitor

pytestmark = pytest.mark.slow  # a browser starts for each

ARABIC = "مرحبا بالعالم"
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8"
    "z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)

ANSWER = f"""**重点：**这是**“引号”**的[^1]，见 https://example.com/a，然后按 <kbd>Ctrl</kbd>。

- [ ] open
- [x] done

- {ARABIC}

<details>
<summary>More</summary>

Folded **away**

</details>

![A dot](data:image/png;base64,{PIXEL})

| {" | ".join(f"A heading {n}" for n in range(12))} |
|{"---|" * 12}
| {" | ".join(f"some-long-value-{n}" for n in range(12))} |

```
{"a long line of code " * 20}
```

[^1]: The note.
"""

QUESTION = "What is wrong?\n\n```python\n" + "".join(f"x{n} = {n}\n" for n in range(60)) + "```"


@pytest.mark.gen_test
async def test_a_text_of_many_kinds_is_set_right_and_printed_whole(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    assert base64.b64decode(PIXEL).startswith(b"\x89PNG")
    tab = await visitor.open(headrace.url, color_scheme="dark")
    page, text = tab.page, tab.text
    upstream.tokens(*(ANSWER[at : at + 40] for at in range(0, len(ANSWER), 40)))
    upstream.finish()
    await tab.ask(QUESTION)
    await tab.expect_status("complete")

    await expect(text.locator("strong").first).to_have_text("重点：")
    await expect(text.get_by_role("link", name="https://example.com/a", exact=True)).to_be_visible()
    await expect(text.get_by_role("checkbox", name="Done")).to_be_checked()
    await expect(text.get_by_role("img", name="A dot")).to_have_js_property("naturalWidth", 1)
    await expect(text.get_by_text(ARABIC)).to_have_css("direction", "rtl")
    await text.get_by_role("link", name="Footnote 1").click()
    await expect(text.get_by_role("note")).to_be_focused()
    await text.get_by_role("button", name="Back to the text").click()
    await expect(text.get_by_role("link", name="Footnote 1")).to_be_focused()
    assert page.url.endswith(page.url.rpartition("/")[2].partition("#")[0])  # no fragment

    code = page.locator(".question code", has_text="x59 = 59")
    await expect(code).not_to_be_in_viewport()
    await page.get_by_role("button", name="Show the whole question").click()
    await expect(page.get_by_role("button", name="Show less")).to_have_attribute(
        "aria-expanded", "true"
    )
    await page.get_by_role("button", name="Show less").click()
    await expect(text.get_by_text("Folded away")).to_be_hidden()

    await page.set_viewport_size({"width": 700, "height": 1000})  # about A4
    await page.emulate_media(media="print", color_scheme="dark")
    for left_out in (".skip", ".side-bar-area", ".top-bar", ".composer-area", ".actions"):
        await expect(page.locator(left_out).first).to_be_hidden()
    await expect(text).to_have_css("color", "rgb(23, 40, 42)")
    await expect(text.get_by_text("Folded away")).to_be_visible()
    assert await page.locator(".question-parts").evaluate(
        "parts => parts.scrollHeight <= parts.clientHeight"
    ), "a folded question is printed whole"
    for wide in ("table", "pre"):
        assert await text.locator(wide).evaluate(
            "element => element.getBoundingClientRect().right <= innerWidth"
        ), f"a wide {wide} fits the paper"
    await tab.screenshot("printed")


@pytest.mark.gen_test
async def test_a_text_is_shown_as_it_is_until_its_parser_can_be_loaded(
    headrace: Server, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    tab = await visitor.open(headrace.url)
    refused: list[str] = []

    async def refuse(route: Route) -> None:
        refused.append(route.request.url)
        await route.abort()

    parser = "**/assets/MarkdownText-*.js"
    await tab.page.route(parser, refuse)
    upstream.tokens("Some **bold**\nwords")
    upstream.finish()
    await tab.ask("hi")
    await expect(tab.answer).to_have_attribute("data-status", "complete")
    await tab.expect_text("Some **bold**\nwords")
    assert refused

    await tab.page.unroute(parser)

    await expect(tab.text.locator("strong")).to_have_text("bold")
    tab.errors.clear()  # that the parser could not be loaded
