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

from app.server import Server
from handlers.openapi.operations import OPERATIONS, Operation
from tests.readers import call
from tests.serving import Serving
from tests.steps import JSON
from tests.upstreams import ScriptedUpstream

_EXAMPLES = int(os.environ.get("HEADRACE_TEST_EXAMPLES", "40"))

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


_MESSAGE = _some_of(
    role=st.sampled_from(["user", "assistant", "system"]),
    parts=st.lists(_PART, max_size=3),
    id=_TEXT,
    metadata=_ANYTHING,
)
_MESSAGES = st.lists(_MESSAGE, max_size=3)
_CONTENT = _TEXT | st.lists(_PART, max_size=3)
_QUESTION: dict[str, st.SearchStrategy[Any]] = {
    "model": _TEXT,
    "system": _TEXT,
    "on_disconnect": st.sampled_from(["cancel", "finish", {"grace": 1}]),
    "temperature": st.floats(-1, 3),
    "top_p": st.floats(-1, 2),
    "max_tokens": st.integers(-1, 2**70) | st.integers(1, 99).map(float),
    "stop": st.lists(_TEXT, max_size=5),
}
_CONVERSATION: dict[str, st.SearchStrategy[Any]] = {
    "title": st.none() | _TEXT,
    "model": st.none() | _TEXT,
    "system": st.none() | _TEXT,
    "metadata": st.dictionaries(_TEXT, _TEXT, max_size=3),
}
_METADATA = st.dictionaries(_TEXT, _TEXT, max_size=3)
# Messages as OpenAI and AG-UI spell them, and items of responses.
_SAID = st.lists(
    _some_of(
        type=st.sampled_from(["message", "function_call_output", "reasoning"]),
        role=st.sampled_from(["user", "assistant", "system", "developer", "tool"]),
        content=_CONTENT,
        id=_TEXT,
        call_id=_TEXT,
        tool_call_id=_TEXT,
        tool_calls=_ANYTHING,
    ),
    max_size=3,
)
_OPENAI: dict[str, st.SearchStrategy[Any]] = {
    "model": st.just("openai/m") | _TEXT,
    "temperature": st.floats(-1, 3),
    "metadata": _METADATA,
    "stream": _ANYTHING,
    "tools": _ANYTHING,
}
# What each operation with a body takes, by the name of its type.
_BODIES = {
    "Chat": _some_of(**_QUESTION, content=_CONTENT, parent_id=_TEXT, conversation_id=_TEXT),
    "Question": _some_of(**_QUESTION, content=_CONTENT, parent_id=_TEXT),
    "Options": _some_of(**_QUESTION),
    "UIChat": _some_of(**_QUESTION, id=_TEXT, message=_MESSAGE, messages=_MESSAGES),
    "NewConversation": _some_of(**_CONVERSATION),
    "ChangedConversation": _some_of(**_CONVERSATION),
    "ChatCompletionBody": _some_of(
        **_OPENAI, messages=_SAID, max_completion_tokens=st.integers(-1, 2**70), store=_ANYTHING
    ),
    "ChangedCompletion": _some_of(metadata=_METADATA),
    "NewOpenAIConversation": _some_of(metadata=_METADATA, items=_SAID),
    "ChangedOpenAIConversation": _some_of(metadata=_METADATA),
    "ResponseBody": _some_of(
        **_OPENAI,
        input=_TEXT | _SAID,
        instructions=_TEXT,
        previous_response_id=_TEXT,
        conversation=_TEXT,
        background=_ANYTHING,
    ),
    "RunInput": _some_of(threadId=_TEXT, runId=_TEXT, messages=_SAID, forwardedProps=_ANYTHING),
}
# Every operation that writes: one that takes no body is sent some all the same. A test of the
# document holds this table to the routes, so that none is forgotten.
_WRITING = [operation for operation in OPERATIONS if operation.method != "get"]

_some = settings(
    max_examples=_EXAMPLES,
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
@pytest.mark.parametrize("operation", _WRITING, ids=lambda each: f"{each.method} {each.path}")
def test_no_body_is_an_error_of_ours(io_loop: IOLoop, server: Server, operation: Operation) -> None:
    known = {int(status) for status in (*operation.replies, *operation.refusals)}

    async def send(raw: bytes) -> None:
        asked = await call(server.url, "POST", "/api/v1/chat", {"content": "q"}, headers=JSON)
        names = {"conversation_id": asked.body["conversation_id"], "answer_id": asked.body["id"]}
        names["chat_id"] = names["conversation_id"]
        names["completion_id"] = names["response_id"] = names["answer_id"]
        path = operation.path.format(**names)
        answer = await call(server.url, operation.method.upper(), path, headers=JSON, raw=raw)
        assert answer.status in known
        assert answer.status < 500
        assert answer.status < 300 or answer.code
        listed = await call(server.url, "GET", "/api/v1/conversations?limit=3")
        assert 200 == listed.status  # whatever was kept can be read

    fitting = st.nothing() if operation.body is None else _BODIES[operation.body.__name__]

    @_some
    @given((fitting | _ANYTHING).map(lambda body: json.dumps(body).encode()) | st.binary())
    def try_one(raw: bytes) -> None:
        io_loop.run_sync(lambda: send(raw))

    try_one()
