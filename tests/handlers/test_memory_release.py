"""What is refused leaves no memory behind, also none that waits for a collector.

That has a threshold of 50,000 objects here (`app/memory.py`), and a refused question may be a
megabyte.
"""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tornado.httpclient import HTTPResponse

from app.server import Server
from relay.generation import Generation
from tests.handlers.test_unsent_responses import answered, silent_clients
from tests.readers import Reader, call
from tests.serving import Serving
from tests.steps import JSON, new_conversation, until
from tests.upstreams import ScriptedUpstream

CHAT = "/api/v1/chat"
KEY = {"Idempotency-Key": "k"}
NOWHERE = "/api/v1/conversations/none"


@contextmanager
def letting_go() -> Iterator[None]:
    """Fail if an error outlives this block, with the frames that it came through, or an answer."""
    gc.collect()
    gc.disable()
    try:
        yield
        left = gc.get_objects()
        errors = [each for each in left if issubclass(type(each), Exception)]
        assert [] == [each for each in errors if each.__traceback__ is not None]
        assert [] == [each for each in left if issubclass(type(each), (Generation, HTTPResponse))]
    finally:
        gc.enable()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "code"),
    [
        ("POST", CHAT, {"content": "q", "model": "none"}, JSON, "unknown_model"),
        ("POST", CHAT, {"content": "q", "model": "none"}, JSON | KEY, "unknown_model"),
        ("POST", CHAT, {"content": "q", "conversation_id": "none"}, JSON, "not_found"),
        ("POST", CHAT, {"content": "q", "parent_id": "none"}, JSON, "unknown_parent"),
        ("POST", CHAT, {"content": "q" * 900_000}, {}, "question_too_long"),
        ("POST", f"{NOWHERE}/messages", {"content": "q"}, KEY, "not_found"),
        ("PATCH", NOWHERE, {"system": "s"}, {}, "not_found"),
        ("GET", "/api/v1/answers/none/events", None, {}, "not_found"),
        ("POST", "/api/v1/answers/none/stop", None, {}, "not_found"),
    ],
)
@pytest.mark.gen_test
async def test_a_refused_request_leaves_nothing_behind(
    headrace: Server,
    method: str,
    path: str,
    body: object,
    headers: dict[str, str],
    code: str,
) -> None:
    with letting_go():
        refused = await call(headrace.url, method, path, body, headers=headers)
        assert code == refused.body["error"]["code"]
        await until(lambda: headrace.acceptor.connections == 0)
        # What the store's threads did last is at hand to them until they do something else.
        await call(headrace.url, "GET", "/api/v1/conversations")
        await new_conversation(headrace)
        await until(lambda: headrace.acceptor.connections == 0)


@pytest.mark.gen_test
async def test_nor_does_an_answer_for_which_there_is_no_room(
    serve: Serving, providers: Any, upstream: ScriptedUpstream
) -> None:
    server = await serve.start(providers=providers, limits={"max_unsent_bytes": 16_000_000})
    answers = [await answered(server, upstream, "x" * 90_000) for _ in range(3)]

    async with silent_clients(server) as clients:
        for _, answer_id in answers[:2]:
            clients.ask(f"/api/v1/answers/{answer_id}/events")
        await clients.all_wait()
        with letting_go():
            reader = await Reader.come_back(server.url, answers[2][1])
            assert await reader.next() is None
            reader.close()
            await until(lambda: server.acceptor.connections == 2)
            await call(server.url, "GET", "/api/v1/conversations")


FAILURES: dict[str, Callable[[ScriptedUpstream], object]] = {
    "provider_rate_limited": lambda upstream: upstream.fail(429, {"error": {"message": "no"}}),
    "provider_overloaded": lambda upstream: upstream.fail(500),
    "stream_broken": lambda upstream: (upstream.tokens("a"), upstream.cut()),
    "first_token_timeout": ScriptedUpstream.silent,
}


@pytest.mark.slow
@pytest.mark.parametrize("code", FAILURES)
@pytest.mark.gen_test
async def test_nor_does_an_answer_that_failed(
    serve: Serving, providers: Any, upstream: ScriptedUpstream, code: str
) -> None:
    server = await serve.start(providers=providers, timeouts={"first_token": 0.2})
    FAILURES[code](upstream)

    with letting_go():
        failed = await call(server.url, "POST", CHAT, {"content": "q"}, headers=JSON)
        assert code == failed.body["error"]["code"]
        await until(lambda: server.acceptor.connections == 0)
        await call(server.url, "GET", "/api/v1/conversations")
        await new_conversation(server)
        await until(lambda: server.acceptor.connections == 0)


def long_texts() -> list[int]:
    """The ids of all texts in this process that are longer than 100 KB, by whatever holds them."""
    gc.collect()
    texts = (text for holder in gc.get_objects() for text in gc.get_referents(holder))
    kinds = (str, bytes, bytearray)
    return [id(text) for text in texts if isinstance(text, kinds) and len(text) > 100_000]


@pytest.mark.parametrize("headers", [{}, KEY])
@pytest.mark.gen_test
async def test_a_question_is_not_held_while_its_answer_is_generated(
    headrace: Server, upstream: ScriptedUpstream, headers: dict[str, str]
) -> None:
    before = long_texts()
    upstream.tokens("a")
    reader = await Reader.ask(headrace.url, "q" * 390_000, headers=headers)
    await reader.text("a")
    arrived = [id(request.body) for request in upstream.requests]

    held = set(long_texts()) - {*before, *arrived}

    assert not held
    reader.close()
