"""Which models a key is for, at every route that leads to a provider."""

from typing import Any

import pytest

from app.server import Server
from tests.auth_servers import AuthServers, KeyHolder
from tests.issuer import Issuer
from tests.readers import Reader, Response, call
from tests.serving import Serving
from tests.steps import JSON
from tests.upstreams import ScriptedUpstream

NOT_ALLOWED = (403, "model_not_allowed")


@pytest.fixture
def two(upstream: ScriptedUpstream) -> dict[str, dict[str, Any]]:
    """Two providers; the default is the first one's first."""
    upstream.tokens("a")
    upstream.finish()
    base_url = f"{upstream.url}/v1"
    return {
        "dear": {"dialect": "openai", "base_url": base_url, "models": ["large", "larger"]},
        "cheap": {"dialect": "openai", "base_url": base_url, "models": ["small", "smaller"]},
    }


async def ask(
    server: Server, holder: KeyHolder, path: str = "/api/v1/chat", **body: Any
) -> Response:
    headers = {**JSON, **holder.headers, **body.pop("headers", {})}
    question = body if path.endswith("regenerate") else {"content": "q", **body}
    return await call(server.url, "POST", path, question, headers=headers)


def refused(response: Response) -> tuple[int, str]:
    return response.status, response.body["error"]["code"]


@pytest.mark.gen_test
async def test_a_key_for_some_models_asks_those_and_no_others(
    auth_servers: AuthServers, two: dict[str, Any], upstream: ScriptedUpstream
) -> None:
    server = await auth_servers.open(providers=two)
    alice = await auth_servers.create_key("alice", models="cheap/*, dear/larger")

    for model in ("cheap/smaller", "cheap/not-listed", "dear/larger"):
        assert model == (await ask(server, alice, model=model)).body["model"]
    asked = len(upstream.requests)
    for model in ("dear/large", "dear/not-listed", "nobody/x", "x", "Cheap/small", "cheap"):
        assert NOT_ALLOWED == refused(await ask(server, alice, model=model))

    assert asked == len(upstream.requests)
    listed = await call(server.url, "GET", "/api/v1/conversations", headers=alice.headers)
    assert 3 == len(listed.body["data"])


@pytest.mark.gen_test
async def test_it_lists_those_and_the_first_is_its_default(
    auth_servers: AuthServers, two: dict[str, Any]
) -> None:
    server = await auth_servers.open(providers=two)
    for models, names in (
        (None, ["dear/large", "dear/larger", "cheap/small", "cheap/smaller"]),
        ("cheap/*", ["cheap/small", "cheap/smaller"]),
        ("cheap/new,*/larger", ["dear/larger", "cheap/new"]),
    ):
        holder = await auth_servers.create_key("alice", models=models)
        listed = await call(server.url, "GET", "/api/v1/models", headers=holder.headers)
        data = listed.body["data"]
        assert names == [each["id"] for each in data]
        assert [True] + [False] * (len(names) - 1) == [each["default"] for each in data]
        assert names[0] == (await ask(server, holder)).body["model"]


@pytest.mark.gen_test
async def test_a_key_for_models_that_are_not_here_is_told_so(
    auth_servers: AuthServers, two: dict[str, Any]
) -> None:
    server = await auth_servers.open(providers=two)
    alice = await auth_servers.create_key("alice", models="gone/*,gone/too")
    listed = await call(server.url, "GET", "/api/v1/models", headers=alice.headers)
    assert [] == listed.body["data"]
    assert NOT_ALLOWED == refused(await ask(server, alice))
    assert (400, "unknown_model") == refused(await ask(server, alice, model="gone/too"))


@pytest.mark.slow
@pytest.mark.gen_test
async def test_neither_a_conversation_nor_an_answer_of_before_leads_to_another_model(
    auth_servers: AuthServers, two: dict[str, Any], upstream: ScriptedUpstream
) -> None:
    server = await auth_servers.open(providers=two)
    free, bound = (
        await auth_servers.create_key("alice"),
        await auth_servers.create_key("alice", models="cheap/*"),
    )
    made = await call(
        server.url, "POST", "/api/v1/conversations", {"model": "dear/large"}, headers=free.headers
    )
    path = f"/api/v1/conversations/{made.body['id']}"
    answer = await ask(server, free, f"{path}/messages")
    again = f"/api/v1/answers/{answer.body['id']}/regenerate"
    asked = len(upstream.requests)

    assert NOT_ALLOWED == refused(await ask(server, bound, f"{path}/messages"))
    assert NOT_ALLOWED == refused(await ask(server, bound, conversation_id=made.body["id"]))
    assert NOT_ALLOWED == refused(await ask(server, bound, again))
    for method, where in (("POST", "/api/v1/conversations"), ("PATCH", path)):
        changed = await call(
            server.url, method, where, {"model": "dear/larger"}, headers=bound.headers
        )
        assert NOT_ALLOWED == refused(changed)

    assert asked == len(upstream.requests)
    other = await ask(server, bound, again, model="cheap/small")
    assert (200, "cheap/small") == (other.status, other.body["model"])
    other = await ask(server, bound, f"{path}/messages", model="cheap/small")
    assert (200, "cheap/small") == (other.status, other.body["model"])


@pytest.mark.slow
@pytest.mark.gen_test
async def test_what_was_asked_can_be_read_and_asked_for_again_under_its_key(
    auth_servers: AuthServers, two: dict[str, Any], upstream: ScriptedUpstream
) -> None:
    server = await auth_servers.open(providers=two)
    free, bound = (
        await auth_servers.create_key("alice"),
        await auth_servers.create_key("alice", models="cheap/*"),
    )
    key = {"Idempotency-Key": "one"}
    answer = await ask(server, free, model="dear/large", headers=key)
    asked = len(upstream.requests)

    retried = await ask(server, bound, model="dear/large", headers=key)
    path = f"/api/v1/answers/{answer.body['id']}/events"
    read = await Reader.open(server.url, "GET", path, headers=bound.headers)

    assert (200, answer.body) == (retried.status, retried.body)
    assert "complete" == (await read.end())["status"]
    assert asked == len(upstream.requests)


@pytest.mark.gen_test
async def test_an_admin_who_asks_for_another_has_their_own_models(
    auth_servers: AuthServers, two: dict[str, Any]
) -> None:
    server = await auth_servers.open(providers=two)
    admin = await auth_servers.create_key("ops", admin=True, models="cheap/*")
    for_bob = {"Headrace-User": "bob"}
    refusal = await ask(server, admin, model="dear/large", headers=for_bob)
    assert NOT_ALLOWED == refused(refusal)
    assert 200 == (await ask(server, admin, model="cheap/small", headers=for_bob)).status


@pytest.mark.gen_test
async def test_a_token_is_for_the_models_that_its_claim_names(
    serve: Serving, issuer: Issuer, two: dict[str, Any]
) -> None:
    server = await serve.start(auth=issuer.settings(models_claim="may_ask"), providers=two)
    bound = KeyHolder("alice", issuer.token(may_ask=["cheap/*"]))
    silent = KeyHolder("alice", issuer.token())

    assert "cheap/small" == (await ask(server, bound)).body["model"]
    assert NOT_ALLOWED == refused(await ask(server, bound, model="dear/large"))
    assert NOT_ALLOWED == refused(await ask(server, silent))


@pytest.mark.gen_test
async def test_it_says_what_a_model_can_be_asked_with(
    serve: Serving, two: dict[str, Any], upstream: ScriptedUpstream
) -> None:
    base_url = f"{upstream.url}/v1"
    blind = {"preset": "deepseek", "base_url": base_url, "models": ["d"]}
    two["dear"]["model_input_kinds"] = {"large": ["file"]}
    server = await serve.start(providers={**two, "blind": blind})

    listed = await call(server.url, "GET", "/api/v1/models")

    models = {each["id"]: each for each in listed.body["data"]}
    assert ["file"] == models["dear/large"]["input_kinds"]
    assert ["file", "image", "image_url", "tool_result"] == models["dear/larger"]["input_kinds"]
    assert ["tool_result"] == models["blind/d"]["input_kinds"]
    assert {"seed", "tools", "extra"} <= set(models["dear/large"]["options"])
    assert "seed" not in models["blind/d"]["options"]


@pytest.mark.gen_test
async def test_a_part_that_a_model_does_not_take_is_refused_with_both_names(
    serve: Serving, two: dict[str, Any], upstream: ScriptedUpstream
) -> None:
    two["dear"]["model_input_kinds"] = {"large": ["tool_result"]}
    server = await serve.start(providers=two)
    image = [{"type": "text", "text": "q"}, {"type": "image", "url": "https://example.com/a.png"}]
    path = "/api/v1/chat"

    refused = await call(server.url, "POST", path, {"content": image, "model": "dear/large"})
    beside = await call(
        server.url, "POST", path, {"content": image[1:], "model": "dear/large"}, headers=JSON
    )
    asked = len(upstream.requests)
    taken = await call(
        server.url, "POST", path, {"content": image, "model": "dear/larger"}, headers=JSON
    )

    for response in (refused, beside):
        assert (400, "unsupported_content") == (response.status, response.body["error"]["code"])
        message = response.body["error"]["message"]
        assert "dear/large" in message
        assert "the address of an image" in message
    assert (0, 200) == (asked, taken.status)
