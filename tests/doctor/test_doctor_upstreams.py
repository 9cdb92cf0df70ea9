"""What the doctor says of providers: whether they can be reached, and whether they answer."""

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.doctor.examining import run_doctor
from tests.upstreams import ScriptedUpstream


@pytest.fixture
def storage(tmp_path: Path) -> dict[str, str]:
    return {"url": f"sqlite:///{tmp_path}/data/headrace.db"}


def _provider(upstream: ScriptedUpstream, **more: Any) -> dict[str, Any]:
    return {"openai": {"base_url": f"{upstream.url}/v1", **more}}


@pytest.mark.gen_test
async def test_a_provider_is_asked_only_on_request(
    upstream: ScriptedUpstream, storage: dict[str, str]
) -> None:
    fine, said = await run_doctor(storage=storage, providers=_provider(upstream))
    assert (True, []) == (fine, upstream.requests)
    assert "reached in" in said

    upstream.tokens("Hi")
    upstream.finish("length")
    fine, said = await run_doctor(ask=True, storage=storage, providers=_provider(upstream))

    assert fine
    assert "gpt-4o-mini answered in" in said
    assert 1 == upstream.requests[0].json["max_tokens"]


@pytest.mark.gen_test
async def test_a_key_that_is_refused_is_told_without_it(
    upstream: ScriptedUpstream, storage: dict[str, str]
) -> None:
    upstream.fail(401, {"error": {"code": "invalid_api_key", "message": "canary is no key"}})

    fine, said = await run_doctor(
        ask=True, storage=storage, providers=_provider(upstream, api_key="canary")
    )

    assert not fine
    assert "provider_unauthorized" in said
    assert "api_key" in said
    assert "canary" not in said


def _refuses(upstream: ScriptedUpstream, times: int) -> None:
    """So many requests are refused, as a strict server does, and the next one is answered."""
    for _ in range(times):
        upstream.fail(422, {"detail": [{"msg": "extra fields not permitted"}]})
        upstream.next_request()
    upstream.tokens("Hi")
    upstream.finish()


@pytest.mark.parametrize(
    ("refusals", "words", "sent"),
    [
        (1, "stream_options = false", {"max_tokens"}),
        (2, 'max_tokens_name = "max_completion_tokens"', {"max_completion_tokens"}),
        (
            4,
            'stream_options = false, max_tokens_name = "max_completion_tokens"',
            {"max_completion_tokens"},
        ),
    ],
)
@pytest.mark.gen_test
async def test_a_server_that_refuses_a_field_is_asked_without_it(
    upstream: ScriptedUpstream,
    storage: dict[str, str],
    refusals: int,
    words: str,
    sent: set[str],
) -> None:
    _refuses(upstream, refusals)

    fine, said = await run_doctor(ask=True, storage=storage, providers=_provider(upstream))

    assert not fine
    assert f"in [providers.openai]: {words}\n" in f"{said}\n"
    last = upstream.requests[-1].json
    assert sent == {name for name in last if "max" in name}
    assert ("stream_options = false" in words) == ("stream_options" not in last)


@pytest.mark.parametrize(("model", "is_fine"), [("gpt-5-example", True), ("plain-model", False)])
@pytest.mark.gen_test
async def test_a_model_that_cannot_encrypt_its_reasoning_is_asked_without_it(
    upstream: ScriptedUpstream, storage: dict[str, str], model: str, is_fine: bool
) -> None:
    upstream.tokens("Hi")
    upstream.finish("length")
    url = upstream.base_url("openai-responses")
    configured = {"base_url": url, "api_key": "k", "models": [model]}

    fine, said = await run_doctor(
        ask=True, storage=storage, providers={"openai-responses": configured}
    )

    assert is_fine == fine
    assert ("encrypted_reasoning = false" in said) != is_fine


@pytest.mark.gen_test
async def test_a_server_without_finish_marks_is_told_to_end_at_done(
    upstream: ScriptedUpstream, storage: dict[str, str]
) -> None:
    upstream.raw(b'data: {"choices":[{"delta":{"content":"Hi"}}]}\n\ndata: [DONE]\n\n')
    upstream.end()

    fine, said = await run_doctor(ask=True, storage=storage, providers=_provider(upstream))

    assert not fine
    assert "in [providers.openai]: done_ends = true" in said


@pytest.mark.gen_test
async def test_what_no_switch_mends_is_told_as_it_was(
    upstream: ScriptedUpstream, storage: dict[str, str]
) -> None:
    upstream.fail(400, {"error": {"code": "unsupported_value"}})

    fine, said = await run_doctor(ask=True, storage=storage, providers=_provider(upstream))

    assert not fine
    assert "provider_bad_request" in said
    assert len(upstream.requests) <= 5


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("http://127.0.0.1:9/v1", "the connection was refused"),
        ("http://no-such-host.invalid/v1", "the name has no address"),
    ],
)
@pytest.mark.gen_test
async def test_a_provider_that_cannot_be_reached_is_told_why(
    storage: dict[str, str], address: str, words: str
) -> None:
    providers = {"own": {"dialect": "openai", "base_url": address, "models": ["m"]}}

    fine, said = await run_doctor(storage=storage, providers=providers)

    assert not fine
    assert words in said


@pytest.mark.gen_test
async def test_a_certificate_that_is_not_trusted_is_told(
    storage: dict[str, str], tmp_path: Path
) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))

    def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        own = {"dialect": "openai", "base_url": f"https://127.0.0.1:{port}/v1", "models": ["m"]}
        fine, said = await run_doctor(storage=storage, providers={"own": own})
        trusted = {**own, "ca_certs": str(tmp_path / "ca.pem")}
        fine_then, said_then = await run_doctor(storage=storage, providers={"own": trusted})

    assert not fine
    assert "certificate is not trusted" in said
    assert fine_then, said_then


@pytest.mark.gen_test
async def test_a_provider_that_is_reached_without_tls_is_asked_as_well(
    upstream: ScriptedUpstream, storage: dict[str, str]
) -> None:
    upstream.tokens("Hi")
    upstream.finish("length")
    address = upstream.url.replace("127.0.0.1", "0.0.0.0")  # this machine, by no near address
    providers = {"openai": {"base_url": f"{address}/v1", "api_key": "k"}}

    fine, said = await run_doctor(ask=True, storage=storage, providers=providers)

    assert fine
    assert "the API key is sent unencrypted" in said
    assert "gpt-4o-mini answered in" in said
