"""A question's images, files and results of tool calls, as the page shows them."""

import base64
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

from tests.auth_servers import AuthServers
from tests.file_steps import data_uri, text
from tests.readers import call
from tests.steps import JSON
from tests.upstreams import ScriptedUpstream
from tests.web.browsing import Visitor

pytestmark = pytest.mark.slow  # a browser starts for each

# Two red pixels.
PIXELS = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAIAAAABCAIAAAB7QOjdAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
)


@pytest.mark.gen_test
async def test_images_are_shown_with_the_users_key_and_files_are_saved(
    auth_servers: AuthServers,
    upstream: ScriptedUpstream,
    providers: dict[str, Any],
    visitor: Visitor,
    tmp_path: Path,
) -> None:
    providers["openai"]["input_kinds"] = ["image", "file", "tool_result"]
    server = await auth_servers.open(providers=providers)
    alice = await auth_servers.create_key("alice")
    upstream.tokens("Red.")
    upstream.finish()
    body = {
        "content": [
            text("What is this?"),
            {"type": "image", "url": data_uri(PIXELS)},
            {"type": "file", "url": data_uri(b"some words"), "name": "notes.txt"},
        ]
    }
    asked = await call(server.url, "POST", "/api/v1/chat", body, headers=alice.headers | JSON)
    assert 200 == asked.status, asked.body

    tab = await visitor.open_page(server.url)
    await tab.sign_in(alice.key)
    await expect(tab.field).to_be_focused()
    await tab.page.goto(f"{server.url}/c/{asked.body['conversation_id']}")

    image = tab.page.get_by_role("img", name="Attached image")
    await expect(image).to_be_visible()
    await expect(image).to_have_js_property("naturalWidth", 2)
    assert (await image.get_attribute("src") or "").startswith("blob:")
    async with tab.page.expect_download() as download:
        await tab.button("notes.txt").click()
    saved = tmp_path / "saved"
    await (await download.value).save_as(saved)
    assert b"some words" == saved.read_bytes()
    await expect(tab.page.locator(".question p")).to_have_text("What is this?")


@pytest.mark.gen_test
async def test_tool_calls_are_shown_with_their_results(
    auth_servers: AuthServers,
    upstream: ScriptedUpstream,
    providers: dict[str, Any],
    visitor: Visitor,
) -> None:
    providers["openai"]["input_kinds"] = ["tool_result"]
    server = await auth_servers.open(providers=providers)
    alice = await auth_servers.create_key("alice")
    headers = alice.headers | JSON
    upstream.sample("openai-tools.sse")
    tools = [{"name": "get_weather"}]
    body: dict[str, Any] = {"content": "Weather?", "tools": tools}
    called = await call(server.url, "POST", "/api/v1/chat", body, headers=headers)
    calls = [block for block in called.body["blocks"] if block["type"] == "tool_call"]
    upstream.next_request()
    upstream.tokens("Warm.")
    upstream.finish()
    results = [{"type": "tool_result", "id": each["id"], "text": "21 °C"} for each in calls]
    body = {
        "content": results,
        "tools": tools,
        "conversation_id": called.body["conversation_id"],
        "parent_id": called.body["id"],
    }
    answered = await call(server.url, "POST", "/api/v1/chat", body, headers=headers)
    assert 200 == answered.status, answered.body

    tab = await visitor.open_page(server.url)
    await tab.sign_in(alice.key)
    await expect(tab.field).to_be_focused()
    await tab.page.goto(f"{server.url}/c/{called.body['conversation_id']}")

    result = tab.page.get_by_text("Result of a tool").first
    await result.click()
    await expect(tab.page.get_by_text("21 °C").first).to_be_visible()
    await expect(tab.text).to_contain_text("Warm.")
