"""A question with two images over HTTP, in both stores, with each dialect that takes images.

The server is another one when they are sent again. `qianfan-v1` takes text only.
"""

import base64
from typing import Any

import pytest

from tests.file_steps import JPEG, PDF, ask, code, data_uri, image, text
from tests.providers.conversations import PNG
from tests.readers import call
from tests.serving import Serving
from tests.steps import JSON
from tests.tool_upstreams import TOOL_UPSTREAMS
from tests.upstreams import ScriptedUpstream

# Models that take images, where those that `TOOL_UPSTREAMS` names do not.
SEEING = {"dashscope": "qwen-vl-max"}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(TOOL_UPSTREAMS.keys() - {"qianfan-v1"}))
@pytest.mark.gen_test
async def test_both_are_sent_in_order_and_again_after_a_restart(
    name: str, serve: Serving, with_store: dict[str, Any], upstream: ScriptedUpstream
) -> None:
    dialect = TOOL_UPSTREAMS[name]
    models = [SEEING.get(name, dialect.model)]
    address = {"base_url": f"{upstream.url}{dialect.base_path}", "models": models}
    kinds = {"input_kinds": ["image"]}
    settings = {**with_store, "providers": {"p": {**dialect.settings, **address, **kinds}}}
    server = await serve.start(**settings)
    upstream.tokens("The second.")
    upstream.finish()

    first = await ask(server, text("Which is older?"), image(PNG), image(JPEG))
    await serve.stop(server)
    server = await serve.start(**settings)
    path = f"/api/v1/conversations/{first.body['conversation_id']}/messages"
    body = {"content": "Why?", "parent_id": first.body["id"]}
    second = await call(server.url, "POST", path, body, headers=JSON)

    assert [200, 200] == [first.status, second.status]
    assert "The second." == second.body["blocks"][-1]["text"]
    assert 2 == len(upstream.requests)
    for request in upstream.requests:  # which the strict upstream took
        places = [request.body.find(base64.b64encode(each)) for each in (PNG, JPEG)]
        assert 0 < places[0] < places[1]


@pytest.mark.parametrize("name", ["dashscope", "ollama", "qianfan-v1"])
@pytest.mark.gen_test
async def test_what_a_dialect_has_no_form_for_is_refused_and_left_out_of_the_history(
    name: str, serve: Serving, upstream: ScriptedUpstream
) -> None:
    dialect = TOOL_UPSTREAMS[name]
    kinds = {"input_kinds": ["image", "file"]}  # more than the dialect can express
    providers = {
        "wide": {"dialect": "openai", "base_url": f"{upstream.url}/v1", "models": ["m"], **kinds},
        "p": {
            **dialect.settings,
            "base_url": f"{upstream.url}{dialect.base_path}",
            "models": [dialect.model],
            **kinds,
        },
    }
    server = await serve.start(providers=providers)
    file = {"type": "file", "url": data_uri(PDF, "application/pdf"), "name": "a.pdf"}
    model = f"p/{dialect.model}"
    upstream.tokens("A report.")
    upstream.finish()

    first = await ask(server, file, model="wide/m")
    refused = await ask(server, text(), file, model=model)
    path = f"/api/v1/conversations/{first.body['conversation_id']}/messages"
    body = {"content": "Why?", "parent_id": first.body["id"], "model": model}
    second = await call(server.url, "POST", path, body, headers=JSON)

    assert (400, "unsupported_content") == code(refused)
    assert [200, 200] == [first.status, second.status]
    assert 2 == len(upstream.requests)
    assert base64.b64encode(PDF) in upstream.requests[0].body
    assert base64.b64encode(PDF) not in upstream.requests[1].body
