"""Paths that no route has: the refusal names the route that a client was set up for."""

import pytest

from app.server import Server
from tests.readers import call
from tests.serving import Serving

CHAT = "/v1/chat/completions"


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("path", "meant"),
    [
        (f"{CHAT}/", CHAT),
        ("/v1//chat/completions", CHAT),
        ("/chat/completions", CHAT),
        ("/v1/v1/chat/completions", CHAT),
        (f"{CHAT}/chat/completions", CHAT),
        ("/conversations/conv_1/items", "/v1/conversations/conv_1/items"),
        ("/ai-sdk/chat/", "/ai-sdk/chat"),
        ("/ag-ui/", "/ag-ui"),
        ("/api/v1/chat/", "/api/v1/chat"),
    ],
)
async def test_the_refusal_of_a_path_names_the_one_that_is_meant(
    serve: Serving, path: str, meant: str
) -> None:
    server = await serve.start(base_path="/llm")

    refused = await call(server.url, "POST", f"/llm{path}", {})

    error = refused.body["error"]
    assert (404, "not_found") == (refused.status, error["code"])
    assert f"This path does not exist. Did you mean /llm{meant}?" == error["message"]


@pytest.mark.gen_test
@pytest.mark.parametrize("path", ["/v1/embeddings", "/v1/", "/nowhere/", "/c//", "/assets//a.js"])
async def test_no_path_is_guessed(headrace: Server, path: str) -> None:
    refused = await call(headrace.url, "POST", path, {})

    assert (404, "This path does not exist.") == (refused.status, refused.body["error"]["message"])
