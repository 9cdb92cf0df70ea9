"""The calls that an answer was made of: kept with it, for the operator."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.readers import Reader, call
from tests.serving import Serving
from tests.steps import JSON
from tests.upstreams import ScriptedUpstream


def attempts_of(folder: Path, answer_id: str) -> list[dict[str, Any]]:
    """What the store has of an answer's calls, times left out."""
    with sqlite3.connect(folder / "headrace.db") as database:
        query = "SELECT attempts FROM messages WHERE id = ?"
        (text,) = database.execute(query, (answer_id,)).fetchone()
    found: list[dict[str, Any]] = json.loads(text)
    for each in found:
        assert each.pop("ms") >= 0
        assert each.pop("started_at").endswith("Z")
    return found


@pytest.mark.gen_test
async def test_a_call_that_finished(
    serve: Serving, providers: Any, upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    server = await serve.start(providers=providers)
    upstream.tokens("a")
    upstream.finish(usage=(3, 5))
    answered = await call(server.url, "POST", "/api/v1/chat", {"content": "q"}, headers=JSON)

    usage = {"input_tokens": 3, "output_tokens": 5}
    assert [{"target": "openai/gpt-4o-mini", "http_status": 200, "usage": usage}] == attempts_of(
        tmp_path, answered.body["id"]
    )


@pytest.mark.gen_test
async def test_a_call_that_was_refused(
    serve: Serving, providers: Any, upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    server = await serve.start(providers=providers)
    upstream.fail(429, {"error": {"code": "rate_limit_exceeded"}})
    answered = await call(server.url, "POST", "/api/v1/chat", {"content": "q"}, headers=JSON)

    assert [
        {"target": "openai/gpt-4o-mini", "http_status": 429, "code": "provider_rate_limited"}
    ] == attempts_of(tmp_path, answered.body["message"]["id"])


@pytest.mark.gen_test
async def test_a_call_that_was_left(
    serve: Serving, providers: Any, upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    server = await serve.start(providers=providers)
    upstream.tokens("a")
    reader = await Reader.ask(server.url)
    await reader.text("a")
    reader.close()
    await upstream.closed.wait()
    await server.relay.idle()

    assert [{"target": "openai/gpt-4o-mini", "http_status": 200}] == attempts_of(
        tmp_path, reader.answer_id
    )


@pytest.mark.gen_test
async def test_a_second_call_with_a_new_token(
    serve: Serving, upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    keys = {"api_key": "ak", "secret_key": "sk"}
    provider = {"dialect": "qianfan-v1", "base_url": upstream.base_url("qianfan-v1"), **keys}
    server = await serve.start(providers={"v1": {**provider, "models": ["ernie"]}})
    upstream.tokens("a")
    upstream.finish()
    await call(server.url, "POST", "/api/v1/chat", {"content": "q"}, headers=JSON)
    upstream.expire_token()
    answered = await call(server.url, "POST", "/api/v1/chat", {"content": "q"}, headers=JSON)

    first, second = attempts_of(tmp_path, answered.body["id"])
    assert ("provider_unauthorized", None) == (first["code"], second.get("code"))
