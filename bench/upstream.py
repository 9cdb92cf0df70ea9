"""A provider for benchmarks: it speaks OpenAI's dialect at a given pace.

The model's name selects what it sends: `paced-200-20` is 200 tokens, 20 ms apart, each in a write
of its own; `essay-200-20` is the same with the Markdown that models write, and `code-200-20` with
a single block of code; `list`, `items` (short ones), `nested`, `table`, `quote` and `details` have
a single one of these. `long-1000-0` has a thousand characters in each token; `emoji-1000-0` has one
emoji among them; `held-1000-0` does not end; `silent` sends headers only; `mute` sends nothing;
`cut-20-5` breaks the connection after its tokens, `refused` is status 500. An answer's first
token is the question's last word, so that every text is different. `GET /stats` returns the number
of open requests, and the time of each that was closed, by the machine's monotonic clock; `/reset`
forgets those times.

It prints its port. With a file of a certificate and its key, `upstream.py cert.pem`, it prints that
of a second one, where it speaks TLS as providers do.

Events are encoded once for each model, and one timer serves all streams of a millisecond: what is
measured is the server, so this must cost less than it does.
"""

import asyncio
import functools
import heapq
import json
import ssl
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
_FUNCTION = """def scattered(wavelength: float, reference: float = 700.0) -> float:
    \"\"\"How much more than red, by Rayleigh's law.\"\"\"
    if wavelength <= 0:
        raise ValueError(f"no wavelength: {wavelength}")

    return (reference / wavelength) ** 4  # nanometres


"""
# Its fence must open once, so it is longer than any answer: 40,000 tokens.
_CODE = "\n\n```python\n" + _FUNCTION * (160_000 // len(_FUNCTION))
_LIST = """
- **Violet** is scattered most, but there is less of it, and our eyes are *less sensitive* to it.
  - Its wavelength is `400 nm`, so that \\( (700/400)^4 = 9.4 \\).
- **蓝光**的散射大约是红光的 5.9 倍。"""
_ITEMS = "\n- violet\n- 蓝光\n- red"
_NESTED = """
1. Sunlight is scattered by air, and **blue more than red**.

   - Violet is scattered most.
     - There is less of it.
     - Our eyes are less sensitive to it.
   - 蓝光的散射大约是红光的 5.9 倍。

   ```python
   print((700 / 450) ** 4)
   ```

   That is why the sky is blue."""
# As the fence, a table's head and the tag of details come once.
_ROWS = """
| **Blue** | 450 nm | 5.9 |
| 红 | `700 nm` | \\(1\\) |"""
_HEAD_ROW = "\n\n| Colour | Wavelength | Scattered |\n|:---|---:|:---:|"
_TABLE = _HEAD_ROW + _ROWS * (160_000 // len(_ROWS))
_QUOTE = """
> Sunlight is scattered by air, and **blue more than red**:
> the intensity goes as \\( \\lambda^{-4} \\).
>
> - Violet is scattered most.
> - 蓝光的散射大约是红光的 5.9 倍。
>"""
_UNFOLDED = """
Sunlight is scattered by air, and **blue more than red**:
the intensity goes as \\( \\lambda^{-4} \\).

- Violet is scattered most.
- 蓝光的散射大约是红光的 5.9 倍。
"""
_DETAILS = "\n\n<details open><summary>Why the sky is blue</summary>\n" + _UNFOLDED * (
    160_000 // len(_UNFOLDED)
)


def _tokens(text: str) -> tuple[str, ...]:
    """`text` in pieces of four characters, as tokens of English have."""
    return tuple(text[at : at + 4] for at in range(0, len(text), 4))


_LONG = ("x" * 1000,)
_KINDS = {
    "essay": _tokens(_ESSAY),
    "code": _tokens(_CODE),
    "list": _tokens(_LIST),
    "items": _tokens(_ITEMS),
    "nested": _tokens(_NESTED),
    "table": _tokens(_TABLE),
    "quote": _tokens(_QUOTE),
    "details": _tokens(_DETAILS),
    "long": _LONG,
    "held": _LONG,
    "emoji": ("x" * 999 + "🚰", *_LONG * 999),
}
_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
# What OpenAI's events have around a token.
_ENVELOPE = {
    "id": "chatcmpl-bench0000000000000000",
    "object": "chat.completion.chunk",
    "created": 1767225600,
    "system_fingerprint": "fp_0000000000",
}


def tokens_of(tag: str, tokens: int, kind: str = "paced") -> list[str]:
    """The tokens that `<kind>-<tokens>-…` answers to a question that ends with `tag`."""
    words = _KINDS.get(kind, WORDS)
    return [f"[{tag}]", *(words[i % len(words)] for i in range(tokens - 1))]


def text(tag: str, tokens: int) -> str:
    """The whole text of such an answer."""
    return "".join(tokens_of(tag, tokens))


class Script:
    """What a model sends, encoded: `pause` is in seconds between its `tokens` tokens."""

    def __init__(self, model: str) -> None:
        kind, tokens, pause = model.split("-")
        self.model = model
        self.tokens, self.pause = int(tokens), int(pause) / 1000
        self.holds = kind == "held"
        self.cuts = kind == "cut"
        words = _KINDS.get(kind, WORDS)
        self._words = [self._token(word) for word in words]
        usage = {
            "prompt_tokens": 1,
            "completion_tokens": self.tokens,
            "total_tokens": self.tokens + 1,
        }
        stop = {"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}
        self.end = (
            self._event([stop]) + self._event([], usage) + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
        )

    def token(self, number: int, tag: str) -> bytes:
        """The token of this number, as a chunk of the response."""
        if number == 0:
            return self._token(f"[{tag}]")
        return self._words[(number - 1) % len(self._words)]

    def _token(self, content: str) -> bytes:
        delta = {"content": content}
        return self._event([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}])

    def _event(self, choices: list[object], usage: dict[str, int] | None = None) -> bytes:
        event = {**_ENVELOPE, "model": self.model, "choices": choices, "usage": usage}
        body = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
        return b"%x\r\ndata: %b\n\n\r\n" % (len(body) + 8, body)


@functools.cache
def _script(model: str) -> Script:
    return Script(model)


class Clock:
    """Calls streams when their next token is due; those of one millisecond share a timer."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._due: dict[int, list[Upstream]] = {}
        self._moments: list[int] = []
        self._timer: asyncio.TimerHandle | None = None

    def add(self, due: float, stream: "Upstream") -> None:
        """Call `stream.send_token` at `due`, a time of the monotonic clock."""
        moment = int(due * 1000) + 1
        if moment not in self._due:
            self._due[moment] = []
            heapq.heappush(self._moments, moment)
            if self._moments[0] == moment:
                self._set_timer()
        self._due[moment].append(stream)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        delay = self._moments[0] / 1000 - time.monotonic()
        self._timer = self._loop.call_later(max(delay, 0), self._ring)

    def _ring(self) -> None:
        self._timer = None
        now = int(time.monotonic() * 1000)
        while self._moments and self._moments[0] <= now:
            for stream in self._due.pop(heapq.heappop(self._moments)):
                stream.send_token()
        if self._moments:
            self._set_timer()


class Upstream(asyncio.Protocol):
    """A connection: it answers one request after the other."""

    clock: Clock
    opened = 0
    finished = 0
    closed: dict[str, float] = {}  # noqa: RUF012 -- shared by all connections of the process

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.received = b""
        self.tag: str | None = None
        self.script: Script | None = None
        self.writable = True
        self.waits = False

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
        target = head.split(b" ", 2)[1]
        if target == b"/reset":
            self.closed.clear()
            self._reply({})
        elif target == b"/stats":
            self._reply({"open": self.opened, "finished": self.finished, "closed": self.closed})
        elif head.startswith(b"GET"):
            self._reply({"object": "list", "data": []})  # a list of models, which peers ask for
        else:
            self._answer(json.loads(body[:length]))

    def pause_writing(self) -> None:
        self.writable = False

    def resume_writing(self) -> None:
        self.writable = True
        if self.waits:
            self.waits = False
            self.send_token()

    def connection_lost(self, exc: Exception | None) -> None:
        self.script = None
        if self.tag is not None:
            type(self).opened -= 1
            self.closed[self.tag] = time.monotonic()

    def send_token(self) -> None:
        """Send the token that is due, if the client is still there and takes it."""
        script = self.script
        if script is None or self.tag is None:
            return
        if not self.writable:
            self.waits = True
            return
        self.transport.write(script.token(self.number, self.tag))
        self.number += 1
        if self.number < script.tokens:
            self._schedule(script)
        elif not script.holds:
            self._finish(script)

    def _schedule(self, script: Script) -> None:
        if script.pause:
            self.due += script.pause
            self.clock.add(self.due, self)
        else:
            # Not in a loop of our own: each token is a write, as a provider's are.
            asyncio.get_running_loop().call_soon(self.send_token)

    def _reply(self, fields: dict[str, object], status: bytes = b"200 OK") -> None:
        body = json.dumps(fields).encode()
        self.transport.write(
            b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
            % (status, len(body), body)
        )

    def _answer(self, asked: dict[str, object]) -> None:
        messages = asked["messages"]
        assert isinstance(messages, list)
        content = messages[-1]["content"]
        if isinstance(content, list):
            content = content[-1]["text"]
        model = str(asked["model"])
        if model == "refused":
            self._reply({"error": {"message": "out of order"}}, b"500 Internal Server Error")
            return
        self.tag = content.split()[-1]
        type(self).opened += 1
        if model == "mute":
            return
        self.transport.write(_HEAD)
        if model == "silent":
            return
        self.script = _script(model)
        self.number = 0
        self.due = time.monotonic()
        self.send_token()

    def _finish(self, script: Script) -> None:
        if script.cuts:
            self.script = None
            self.transport.close()
            return
        self.transport.write(script.end)
        self.script = self.tag = None
        type(self).opened -= 1
        type(self).finished += 1


async def main() -> None:
    """Listen on free loopback ports, print them, and serve until the process is ended."""
    loop = asyncio.get_running_loop()
    Upstream.clock = Clock(loop)
    contexts: list[ssl.SSLContext | None] = [None]
    for certificate in sys.argv[1:]:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
        contexts.append(context)
    for context in contexts:
        server = await loop.create_server(Upstream, "127.0.0.1", 0, ssl=context, backlog=4096)
        print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        sys.exit(0)
