"""Debian's Firefox, driven by WebDriver BiDi: JSON over a WebSocket that Firefox itself offers.

Playwright drives no Firefox but its own, which no package brings, and Debian has no geckodriver.
The protocol is at https://w3c.github.io/webdriver-bidi/.
"""

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

from tornado.websocket import WebSocketClientConnection, websocket_connect

# Its start and the demo's answer take five seconds each, on a busy machine several times that.
_WAIT_SECONDS = 30

# Without a screen there is no mouse; the page would take that for a phone.
_PREFERENCES = 'user_pref("ui.primaryPointerCapabilities", 6); // accurate, and hovers\n'

# Resolves once an expression is true, which is looked at before each frame, as Playwright does.
_UNTIL = """new Promise((resolve) => {
  const look = () => ((%s) ? resolve(true) : requestAnimationFrame(look));
  look();
})"""


class Firefox:
    """One tab of it, with the errors and warnings on its console and those of the policy."""

    def __init__(self, websocket: WebSocketClientConnection) -> None:
        self._websocket = websocket
        self._number = 0
        self._tab = ""
        self.errors: list[str] = []

    async def start(self) -> None:
        await self._call("session.new", capabilities={})
        await self._call("session.subscribe", events=["log.entryAdded"])
        self._tab = (await self._call("browsingContext.getTree"))["contexts"][0]["context"]

    async def open(self, url: str) -> None:
        await self._call("browsingContext.navigate", context=self._tab, url=url, wait="complete")

    async def reload(self) -> None:
        await self._call("browsingContext.reload", context=self._tab, wait="complete")

    async def type(self, text: str) -> None:
        """Press keys; the one of Enter is "\\ue007"."""
        keys = [{"type": kind, "value": key} for key in text for kind in ("keyDown", "keyUp")]
        actions = [{"type": "key", "id": "keyboard", "actions": keys}]
        await self._call("input.performActions", context=self._tab, actions=actions)

    async def value(self, expression: str) -> Any:
        """What an expression is in the page; a promise is awaited."""
        asked = {"expression": expression, "target": {"context": self._tab}, "awaitPromise": True}
        found = await self._call("script.evaluate", **asked)
        assert "success" == found["type"], f"{expression}: {found}"
        return found["result"].get("value")

    async def until(self, expression: str) -> None:
        """Wait until an expression is true in the page."""
        await self.value(_UNTIL % expression)

    async def _call(self, method: str, **params: Any) -> Any:
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        await self._websocket.write_message(json.dumps(message))
        with suppress(TimeoutError):
            async with asyncio.timeout(_WAIT_SECONDS):
                while (text := await self._websocket.read_message()) is not None:
                    heard = json.loads(text)
                    if heard.get("id") == self._number:
                        assert "success" == heard["type"], f"{method}: {heard}"
                        return heard["result"]
                    if heard["params"].get("level") in ("error", "warn"):
                        self.errors.append(heard["params"]["text"])
        raise AssertionError(f"Firefox did not say that this was done: {method} {params}")


@asynccontextmanager
async def running_firefox(program: str, folder: Path) -> AsyncIterator[Firefox]:
    """A headless Firefox with a new profile in the folder."""
    (folder / "user.js").write_text(_PREFERENCES, "utf-8")
    with subprocess.Popen(  # noqa: ASYNC220 -- it takes a millisecond
        [program, "--headless", "--profile", str(folder), "--remote-debugging-port", "0"],
        env={**os.environ, "HOME": str(folder)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            with closing(await websocket_connect(f"{await _address(folder)}/session")) as websocket:
                firefox = Firefox(websocket)
                await firefox.start()
                yield firefox
        finally:
            process.terminate()


async def _address(folder: Path) -> str:
    """Where Firefox listens, which it writes into its profile."""
    async with asyncio.timeout(_WAIT_SECONDS):
        while True:
            with suppress(FileNotFoundError, ValueError):  # not there yet, or not whole
                told = json.loads((folder / "WebDriverBiDiServer.json").read_text("utf-8"))
                return f"ws://{told['ws_host']}:{told['ws_port']}"
            await asyncio.sleep(0.05)  # a file of another process: there is no event
