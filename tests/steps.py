"""Steps that tests of the server share: conversations made, bytes sent, ends awaited."""

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from app.server import Server
from tests.readers import Response, call

JSON = {"Accept": "application/json"}
LATER = {"Prefer": "respond-async"}
# A text and the finish mark in one event; the body stays open after it.
LAST_WORD = b'data: {"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"stop"}]}\n\n'
# A lease must be three checkpoints long; with these an outage soon outlasts it.
SHORT_LEASE = {"checkpoint_seconds": 0.02, "lease_seconds": 0.2}


async def until(came_true: Callable[[], bool]) -> None:
    """Wait for what happens within the next turns of the loop, and that nothing else tells of."""
    while not came_true():  # noqa: ASYNC110
        await asyncio.sleep(0)


async def new_conversation(server: Server) -> str:
    """A new conversation's path."""
    made = await call(server.url, "POST", "/api/v1/conversations", {})
    return f"/api/v1/conversations/{made.body['id']}"


async def messages_of(server: Server, path: str) -> list[dict[str, Any]]:
    data: list[dict[str, Any]] = (await call(server.url, "GET", f"{path}/messages")).body["data"]
    return data


async def stop_newest(url: str) -> None:
    """Stop the live answer of the conversation that was used last."""
    conversations = await call(url, "GET", "/api/v1/conversations?order=updated&limit=1")
    path = f"/api/v1/conversations/{conversations.body['data'][0]['id']}"
    newest = (await call(url, "GET", f"{path}/messages?limit=1")).body["data"][-1]
    assert "live" == newest["status"]
    await call(url, "POST", f"/api/v1/answers/{newest['id']}/stop")


async def kept_answer(server: Server, path: str) -> dict[str, Any]:
    """The conversation's last answer, once it is stored with its end."""
    async with asyncio.timeout(5):
        while True:
            messages = await messages_of(server, path)
            if messages and messages[-1]["status"] != "live":
                return messages[-1]


def asking_whole(
    server: Server, body: dict[str, Any], headers: dict[str, str]
) -> asyncio.Task[Response]:
    """A question whose whole response is waited for."""
    request = call(server.url, "POST", "/api/v1/chat", body, headers=headers)
    return asyncio.create_task(request)


async def sending(server: Server, data: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection on which `data` was sent."""
    parts = urlsplit(server.url)
    stream, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(data)
    return stream, writer


def post(
    body: bytes,
    *,
    version: str = "1.1",
    connection: str = "keep-alive",
    key: str | None = None,
    path: str = "/api/v1/chat",
) -> bytes:
    authorization = "" if key is None else f"Authorization: Bearer {key}\r\n"
    head = (
        f"POST {path} HTTP/{version}\r\nHost: localhost\r\nConnection: {connection}\r\n"
        f"{authorization}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
