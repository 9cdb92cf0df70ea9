"""A chat of `useChat` as tests need it: its requests, and the chunks that come.

`tests/clients/` has the client itself; here is what it sends, so that each case can be spelled
out.
"""

import json
from collections.abc import Iterable
from typing import Any, Self

from tests.readers import Reader, Response, call

Chunk = dict[str, Any]
PATH = "/ai-sdk/chat"


def user(text: str, message_id: str = "u1", *files: dict[str, Any]) -> dict[str, Any]:
    """A message of the user's."""
    return {"id": message_id, "role": "user", "parts": [{"type": "text", "text": text}, *files]}


def assistant(message_id: str, *parts: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    """A message of the assistant's."""
    message = {"id": message_id, "role": "assistant", "parts": list(parts)}
    return message | ({"metadata": metadata} if metadata else {})


def tool(call_id: str, name: str = "weather", **fields: Any) -> dict[str, Any]:
    """A part that is a tool call, with its output if there is one."""
    return {"type": f"tool-{name}", "toolCallId": call_id, "input": {}, **fields}


class Chat:
    """A chat by its id, at a server."""

    def __init__(
        self, url: str, chat_id: str = "c1", headers: dict[str, str] | None = None
    ) -> None:
        self.url = url
        self.id = chat_id
        self.headers = headers or {}

    def body(self, *messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
        return {"id": self.id, "messages": messages, "trigger": "submit-message", **fields}

    async def post(self, *messages: dict[str, Any], **fields: Any) -> Response:
        """Send messages, the last one asks; all of the response."""
        return await call(
            self.url, "POST", PATH, self.body(*messages, **fields), headers=self.headers
        )

    async def send(self, body: dict[str, Any]) -> list[Chunk]:
        """The chunks of the answer to a body as it is."""
        response = await call(self.url, "POST", PATH, body, headers=self.headers)
        assert 200 == response.status, response
        return chunks_in(response.body)

    async def ask(self, *messages: dict[str, Any], **fields: Any) -> list[Chunk]:
        """The chunks of the answer."""
        return await self.send(self.body(*messages, **fields))

    async def resume(self, query: str = "") -> list[Chunk] | None:
        """The chunks of the newest answer; None if there is nothing to be resumed."""
        response = await call(
            self.url, "GET", f"{PATH}/{self.id}/stream{query}", headers=self.headers
        )
        return None if response.status == 204 else chunks_in(response.body)

    async def stop(self) -> int:
        response = await call(self.url, "POST", f"{PATH}/{self.id}/stop", headers=self.headers)
        return response.status

    async def open(self, *messages: dict[str, Any], **fields: Any) -> "Stream":
        """Send messages, and read the answer as it comes."""
        body = self.body(*messages, **fields)
        return Stream(await Reader.open(self.url, "POST", PATH, body, headers=self.headers))

    async def reopen(self) -> "Stream":
        """Read the newest answer as it comes."""
        path = f"{PATH}/{self.id}/stream"
        return Stream(await Reader.open(self.url, "GET", path, headers=self.headers))


class Stream:
    """A stream that is read as it comes."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.chunks: list[Chunk] = []
        self._blocks = reader.blocks()

    async def next(self) -> Chunk | None:
        """The next chunk; None at the end."""
        async for block in self._blocks:
            if block.startswith("data: {"):
                self.chunks.append(json.loads(block.removeprefix("data: ")))
                return self.chunks[-1]
        return None

    async def text(self, expected: str) -> Self:
        """Read until the text is `expected`."""
        while text_of(self.chunks) != expected:
            assert expected.startswith(text_of(self.chunks))
            assert await self.next() is not None, self.chunks
        return self

    async def end(self) -> list[Chunk]:
        """Read to the end; all chunks."""
        while await self.next() is not None:
            pass
        return self.chunks

    def close(self) -> None:
        self.reader.close()


def chunks_in(body: bytes) -> list[Chunk]:
    """The chunks of a whole stream, whose last event has to be `[DONE]`."""
    events = [block for block in body.decode().split("\n\n") if block.startswith("data: ")]
    assert "data: [DONE]" == events.pop()
    return [json.loads(event.removeprefix("data: ")) for event in events]


def text_of(chunks: Iterable[Chunk]) -> str:
    return "".join(chunk["delta"] for chunk in chunks if chunk["type"] == "text-delta")


def types_of(chunks: Iterable[Chunk]) -> list[str]:
    return [chunk["type"] for chunk in chunks]


def one(chunks: Iterable[Chunk], kind: str) -> Chunk:
    """The one chunk of this type."""
    [found] = [chunk for chunk in chunks if chunk["type"] == kind]
    return found


def metadata_of(chunks: Iterable[Chunk]) -> dict[str, Any]:
    """The message's metadata, as the client merges it."""
    merged: dict[str, Any] = {}
    for chunk in chunks:
        merged |= chunk.get("messageMetadata") or {}
    return merged


def message_of(chunks: list[Chunk], *parts: dict[str, Any]) -> dict[str, Any]:
    """The assistant's message that the client has of an answer."""
    metadata = metadata_of(chunks)
    shown = parts or ({"type": "text", "text": text_of(chunks)},)
    return assistant(one(chunks, "start")["messageId"], {"type": "step-start"}, *shown, **metadata)
