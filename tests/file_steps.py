"""Questions with images and files, and what becomes of them."""

import base64
import random
import sqlite3
from contextlib import closing
from typing import Any

from pymongo import MongoClient

from app.server import Server
from tests.readers import Response, call
from tests.steps import JSON, messages_of

PNG = b"\x89PNG\r\n\x1a\n" + random.Random(1).randbytes(3000)
JPEG = b"\xff\xd8\xff\xe0" + bytes(100)
GIF = b"GIF89a" + bytes(100)
WEBP = b"RIFF\x10\x00\x00\x00WEBPVP8 " + bytes(100)
PDF = b"%PDF-1.7\n" + bytes(100)
TEXT = "a,b\n1,2\r\n\t界".encode()


def data_uri(content: bytes, media_type: str = "application/octet-stream") -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def image(content: bytes, media_type: str = "image/png") -> dict[str, Any]:
    return {"type": "image", "url": data_uri(content, media_type)}


def text(words: str = "What is this?") -> dict[str, Any]:
    return {"type": "text", "text": words}


async def ask(server: Server, *content: Any, headers: Any = None, **fields: Any) -> Response:
    """The whole answer to a question with these parts."""
    body = {"content": list(content), **fields}
    return await call(server.url, "POST", "/api/v1/chat", body, headers=JSON | (headers or {}))


async def get(server: Server, file_id: str, method: str = "GET", **headers: str) -> Response:
    return await call(server.url, method, f"/api/v1/files/{file_id}", headers=headers)


def code(response: Response) -> tuple[int, str]:
    return response.status, response.body["error"]["code"]


async def asked(server: Server, response: Response) -> list[dict[str, Any]]:
    """The blocks of the question that was answered."""
    path = f"/api/v1/conversations/{response.body['conversation_id']}"
    blocks: list[dict[str, Any]] = (await messages_of(server, path))[-2]["blocks"]
    return blocks


def files_in(settings: dict[str, Any]) -> int:
    """How many files the store of these settings has, also those that nobody sees."""
    scheme, _, file = settings["storage"]["url"].partition(":///")
    if scheme == "sqlite":
        with closing(sqlite3.connect(file)) as shell:
            (count,) = shell.execute("SELECT count(*) FROM files").fetchone()
            return int(count)
    with MongoClient[dict[str, Any]](settings["storage"]["url"]) as client:
        return client.get_default_database()["files"].count_documents({})
