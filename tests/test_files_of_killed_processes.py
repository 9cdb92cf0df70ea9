"""Files whose process dies after it has stored them and before it has stored their question."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from tests.file_steps import GIF, PNG, data_uri, files_in, image, text
from tests.launching import Launcher
from tests.readers import call
from tests.rooms import ROOT
from tests.steps import JSON
from tests.upstreams import ScriptedUpstream

pytestmark = pytest.mark.slow

# A server that stores files, and then never comes to their question.
_STOPS_BEFORE_THE_QUESTION = f"""
import asyncio, sys
sys.path.insert(0, {str(ROOT)!r})
import server
from relay.asking import Asker

async def stop(*_):
    await asyncio.Event().wait()

Asker._store = stop
sys.exit(server.main(sys.argv[1:]))
"""


@pytest.fixture(params=["sqlite", "mongo"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "mongo":
        url: str = request.getfixturevalue("mongo_url")
        return url
    return f"sqlite:///{tmp_path}/headrace.db"


def _age_unasked_files(store_url: str) -> None:
    """Let files without a question have been stored long ago."""
    scheme, _, file = store_url.partition(":///")
    if scheme == "sqlite":
        with closing(sqlite3.connect(file)) as shell, shell:
            aged = shell.execute("UPDATE unasked_files SET created_at = 0").rowcount
    else:
        with MongoClient[dict[str, Any]](store_url) as client:
            files = client.get_default_database()["files"]
            (old,) = files.find({"asked": False})
            long_ago = old["created_at"].replace(year=2000)
            key = {"_id": old["_id"], "conversation": old["conversation"]}
            aged = files.update_one(key, {"$set": {"created_at": long_ago}}).modified_count
    assert 1 == aged


async def _until(count: int, files: Callable[[], int]) -> None:
    async with asyncio.timeout(20):
        while files() != count:  # noqa: ASYNC110 - another process tells nobody
            await asyncio.sleep(0.05)


@pytest.mark.gen_test
async def test_kill_9_between_a_file_and_its_question_leaves_a_file_that_is_swept_and_no_more(
    launcher: Launcher, store_url: str, upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    launcher.settings.write_text(
        f'port = 0\n[storage]\nurl = "{store_url}"\n[relay]\nlease_seconds = 2.0\n'
        "checkpoint_seconds = 0.2\nheartbeat_seconds = 0.5\n"
        f'[providers.openai]\nbase_url = "{upstream.url}/v1"\n'
    )
    stopping = tmp_path / "stopping.py"
    stopping.write_text(_STOPS_BEFORE_THE_QUESTION)
    upstream.tokens("a")
    upstream.finish()
    first = await launcher.serve()
    path = "/api/v1/chat"
    asked = await call(first.url, "POST", path, {"content": [text(), image(PNG)]}, headers=JSON)
    of = asked.body["conversation_id"]
    first.terminate()
    await first.process.wait()

    dying = await launcher.serve(program=stopping)
    question = {"content": [text("And this?"), {"type": "image", "url": data_uri(GIF)}]}
    key = JSON | {"Idempotency-Key": "one"}
    path = f"/api/v1/conversations/{of}/messages"
    lost = asyncio.create_task(call(dying.url, "POST", path, question, headers=key))
    stored = {"storage": {"url": store_url}}
    await _until(2, lambda: files_in(stored))
    await dying.kill()
    assert isinstance((await asyncio.gather(lost, return_exceptions=True))[0], Exception)
    _age_unasked_files(store_url)
    again = await launcher.serve()

    await _until(1, lambda: files_in(stored))
    before = (await call(again.url, "GET", path)).body["data"]
    assert 2 == len(before)
    kept = await call(again.url, "GET", f"/api/v1/files/{before[0]['blocks'][1]['file_id']}")
    assert (200, PNG) == (kept.status, kept.body)
    retried = await call(again.url, "POST", path, question, headers=key)
    assert 200 == retried.status
    after = (await call(again.url, "GET", path)).body["data"]
    given = await call(again.url, "GET", f"/api/v1/files/{after[2]['blocks'][1]['file_id']}")
    assert (200, GIF) == (given.status, given.body)
    assert 2 == files_in(stored)
