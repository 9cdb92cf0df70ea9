"""What people wrote, and secrets, are in no event, log line, metric or row of the outbox."""

import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.readers import call
from tests.scraping import scrape
from tests.serving import Serving
from tests.steps import JSON
from tests.upstreams import ScriptedUpstream
from tests.webhook_receiver import SECRET, Receiver

TOKEN = "canary-token-of-the-path"
QUESTION, ANSWER = "canary question", "canary answer"


@pytest.mark.gen_test
async def test_an_event_is_sent_and_fails_without_a_word_of_anybodys(
    serve: Serving,
    providers: dict[str, dict[str, Any]],
    upstream: ScriptedUpstream,
    receiver: Receiver,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    caplog.set_level(logging.DEBUG)
    receiver.respond = lambda: b"HTTP/1.1 500 x\r\nContent-Length: 6\r\n\r\ncanary"
    url = f"{receiver.url}/{TOKEN}?token={TOKEN}"
    hook = receiver.settings(url=url)
    server = await serve.start(providers=providers, webhooks=[hook])
    upstream.tokens(ANSWER)
    upstream.finish()
    body = {"content": QUESTION}
    await call(server.url, "POST", "/api/v1/chat", body, headers=JSON)
    (received,) = await receiver.requests(1)

    metrics = (await scrape(server.url)).values
    await serve.stop(server)

    with closing(sqlite3.connect(tmp_path / "headrace.db")) as database:
        rows = database.execute("SELECT * FROM webhook_deliveries").fetchall()
    assert f"/hooks/{TOKEN}?token={TOKEN}" == received.path
    assert 1 == len(rows)
    assert "webhook does not accept events" in caplog.text
    for shown in (str(metrics), str(rows), caplog.text, received.body.decode()):
        assert "canary" not in shown
        assert SECRET.removeprefix("whsec_") not in shown
