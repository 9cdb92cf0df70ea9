"""Codes of the API that no other test comes across: each is a promise, and never reworded."""

import pytest

from app.server import Server
from handlers.errors import to_error_response
from relay.errors import UnsupportedContent
from tests.http_client.far_side import FullBacklog
from tests.readers import Reader, Response, call
from tests.serving import Serving

QUESTION = {"content": "q"}


def told(refused: Response) -> tuple[int, str]:
    return refused.status, refused.body["error"]["code"]


@pytest.mark.gen_test
async def test_an_address_that_is_not_utf_8(headrace: Server) -> None:
    refused = await call(headrace.url, "GET", "/api/v1/conversations/%FF")

    assert (400, "bad_request") == told(refused)


@pytest.mark.parametrize("accept", ["text/html", "image/png, text/plain"])
@pytest.mark.gen_test
async def test_who_wants_neither_events_nor_json(headrace: Server, accept: str) -> None:
    headers = {"Accept": accept}

    refused = await call(headrace.url, "POST", "/api/v1/chat", QUESTION, headers=headers)

    assert (406, "not_acceptable") == told(refused)


@pytest.mark.parametrize("encoding", ["gzip", "br"])
@pytest.mark.gen_test
async def test_a_body_that_is_encoded(headrace: Server, encoding: str) -> None:
    headers = {"Content-Encoding": encoding}

    refused = await call(headrace.url, "POST", "/api/v1/chat", QUESTION, headers=headers)

    assert (415, "unsupported_encoding") == told(refused)


@pytest.mark.gen_test
async def test_a_provider_that_takes_no_connection_in_time(serve: Serving) -> None:
    full = FullBacklog()
    provider = {"dialect": "openai", "models": ["m"], "base_url": f"http://127.0.0.1:{full.port}"}
    server = await serve.start(providers={"full": provider}, timeouts={"connect": 0.1})

    end = await (await Reader.ask(server.url)).end()

    assert ("failed", "connect_timeout") == (end["status"], end["error"]["code"])
    full.close()


def test_content_that_a_model_does_not_take() -> None:
    response = to_error_response(UnsupportedContent(model="m", kind="image"))

    assert response is not None
    assert (400, "unsupported_content") == (response.status, response.code)
