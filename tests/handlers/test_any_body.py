"""Any body at all: each is understood or refused in words, and none is an error of ours.

`HEADRACE_TEST_EXAMPLES` says how many to try; `make fuzz` tries many.
"""

import json
import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tornado.ioloop import IOLoop

from server import Server
from tests.readers import call
from tests.serving import Serving
from tests.steps import JSON
from tests.upstreams import ScriptedUpstream

_EXAMPLES = int(os.environ.get("HEADRACE_TEST_EXAMPLES", "150"))

_TEXT = st.text(max_size=20) | st.sampled_from(["", " ", "\0", "$gt", "a.b", "\ud800", "demo/demo"])
_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=10,
)
_PART = st.fixed_dictionaries({"type": st.just("text") | _ANYTHING, "text": _TEXT | _ANYTHING})


def _some_of(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Bodies with any of these fields, mostly right, and now and then one that nobody knows."""
    known = {name: values | _ANYTHING for name, values in fields.items()}
    strange = st.dictionaries(_TEXT, _ANYTHING, max_size=1)
    return st.builds(
        lambda body, more: {**more, **body}, st.fixed_dictionaries({}, optional=known), strange
    )


_QUESTION: dict[str, st.SearchStrategy[Any]] = {
    "content": _TEXT | st.lists(_PART, max_size=3),
    "model": _TEXT,
    "system": _TEXT,
    "on_disconnect": st.sampled_from(["cancel", "finish", {"grace": 1}]),
    "temperature": st.floats(-1, 3),
    "top_p": st.floats(-1, 2),
    "max_tokens": st.integers(-1, 2**70),
    "stop": st.lists(_TEXT, max_size=5),
}
_CONVERSATION: dict[str, st.SearchStrategy[Any]] = {
    "title": st.none() | _TEXT,
    "model": st.none() | _TEXT,
    "system": st.none() | _TEXT,
    "metadata": st.dictionaries(_TEXT, _TEXT, max_size=3),
}
_BODIES = {
    "POST /api/v1/chat": _some_of(**_QUESTION, conversation_id=_TEXT),
    "POST {path}/messages": _some_of(**_QUESTION),
    "POST /api/v1/conversations": _some_of(**_CONVERSATION),
    "PATCH {path}": _some_of(**_CONVERSATION),
}
_WRITTEN = st.builds(lambda body: json.dumps(body).encode(), _ANYTHING)

_some = settings(
    max_examples=_EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture
def server(io_loop: IOLoop, serve: Serving, providers: Any, upstream: ScriptedUpstream) -> Server:
    upstream.tokens("a")
    upstream.finish()
    limits = {"questions_per_minute": 0}
    server: Server = io_loop.run_sync(lambda: serve.start(providers=providers, limits=limits))
    return server


@pytest.mark.slow
@pytest.mark.parametrize("route", _BODIES)
def test_no_body_is_an_error_of_ours(io_loop: IOLoop, server: Server, route: str) -> None:
    method, _, where = route.partition(" ")

    async def send(raw: bytes) -> None:
        made = await call(server.url, "POST", "/api/v1/conversations", {})
        path = where.format(path=f"/api/v1/conversations/{made.body['id']}")
        answer = await call(server.url, method, path, headers=JSON, raw=raw)
        assert answer.status in (200, 201, 400, 404, 413)
        assert answer.status < 300 or answer.body["error"]["code"]
        listed = await call(server.url, "GET", "/api/v1/conversations?limit=3")
        assert 200 == listed.status  # whatever was kept can be read

    @_some
    @given(_BODIES[route].map(lambda body: json.dumps(body).encode()) | _WRITTEN | st.binary())
    def try_one(raw: bytes) -> None:
        io_loop.run_sync(lambda: send(raw))

    try_one()
