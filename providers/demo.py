"""A provider for trying the server without an API key: it streams scripted answers at a natural
pace.

It is a real upstream on a loopback port, called by the same client and dialect that call OpenAI, so
that what works with the demo works with a provider.
"""

import asyncio
import re
from collections.abc import Iterator

import msgspec
from tornado.httpserver import HTTPServer
from tornado.iostream import StreamClosedError
from tornado.netutil import bind_sockets
from tornado.web import Application, HTTPError, RequestHandler

# Tokens per second: about the speed of a current model, and one at which people can read along.
_SECONDS_PER_TOKEN = 0.04

# One such character decides: a question in English contains none.
_CHINESE = re.compile(r"[\u3400-\u9fff]")

_IN_ENGLISH = (
    "This is Headrace's demo: no model is behind it, and what you read is a script. "
    "You asked: “{question}”\n\n"
    "Your question was stored before it left for the provider, and each of these words arrives "
    "as an event of its own. Close this connection and the upstream call stops at once. "
    "To talk to a model, set the variable of its vendor's key, such as OPENAI_API_KEY, "
    "ANTHROPIC_API_KEY, GEMINI_API_KEY or DEEPSEEK_API_KEY, and restart. 🚰"
)
_IN_CHINESE = (
    "这是 Headrace 的演示：背后没有模型，您读到的是一段脚本。您问的是：「{question}」\n\n"
    "您的问题在发往服务商之前已经保存，这里的每个词都作为单独的事件到达。"
    "关闭连接，上游请求会立即停止。"
    "设置服务商密钥的环境变量，如 DASHSCOPE_API_KEY、DEEPSEEK_API_KEY、MOONSHOT_API_KEY 或 "
    "OPENAI_API_KEY，重启后即可与真正的模型对话。🚰"
)

# Characters of the question that are quoted: a long one would hide the rest of the answer.
_QUOTED_CHARS = 60


class DemoUpstream:
    """The HTTP server of the demo provider. `base_url` is set once it has started."""

    def __init__(self, *, seconds_per_token: float = _SECONDS_PER_TOKEN) -> None:
        application = Application(
            [(r"/v1/chat/completions", _DemoCompletions, {"pause": seconds_per_token})],
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


class _DemoMessage(msgspec.Struct):
    role: str
    content: str


class _DemoRequest(msgspec.Struct):
    messages: list[_DemoMessage]
    model: str = "demo"


class _DemoCompletions(RequestHandler):
    """OpenAI's chat completions, as far as streaming a text needs them."""

    def initialize(self, pause: float) -> None:
        self._pause = pause
        self._left = asyncio.Event()

    def on_connection_close(self) -> None:
        self._left.set()

    async def post(self) -> None:
        try:
            asked = msgspec.json.decode(self.request.body, type=_DemoRequest)
        except msgspec.MsgspecError:
            raise HTTPError(400) from None
        self.set_header("Content-Type", "text/event-stream; charset=utf-8")
        tokens = list(_tokens(_script(asked.messages[-1].content if asked.messages else "")))
        usage = {
            "prompt_tokens": sum(len(message.content) for message in asked.messages) // 4 + 1,
            "completion_tokens": len(tokens),
        }
        try:
            await self._send(asked.model, {"role": "assistant", "content": ""})
            for token in tokens:
                if await self._paused():
                    return
                await self._send(asked.model, {"content": token})
            await self._send(asked.model, {}, finish_reason="stop", usage=usage)
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
        delta: dict[str, str],
        finish_reason: str | None = None,
        usage: dict[str, int] | None = None,
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


def _script(question: str) -> str:
    quoted = " ".join(question.split())
    if len(quoted) > _QUOTED_CHARS:
        quoted = quoted[:_QUOTED_CHARS] + "…"
    script = _IN_CHINESE if _CHINESE.search(question) else _IN_ENGLISH
    return script.format(question=quoted)


def _tokens(text: str) -> Iterator[str]:
    """Cut a text into pieces such as a model sends: a word with the space before it, or two
    characters.
    """
    yield from re.findall(r"\s*[!-~]+|\s*[^\s!-~]{1,2}|\s+$", text)
