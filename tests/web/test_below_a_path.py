"""The page below a path of somebody's site, through nginx: with the path taken off, and left on."""

import asyncio
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Request, expect
from tornado.ioloop import IOLoop
from tornado.testing import bind_unused_port

from app.server import Server
from tests.auth_servers import AuthServers
from tests.readers import call
from tests.upstreams import ScriptedUpstream
from tests.web.browsing import Tab, Visitor

pytestmark = pytest.mark.slow  # a browser starts for each

_CONF = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{}}
http {{
  client_body_temp_path {folder}/bodies; proxy_temp_path {folder}/temp; access_log off;
  fastcgi_temp_path {folder}/temp; uwsgi_temp_path {folder}/temp; scgi_temp_path {folder}/temp;
  server {{
    listen 127.0.0.1:{port};
    location / {{ return 404; }}
    location /chat/ {{
      proxy_pass {target}; proxy_http_version 1.1; proxy_buffering off;
      proxy_set_header Connection ""; proxy_set_header Host $http_host;
    }}
  }}
}}
"""


@pytest.fixture
def headrace(io_loop: IOLoop, auth_servers: AuthServers, providers: Any) -> Server:
    start = auth_servers.open(providers=providers, base_path="/chat")
    server: Server = io_loop.run_sync(lambda: start)
    return server


@pytest.fixture(params=["taken off", "left on"])
def site(
    request: pytest.FixtureRequest,
    io_loop: IOLoop,
    headrace: Server,
    needs: Callable[[str], str],
    tmp_path: Path,
) -> Iterator[str]:
    """The address of the site."""
    free, port = bind_unused_port()
    free.close()
    target = f"{headrace.url}/" if request.param == "taken off" else headrace.url
    conf = tmp_path / "nginx.conf"
    conf.write_text(_CONF.format(folder=tmp_path, port=port, target=target))
    process = subprocess.Popen([needs("nginx"), "-p", str(tmp_path), "-c", str(conf)])

    async def ready() -> None:
        async with asyncio.timeout(20):
            while True:
                try:
                    await call(f"http://127.0.0.1:{port}", "GET", "/")
                    break
                except OSError:
                    await asyncio.sleep(0.02)  # it tells nobody when it is ready

    io_loop.run_sync(ready)
    yield f"http://127.0.0.1:{port}"
    process.kill()
    process.wait()


async def _signed_in(visitor: Visitor, auth_servers: AuthServers, address: str) -> Tab:
    tab = await visitor.open_page(address)
    await tab.sign_in((await auth_servers.create_key("alice")).key)
    await expect(tab.field).to_be_focused()
    return tab


@pytest.mark.gen_test
async def test_all_that_it_does_stays_below_the_path(
    site: str, auth_servers: AuthServers, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    requests: list[Request] = []
    context = await visitor.context()
    context.on("request", lambda each: requests.append(each))
    await context.add_init_script("sessionStorage.setItem('theirs', 'x')")
    tab = await visitor.open_page(f"{site}/chat", context=context)  # nginx adds the slash
    await tab.sign_in((await auth_servers.create_key("alice")).key)
    await expect(tab.field).to_be_focused()

    upstream.tokens("Hel")
    await tab.ask("hi")
    await tab.expect_text("Hel")
    await expect(tab.page).to_have_url(re.compile(f"^{re.escape(site)}/chat/c/"))
    await tab.page.reload()  # at an address that is a folder deeper
    upstream.tokens("lo\n\n$x^2$\n\n```python\n1\n```")
    upstream.finish()
    await tab.expect_status("complete")
    await expect(tab.page.locator("math").first).to_be_visible()  # a part that is loaded later
    await tab.button("New conversation").click()
    await expect(tab.page).to_have_url(f"{site}/chat/")
    await tab.listed("hi").click()
    await expect(tab.text).to_contain_text("Hello")
    await tab.page.go_back()
    await expect(tab.page).to_have_url(f"{site}/chat/")
    await tab.button("Sign out").click()
    await expect(tab.sign_in_dialog).to_be_visible()

    await expect(tab.page).to_have_url(f"{site}/chat/")
    assert [] == [each.url for each in requests if not each.url.startswith(f"{site}/chat")]
    kept = await tab.page.evaluate("Object.keys(sessionStorage).concat(Object.keys(localStorage))")
    assert "theirs" in kept
    assert [] == [name for name in kept if name.startswith("headrace.") and "/chat" not in name]


@pytest.mark.gen_test
async def test_the_addresses_it_gives_out_open_from_outside(
    site: str, auth_servers: AuthServers, upstream: ScriptedUpstream, visitor: Visitor
) -> None:
    alice = await auth_servers.create_key("alice")
    upstream.tokens("Hello")
    upstream.finish()
    headers = alice.headers | {"Prefer": "respond-async"}
    asked = await call(site, "POST", "/chat/api/v1/chat", {"content": "hi"}, headers=headers)
    read = await call(site, "GET", asked.body["events_url"], headers=alice.headers)
    tab = await _signed_in(visitor, auth_servers, f"{site}/chat/c/{asked.body['conversation_id']}")

    assert b"event: end" in read.body
    assert asked.headers["location"] == asked.body["events_url"]
    await tab.expect_text("Hello")
    await tab.page.goto(f"{site}/chat/api/docs")
    await tab.page.get_by_role("link", name="openapi.json").click()
    await expect(tab.page).to_have_url(f"{site}/chat/api/openapi.json")
