"""Files in the input of OpenAI's Responses: by their contents or by an address."""

from typing import Any

import pytest
from tornado.ioloop import IOLoop

from app.server import Server
from tests.file_steps import PDF, data_uri
from tests.readers import call
from tests.serving import Serving
from tests.upstreams import ScriptedUpstream

DATA = data_uri(PDF, "application/pdf")


@pytest.fixture
def server(io_loop: IOLoop, serve: Serving, providers: dict[str, Any]) -> Server:
    settings = providers["openai"] | {"input_kinds": ["image", "file"]}
    return io_loop.run_sync(lambda: serve.start(providers={"openai": settings}))


async def asked(server: Server, **file: Any) -> Any:
    content = [{"type": "input_text", "text": "q"}, {"type": "input_file", **file}]
    body = {"model": "openai/m", "input": [{"role": "user", "content": content}]}
    return await call(server.url, "POST", "/v1/responses", body)


@pytest.mark.gen_test
async def test_a_file_is_stored_with_its_name(server: Server, upstream: ScriptedUpstream) -> None:
    upstream.tokens("ok")
    upstream.finish()

    response = await asked(server, filename="a.pdf", file_data=DATA)

    assert 200 == response.status, response
    conversation = response.body["conversation"]["id"].removeprefix("conv_")
    stored = await call(server.url, "GET", f"/api/v1/conversations/{conversation}/messages")
    _, file = stored.body["data"][0]["blocks"]
    assert ("file", "a.pdf", len(PDF)) == (file["type"], file["name"], file["size"])


@pytest.mark.gen_test
async def test_an_address_is_left_to_models_that_take_it(
    server: Server, upstream: ScriptedUpstream
) -> None:
    refused = await asked(server, file_url="https://files.test/a.pdf")

    assert (400, "unsupported_content") == (refused.status, refused.code)
    assert [] == upstream.requests


@pytest.mark.parametrize(
    ("file", "field"),
    [
        ({}, "file_url"),
        ({"file_data": "JVBERi0="}, "file_data"),
        ({"file_url": "http://files.test/a.pdf"}, "file_url"),
        ({"file_id": "file_1"}, "file_id"),
    ],
)
@pytest.mark.gen_test
async def test_a_file_that_cannot_be_sent_is_refused_by_its_field(
    server: Server, upstream: ScriptedUpstream, file: dict[str, Any], field: str
) -> None:
    refused = await asked(server, **file)

    assert 400 == refused.status
    assert f"input[0].content[1].{field}" == refused.body["error"]["param"]
    assert [] == upstream.requests
