"""A provider for benchmarks: it speaks OpenAI's dialect at a given pace.

The model's name selects what it sends: `paced-200-20` is 200 tokens, 20 ms apart; `essay-200-20` is
the same with the Markdown that models write; `long-1000-0` has a thousand characters in each token;
`emoji-1000-0` has one emoji among them; `held-1000-0` does not end; `silent` sends headers only;
`mute` sends nothing. An answer's first token is the question's last word, so that every text is
different. `GET /stats` returns the number of open requests, and the time of each that was closed,
by the machine's monotonic clock.
"""

import asyncio
import json
import sys
import time

WORDS = (" the", " stream", " 东京", " 🚰", ' "quoted"', "\n", " naïve", " and", ",", " so", " on")
_ESSAY = r"""## Why the sky is blue

Sunlight is scattered by air, and **blue more than red**: the intensity goes as \( \lambda^{-4} \).
Violet is scattered most, but there is less of it, and our eyes are *less sensitive* to it.

| Colour | Wavelength | Scattered |
|:-------|-----------:|:---------:|
| Blue   |     450 nm |    5.9    |
| Red    |     700 nm |    1      |

1. 波长越短，散射越强；
2. 蓝光的散射大约是红光的 5.9 倍。

```python
def scattered(wavelength: float) -> float:
    return (700 / wavelength) ** 4  # nanometres
```

$$ \frac{I_{450}}{I_{700}} = \left( \frac{700}{450} \right)^4 $$

"""
# Four characters each, as tokens of English have.
_ESSAY_TOKENS = tuple(_ESSAY[at : at + 4] for at in range(0, len(_ESSAY), 4))
_LONG = ("x" * 1000,)
_KINDS = {
    "essay": _ESSAY_TOKENS,
    "long": _LONG,
    "held": _LONG,
    "emoji": ("x" * 999 + "🚰", *_LONG * 999),
}
_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)


def text(tag: str, tokens: int) -> str:
    """The answer of `paced-<tokens>-…` to a question that ends with `tag`."""
    return f"[{tag}]" + "".join(WORDS[i % len(WORDS)] for i in range(tokens - 1))


class Upstream(asyncio.Protocol):
    """A connection: it answers one request after the other, each with a timer."""

    opened = 0
    finished = 0
    closed: dict[str, float] = {}  # noqa: RUF012 -- shared by all connections of the process

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.received = b""
        self.tag: str | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.words: tuple[str, ...] = WORDS
        self.holds = False

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, end, body = self.received.partition(b"\r\n\r\n")
        if not end:
            return
        length = 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        if len(body) < length:
            return
        self.received = body[length:]
        if head.startswith(b"GET"):
            self._stats()
        else:
            self._answer(json.loads(body[:length]))

    def connection_lost(self, exc: Exception | None) -> None:
        if self.timer is not None:
            self.timer.cancel()
        if self.tag is not None:
            type(self).opened -= 1
            self.closed[self.tag] = time.monotonic()

    def _stats(self) -> None:
        stats = {"open": self.opened, "finished": self.finished, "closed": self.closed}
        body = json.dumps(stats).encode()
        self.transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
            % (len(body), body)
        )

    def _answer(self, asked: dict[str, object]) -> None:
        messages = asked["messages"]
        assert isinstance(messages, list)
        self.tag = messages[-1]["content"].split()[-1]
        type(self).opened += 1
        model = str(asked["model"])
        if model == "mute":
            return
        self.transport.write(_HEAD)
        if model == "silent":
            return
        kind, tokens, pause = model.split("-")
        self.words = _KINDS.get(kind, WORDS)
        self.holds = kind == "held"
        self._token(0, int(tokens), int(pause) / 1000)

    def _token(self, number: int, tokens: int, pause: float) -> None:
        if number == tokens:
            if not self.holds:
                self._finish(tokens)
            return
        token = f"[{self.tag}]" if number == 0 else self._word(number - 1)
        self._event({"choices": [{"index": 0, "delta": {"content": token}}]})
        loop = asyncio.get_running_loop()
        self.timer = loop.call_later(pause, self._token, number + 1, tokens, pause)

    def _word(self, number: int) -> str:
        return self.words[number % len(self.words)]

    def _finish(self, tokens: int) -> None:
        usage = {"prompt_tokens": 1, "completion_tokens": tokens}
        choice = {"index": 0, "delta": {}, "finish_reason": "stop"}
        self._event({"choices": [choice], "usage": usage})
        self.transport.write(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
        self.tag = None
        type(self).opened -= 1
        type(self).finished += 1

    def _event(self, event: dict[str, object]) -> None:
        whole = {"id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": 0, **event}
        data = b"data: %b\n\n" % json.dumps(whole, ensure_ascii=False).encode()
        self.transport.write(b"%x\r\n%b\r\n" % (len(data), data))


async def main() -> None:
    """Listen on a free loopback port, print it, and serve until the process is ended."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Upstream, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        sys.exit(0)
