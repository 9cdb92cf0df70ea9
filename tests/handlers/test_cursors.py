"""Cursors of lists: what comes back garbled is the client's fault, a store's bug never is."""

import logging
from collections.abc import Callable

import pytest

from relay.errors import InternalError
from tests.faults import FaultyStorage
from tests.readers import call
from tests.serving import Serving
from tests.steps import new_conversation

# Every paged route: the operation of the store that lists, and the address up to the cursor.
PAGED = [
    ("conversations", "/api/v1/conversations?after="),
    ("conversations", "/api/v1/conversations?order=updated&after="),
    ("messages", "{conversation}/messages?before="),
]

# Not base64, a character outside of it, no UTF-8 once decoded, no ASCII, and base64 of "nothing".
GARBLED = ["x", "MTIz.", "_-8=", "%F0%9F%98%80", "bm90aGluZw=="]


@pytest.mark.slow
@pytest.mark.parametrize("cursor", GARBLED)
@pytest.mark.parametrize(("operation", "path"), PAGED)
@pytest.mark.gen_test
async def test_a_garbled_cursor_is_a_fault_of_the_request(
    serve: Serving, store: FaultyStorage, operation: str, path: str, cursor: str
) -> None:
    server = await serve.start()
    path = path.format(conversation=await new_conversation(server))

    refused = await call(server.url, "GET", path + cursor)

    assert (400, "invalid_cursor") == (refused.status, refused.body["error"]["code"])
    assert operation in store.calls


@pytest.mark.parametrize(("operation", "path"), PAGED)
@pytest.mark.gen_test
async def test_a_bug_of_the_store_is_a_fault_of_the_server_and_leaves_a_traceback(
    serve: Serving,
    store: FaultyStorage,
    operation: str,
    path: str,
    expect_log: Callable[[str, str], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = await serve.start()
    path = path.format(conversation=await new_conversation(server))
    store.fail(operation, error=ValueError("a bug of the store"))
    expect_log("headrace.http", "^request failed")

    with caplog.at_level(logging.ERROR):
        failed = await call(server.url, "GET", path + "MTIz")

    assert (500, "internal_error") == (failed.status, failed.body["error"]["code"])
    assert InternalError.words == failed.body["error"]["message"]
    tracebacks = [record.exc_text or str(record.exc_info) for record in caplog.records]
    assert any("a bug of the store" in each for each in tracebacks)
