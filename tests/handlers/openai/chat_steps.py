"""Steps of the tests of chat completions: asking, and reading streams of them."""

import json
from collections.abc import AsyncIterator
from typing import Any

from app.server import Server
from tests.readers import Reader, Response, call

PATH = "/v1/chat/completions"
MODEL = "openai/gpt-4o-mini"
DONE = "[DONE]"


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def asked(*messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A request's body; without messages it asks hi."""
    return {"model": MODEL, "messages": messages or [user("hi")], **fields}


async def whole(
    server: Server, *messages: dict[str, Any], headers: dict[str, str] | None = None, **fields: Any
) -> Response:
    """A request for a whole answer."""
    return await call(server.url, "POST", PATH, asked(*messages, **fields), headers=headers)


async def streamed(server: Server, *messages: dict[str, Any], **fields: Any) -> list[Any]:
    """All data of a stream."""
    stream = await open_stream(server, *messages, **fields)
    return [data async for data in data_of(stream)]


async def open_stream(
    server: Server, *messages: dict[str, Any], headers: dict[str, str] | None = None, **fields: Any
) -> Reader:
    """A request for a stream, whose head has been read."""
    body = asked(*messages, stream=True, **fields)
    return await Reader.open(server.url, "POST", PATH, body, headers=headers)


async def data_of(stream: Reader) -> AsyncIterator[Any]:
    """The data of a stream's events, as they come; comments are left out."""
    async for block in stream.blocks():
        if block.startswith(":"):
            continue
        name, _, value = block.partition(": ")
        assert "data" == name
        yield value if value == DONE else json.loads(value)


def deltas(data: list[Any]) -> list[dict[str, Any]]:
    """The deltas of a stream's chunks."""
    chunks = [chunk for chunk in data if isinstance(chunk, dict) and chunk.get("choices")]
    return [chunk["choices"][0]["delta"] for chunk in chunks]


def refusal(response: Response) -> tuple[int, str, str | None]:
    """Status, code and parameter of an error response."""
    error = response.body["error"]
    assert isinstance(error["message"], str)
    return response.status, error["code"], error["param"]
