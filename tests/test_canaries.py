"""Secrets, set out in every place that can hold one, are found nowhere that an operator looks.

Keys, prompts, answers, titles and what a provider says of an error are the canaries; the log (at
DEBUG, in both formats), errors before and within a stream, metrics and doctor are where they must
not be. An answer itself is the one place where its words belong.
"""

import json
from typing import Any

import pytest

from app.server import Server
from tests.faults import FaultyStorage
from tests.launching import Launcher
from tests.readers import Reader, call
from tests.serving import Serving
from tests.steps import JSON, SHORT_LEASE, new_conversation
from tests.upstreams import ScriptedUpstream

CANARY = "canary-0af765"


def _clean(text: str) -> None:
    assert CANARY not in text


def _providers(upstream: ScriptedUpstream) -> dict[str, Any]:
    return {"openai": {"base_url": f"{upstream.url}/v1", "api_key": f"sk-{CANARY}"}}


_ERROR = {
    "error": {
        "message": f"{CANARY}: Incorrect API key provided: sk-{CANARY}.",
        "type": f"about {CANARY}",
        "param": CANARY,
        "code": f"no word {CANARY}",
    }
}


@pytest.fixture
def loud(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """All that is logged, by us and by the libraries."""
    caplog.set_level("DEBUG")
    return caplog


async def _all_of_it(server: Server, loud: pytest.LogCaptureFixture) -> str:
    """What an operator can look at of `server`, but for the answers."""
    metrics = await call(server.url, "GET", "/metrics")
    return loud.text + metrics.body.decode()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, _ERROR),
        (429, _ERROR),
        (400, _ERROR),
        (401, {"error": {"code": f"sk-{CANARY}"}}),
        (400, {"error": {"code": f"wrong_key_sk-{CANARY}", "message": "m"}}),
        (200, {"error": {"code": CANARY, "message": "m"}}),
        (500, f"<html>{CANARY}".encode()),
        (200, _ERROR),
        (200, CANARY.encode()),
        (302, CANARY.encode()),
    ],
)
@pytest.mark.gen_test
async def test_what_a_provider_says_of_an_error_stays_there(
    serve: Serving, upstream: ScriptedUpstream, loud: Any, status: int, body: object
) -> None:
    server = await serve.start(providers=_providers(upstream))
    upstream.fail(status, body)

    streamed = await Reader.ask(server.url, CANARY)
    ended = await streamed.end()
    whole = await call(server.url, "POST", "/api/v1/chat", {"content": CANARY}, headers=JSON)

    assert "failed" == ended["status"]
    _clean(json.dumps([ended, whole.body["error"]]))
    _clean(await _all_of_it(server, loud))


@pytest.mark.gen_test
async def test_an_error_within_a_stream_shows_nothing_of_it(
    serve: Serving, upstream: ScriptedUpstream, loud: Any
) -> None:
    server = await serve.start(providers=_providers(upstream))
    upstream.tokens(CANARY)
    upstream.raw(b"data: " + json.dumps(_ERROR).encode() + b"\n\n")
    upstream.end()

    reader = await Reader.ask(server.url, CANARY, system=CANARY)
    ended = await reader.end()

    assert CANARY == reader.so_far  # an answer's words are its reader's
    _clean(json.dumps(ended))
    _clean(await _all_of_it(server, loud))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "path", "body", "headers"),
    [
        ("POST", "/api/v1/conversations", {"title": [CANARY]}, {}),
        ("POST", "/api/v1/conversations", {"title": CANARY * 50}, {}),
        ("POST", "/api/v1/conversations", {"metadata": {CANARY: 1}}, {}),
        ("PATCH", "{path}", {"title": 1, "system": CANARY}, {}),
        ("POST", "/api/v1/chat", {"content": CANARY, "temperature": CANARY}, {}),
        ("POST", "/api/v1/chat", {"content": CANARY, "on_disconnect": CANARY}, {}),
        ("POST", "/api/v1/chat", {"content": CANARY, "model": f"{CANARY}/m"}, {}),
        ("POST", "/api/v1/chat", {"content": "q"}, {"Idempotency-Key": f"ü{CANARY}"}),
        ("POST", "/api/v1/chat", {"content": "q"}, {"Accept": f"text/{CANARY}"}),
        ("GET", "/api/v1/conversations?after=" + CANARY, None, {}),
        ("GET", "/api/v1/answers/none/events?after=" + CANARY, None, {}),
        ("GET", "/api/v1/models", None, {"Authorization": f"Bearer {CANARY}", "Via": CANARY}),
        ("GET", "/api/v1/models", None, {"X-Request-Id": f"{CANARY} with a space"}),
    ],
)
@pytest.mark.gen_test
async def test_what_is_refused_is_not_repeated(
    headrace: Server,
    loud: Any,
    method: str,
    path: str,
    body: object,
    headers: dict[str, str],
) -> None:
    conversation = await new_conversation(headrace)

    told = await call(headrace.url, method, path.format(path=conversation), body, headers=headers)

    _clean(json.dumps([told.body, told.headers]))
    _clean(await _all_of_it(headrace, loud))


@pytest.mark.parametrize("operation", ["ask", "append_chunks", "end_answer"])
@pytest.mark.gen_test
async def test_a_store_that_fails_logs_nothing_of_what_it_was_given(
    serve: Serving,
    upstream: ScriptedUpstream,
    store: FaultyStorage,
    loud: Any,
    operation: str,
) -> None:
    server = await serve.start(providers=_providers(upstream), relay=SHORT_LEASE)
    upstream.tokens(CANARY)
    upstream.finish()
    store.fail(operation)

    reader = await Reader.ask(server.url, CANARY, headers={"Idempotency-Key": CANARY})
    if reader.status == 200:
        await reader.end()

    _clean(await _all_of_it(server, loud))
    store.heal()


@pytest.mark.parametrize("format_", ["text", "json"])
@pytest.mark.parametrize("kind", ["sqlite", "mongo"])
@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_whole_processes_log_holds_none(
    request: pytest.FixtureRequest,
    launcher: Launcher,
    upstream: ScriptedUpstream,
    kind: str,
    format_: str,
) -> None:
    url = "sqlite:///data/headrace.db"
    if kind == "mongo":
        url = request.getfixturevalue("mongo_url")
    launcher.settings.write_text(
        f'port = 0\n[log]\nlevel = "debug"\nformat = "{format_}"\n[storage]\nurl = "{url}"\n'
        f'[providers.openai]\nbase_url = "{upstream.url}/v1"\napi_key = "sk-{CANARY}"\n'
        "[relay]\ncheckpoint_seconds = 0.05\n"
    )
    serving, address = await launcher.serve()
    upstream.tokens(CANARY)
    upstream.finish()
    upstream.next_request()
    upstream.fail(401, _ERROR)
    upstream.next_request()
    upstream.tokens(CANARY)
    made = await call(
        address,
        "POST",
        "/api/v1/conversations",
        {"title": CANARY, "system": CANARY, "metadata": {CANARY: CANARY}},
    )
    path = f"/api/v1/conversations/{made.body['id']}/messages"
    for _ in range(2):
        reader = await Reader.open(address, "POST", path, {"content": CANARY})
        await reader.end()
    leaving = await Reader.ask(address, CANARY)
    await leaving.text(CANARY)
    leaving.close()
    await call(address, "GET", f"/api/v1/conversations?after={CANARY}")
    metrics = await call(address, "GET", "/metrics")
    doctor = await launcher.start("--config", str(launcher.settings), "doctor")
    said, grumbled = await doctor.communicate()
    serving.terminate()
    assert 0 == await serving.wait()

    log = launcher.log(serving)
    assert 3 == log.count("answer ended")
    assert "GET" in log  # DEBUG is on
    _clean(log)
    _clean(metrics.body.decode())
    _clean(said.decode() + grumbled.decode())
