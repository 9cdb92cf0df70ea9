"""A provider for trying the server without an API key: it streams scripted answers at a natural
pace.

It is a real upstream on a loopback port, called by the same client and dialect that call OpenAI, so
that what works with the demo works with a provider.
"""

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import msgspec
from tornado.httpserver import HTTPServer
from tornado.iostream import StreamClosedError
from tornado.netutil import bind_sockets
from tornado.web import Application, HTTPError, RequestHandler

from providers.demo_scripts import DemoRequest, Script, Scripts

# About the speed of a current model.
_SECONDS_PER_TOKEN = 0.02

_Delta = dict[str, Any]


class DemoUpstream:
    """The HTTP server of the demo provider. `base_url` is set once it has started."""

    def __init__(self, *, seconds_per_token: float = _SECONDS_PER_TOKEN) -> None:
        application = Application(
            [
                (
                    r"/v1/chat/completions",
                    _DemoCompletions,
                    {"scripts": Scripts(), "pause": seconds_per_token},
                )
            ],
            log_function=lambda _: None,
        )
        self._server = HTTPServer(application)
        self.base_url = ""

    def start(self) -> None:
        """Listen on a free loopback port."""
        sockets = bind_sockets(0, "127.0.0.1")
        self._server.add_sockets(sockets)
        self.base_url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}/v1"

    async def close(self) -> None:
        """Stop listening and close every connection."""
        self._server.stop()
        await self._server.close_all_connections()


class _DemoCompletions(RequestHandler):
    """OpenAI's chat completions, as far as streaming an answer needs them."""

    def initialize(self, scripts: Scripts, pause: float) -> None:
        self._scripts = scripts
        self._pause = pause
        self._left = asyncio.Event()

    def on_connection_close(self) -> None:
        self._left.set()

    async def post(self) -> None:
        try:
            asked = msgspec.json.decode(self.request.body, type=DemoRequest)
        except msgspec.MsgspecError:
            raise HTTPError(400) from None
        self.set_header("Content-Type", "text/event-stream; charset=utf-8")
        script = self._scripts.answer(asked)
        whole = list(_deltas(script, asked))
        deltas = whole[: asked.max_tokens]
        try:
            await self._send(asked.model, {"role": "assistant", "content": ""})
            for delta in deltas:
                if await self._paused():
                    return
                await self._send(asked.model, delta)
            await self._send(
                asked.model,
                {},
                finish_reason=_finish_reason(deltas, whole),
                usage=_usage(asked, deltas),
            )
            self.write(b"data: [DONE]\n\n")
        except StreamClosedError:
            return

    async def _paused(self) -> bool:
        """Wait as long as a token takes; returns True if the client disconnected meanwhile."""
        try:
            await asyncio.wait_for(self._left.wait(), self._pause)
        except TimeoutError:
            return False
        return True

    async def _send(
        self,
        model: str,
        delta: _Delta,
        finish_reason: str | None = None,
        usage: dict[str, Any] | None = None,
    ) -> None:
        chunk = {
            "id": "chatcmpl-demo",
            "object": "chat.completion.chunk",
            "created": 0,
            "model": model,
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}],
            "usage": usage,
        }
        self.write(b"data: %b\n\n" % msgspec.json.encode(chunk))
        await self.flush()


def _deltas(script: Script, asked: DemoRequest) -> Iterator[_Delta]:
    """Cut a script into tokens, up to a stop sequence."""
    ends = [end for stop in asked.stop if (end := script.text.find(stop)) >= 0]
    yield from ({"reasoning_content": token} for token in _tokens(script.reasoning))
    yield from ({"content": token} for token in _tokens(script.text[: min(ends, default=None)]))
    if script.call is None or ends:
        return
    call = {
        "id": f"call_{len(asked.messages)}",  # of which a conversation has each once
        "type": "function",
        "function": {"name": script.call.name, "arguments": ""},
    }
    yield {"tool_calls": [{"index": 0, **call}]}
    for token in _tokens(script.call.arguments):
        yield {"tool_calls": [{"index": 0, "function": {"arguments": token}}]}


def _finish_reason(deltas: list[_Delta], whole: list[_Delta]) -> str:
    if len(deltas) < len(whole):
        return "length"
    return "tool_calls" if whole and "tool_calls" in whole[-1] else "stop"


def _tokens(text: str) -> Iterator[str]:
    """Cut a text into pieces such as a model sends: a word with the space before it, or two
    characters.
    """
    yield from re.findall(r"\s*[!-~]+|\s*[^\s!-~]{1,2}|\s+$", text)


def _usage(asked: DemoRequest, deltas: list[_Delta]) -> dict[str, Any]:
    reasoning = sum("reasoning_content" in delta for delta in deltas)
    return {
        "prompt_tokens": sum(len(message.text) for message in asked.messages) // 4 + 1,
        "completion_tokens": len(deltas),
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }
