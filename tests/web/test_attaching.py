"""Attaching images and files to a question, in a browser that decodes and draws them."""

import base64
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

from tests.file_steps import get
from tests.serving import Serving
from tests.steps import messages_of
from tests.upstreams import ScriptedUpstream
from tests.web.browsing import NARROWEST, Tab, Visitor
from tests.web.test_looks import axe, sideways

pytestmark = pytest.mark.slow  # a browser starts for each

# A JPEG of 3000 by 1500 pixels, its upper half red, in base64.
_DRAW = """async () => {
  const canvas = new OffscreenCanvas(3000, 1500);
  const context = canvas.getContext("2d");
  context.fillStyle = "blue";
  context.fillRect(0, 0, 3000, 1500);
  context.fillStyle = "red";
  context.fillRect(0, 0, 3000, 750);
  const jpeg = await canvas.convertToBlob({ type: "image/jpeg" });
  return new Promise((resolve) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.split(",")[1]);
    reader.readAsDataURL(jpeg);
  });
}"""

# Exif data that says: turn the image by 90° clockwise, and nothing else.
_TURNED = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"

# Brings a file to the page as a paste into the composer, or as a drop onto the page.
_BRING = """([kind, name, content]) => {
  const data = new DataTransfer();
  data.items.add(new File([content], name));
  const target = kind === "paste" ? document.querySelector("textarea") : document.body;
  const event = kind === "paste"
    ? new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true })
    : new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true });
  return !target.dispatchEvent(event);
}"""

# The size of an image, and the colours of its left and right half.
_LOOK = """async (image) => {
  await image.decode();
  const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  const colour = (x) => {
    const [red, , blue] = context.getImageData(x, 1000, 1, 1).data;
    return red > blue ? "red" : "blue";
  };
  return [canvas.width, canvas.height, colour(100), colour(canvas.width - 100)];
}"""


async def _photograph(tab: Tab) -> bytes:
    """A photograph as a phone takes it that was held upright."""
    jpeg = base64.b64decode(await tab.page.evaluate(_DRAW))
    segment = b"\xff\xe1" + (len(_TURNED) + 2).to_bytes(2, "big") + _TURNED
    return jpeg[:2] + segment + jpeg[2:]


async def _bring(tab: Tab, kind: str, name: str, content: str) -> None:
    taken = await tab.page.evaluate(_BRING, [kind, name, content])
    assert taken, f"the browser would handle the {kind} itself"


@pytest.mark.gen_test
async def test_images_and_files_are_attached_shown_kept_and_sent(
    serve: Serving,
    providers: dict[str, Any],
    upstream: ScriptedUpstream,
    visitor: Visitor,
    web: Path,
) -> None:
    providers["openai"] |= {
        "models": ["sees", "reads-text"],
        "model_input_kinds": {"sees": ["image", "file"], "reads-text": []},
    }
    server = await serve.start(providers=providers, limits={"max_files": 3})
    upstream.tokens("Red and blue.")
    upstream.finish()
    tab = await visitor.open(server.url)
    items = tab.page.get_by_role("list", name="Attachments").get_by_role("listitem")
    problems = tab.page.locator(".tray-problems")
    photograph = {
        "name": "photo.jpg",
        "mimeType": "image/jpeg",
        "buffer": await _photograph(tab),
    }

    # Two files are chosen, one is pasted, one is dropped; what cannot be sent is said.
    async with tab.page.expect_file_chooser() as chooser:
        await tab.button("Attach images and files").click()
    await (await chooser.value).set_files(
        [photograph, {"name": "tool.exe", "mimeType": "text/plain", "buffer": b"MZ\x00\x01"}]
    )
    await expect(problems).to_have_text("“tool.exe” was not attached. Images, PDF and text can be.")
    await _bring(tab, "paste", "pasted.csv", "tea,3 €")
    await expect(items).to_have_count(2)
    await _bring(tab, "dragover", "dropped.md", "# Notes")
    await expect(tab.page.locator(".drop-area")).to_be_visible()
    assert [] == await axe(tab, web), "while a file is dragged"
    await _bring(tab, "drop", "dropped.md", "# Notes")
    await expect(items).to_have_count(3)
    await expect(tab.page.locator(".drop-area")).to_have_count(0)
    await _bring(tab, "paste", "one-too-many.txt", "x")
    await expect(problems).to_contain_text("up to 3 images and files")
    await tab.button("Remove “one-too-many.txt”").click()
    await expect(tab.button("Remove “dropped.md”")).to_be_focused()
    await expect(problems).to_have_text("")

    # What the model does not take is said, and not sent.
    await tab.page.get_by_label("Model", exact=True).select_option("openai/reads-text")
    await expect(problems).to_contain_text("openai/reads-text takes no images")
    await tab.ask("What is this?")
    await expect(tab.page.locator(".question")).to_have_count(0)
    await tab.page.get_by_label("Model", exact=True).select_option("openai/sees")
    await tab.screenshot("attachments")
    assert [] == await axe(tab, web)

    # A phone has a camera, and room for all of it.
    phone = await visitor.open_page(
        server.url, viewport=NARROWEST, is_mobile=True, has_touch=True, locale="zh-CN"
    )
    async with phone.page.expect_file_chooser() as chooser:
        await phone.button("拍照").tap()
    await (await chooser.value).set_files([photograph])
    await expect(phone.button("移除“photo.jpg”")).to_be_visible()
    await phone.screenshot("attachments-phone")
    assert [] == await axe(phone, web)
    assert 0 == await sideways(phone)

    # All of it is there after a reload, and is sent after one that came before the server had it.
    await tab.page.reload()
    await expect(items).to_have_count(3)
    await tab.page.route("**/api/v1/chat", lambda route: route.abort())
    await tab.field.press("Enter")
    await expect(tab.page.locator(".question img")).to_be_visible()
    await expect(items).to_have_count(0)
    await tab.page.reload()
    await expect(tab.page.locator(".question img")).to_be_visible()
    await tab.page.unroute("**/api/v1/chat")
    await tab.page.evaluate("window.dispatchEvent(new Event('online'))")
    await tab.expect_text("Red and blue.")

    # The photograph is upright, scaled down and tells nothing; all of it is what the server stored.
    image = tab.page.get_by_role("img", name="Attached image")
    assert [1024, 2048, "blue", "red"] == await image.evaluate(_LOOK)
    assert [] == await axe(tab, web), "attachments of a question"
    conversation = tab.page.url.rsplit("/", 1)[1]
    question = (await messages_of(server, f"/api/v1/conversations/{conversation}"))[0]["blocks"]
    assert ["image", "file", "file", "text"] == [block["type"] for block in question]
    sent = (await get(server, question[0]["file_id"])).body
    assert b"\xff\xd8\xff" == sent[:3]
    assert b"Exif" not in sent
    assert ["pasted.csv", "dropped.md"] == [block["name"] for block in question[1:3]]
    assert "tea,3 €".encode() == (await get(server, question[1]["file_id"])).body
    await tab.page.reload()
    await expect(image).to_be_visible()
    assert [1024, 2048, "blue", "red"] == await image.evaluate(_LOOK)

    # An edited question brings along what it has besides its text.
    upstream.next_request()
    upstream.tokens("Half each.")
    upstream.finish()
    await tab.button("Edit the question").click()
    await tab.page.get_by_label("Edited question").fill("How much of each?")
    await tab.page.keyboard.press("Enter")
    await tab.expect_text("Half each.")
    edited = (await messages_of(server, f"/api/v1/conversations/{conversation}"))[2]["blocks"]
    assert [block["size"] for block in question[:3]] == [block["size"] for block in edited[:3]]
