"""Every way to ask for a stream, by the bytes that its client would send and look for."""

import asyncio
import json
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

from tests.readers import Connection


class Way(NamedTuple):
    """A way to ask for a stream, and what in it says how the answer ended."""

    path: str
    body: dict[str, Any]
    whole: bytes
    broken: bytes
    stopped: bytes


_ASKED = [{"role": "user", "content": "hi"}]
_UI_ASKED = [{"id": "u1", "role": "user", "parts": [{"type": "text", "text": "hi"}]}]
WAYS = {
    "native": Way(
        *("/api/v1/chat", {"content": "hi"}),
        whole=b'"status":"complete"',
        broken=b'"error":{',
        stopped=b'"status":"stopped"',
    ),
    "chat completions": Way(
        "/v1/chat/completions",
        {"model": "openai/gpt-4o-mini", "stream": True, "messages": _ASKED},
        whole=b"data: [DONE]",
        broken=b'"error":{',
        stopped=b'"code":"stopped"',
    ),
    "responses": Way(
        *("/v1/responses", {"model": "openai/gpt-4o-mini", "stream": True, "input": "hi"}),
        whole=b'"response.completed"',
        broken=b'"response.failed"',
        stopped=b'"response.incomplete"',
    ),
    "AI SDK": Way(
        *("/ai-sdk/chat", {"id": "chat", "messages": _UI_ASKED, "trigger": "submit-message"}),
        whole=b'"finishReason":"stop"',
        broken=b'"type":"error"',
        stopped=b'"type":"abort"',
    ),
    "AG-UI": Way(
        *("/ag-ui", {"threadId": "t", "runId": "r", "messages": [{"id": "u1", **_ASKED[0]}]}),
        whole=b'"outcome":{"type":"success"',
        broken=b'"RUN_ERROR"',
        stopped=b'"outcome":{"type":"cancelled"',
    ),
}


class Asked:
    """A stream that is read until its connection is closed."""

    def __init__(self, stream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._stream = stream
        self._writer = writer
        self._received = b""

    @classmethod
    async def ask(cls, url: str, way: Way, headers: dict[str, str]) -> Self:
        """Ask with HTTP/1.0, whose streams end with their connections."""
        connection = await Connection.open(url)
        body = json.dumps(way.body).encode()
        fields = {"Host": urlsplit(url).netloc, "Accept": "text/event-stream", **headers}
        fields |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        connection.writer.write(f"POST {way.path} HTTP/1.0\r\n{head}\r\n".encode() + body)
        return cls(connection.stream, connection.writer)

    async def until(self, text: bytes) -> None:
        """Read until this has arrived."""
        while text not in self._received:
            more = await self._stream.read(1000)
            assert more, self._received
            self._received += more

    async def rest(self) -> bytes:
        """Read to the end of the connection; gives all that arrived."""
        self._received += await self._stream.read()
        self._writer.close()
        return self._received
