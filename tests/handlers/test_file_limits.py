"""Images and files are bounded, each, together and for each user, and none is left over."""

import asyncio
from typing import Any

import pytest

from tests.file_steps import (
    GIF,
    PNG,
    ask,
    code,
    files_in,
    image,
    text,
)
from tests.image_provider import ImageProvider
from tests.readers import call
from tests.serving import Serving
from tests.upstreams import ScriptedUpstream


@pytest.mark.slow
@pytest.mark.gen_test
async def test_files_count_in_the_quota(
    serve: Serving,
    with_store: dict[str, Any],
    sources: list[ImageProvider],
    upstream: ScriptedUpstream,
) -> None:
    server = await serve.start(**with_store, limits={"kept_bytes_per_user": 100_000})
    upstream.finish()
    big = PNG + bytes(60_000)

    first = await ask(server, text(), image(big))
    second = await ask(server, text(), image(big + b"x"))

    assert 200 == first.status
    assert (403, "storage_quota_exceeded") == code(second)


@pytest.mark.gen_test
async def test_long_bodies_are_bounded_by_what_they_bring(
    serve: Serving,
    providers: dict[str, Any],
    sources: list[ImageProvider],
    upstream: ScriptedUpstream,
) -> None:
    limits = {
        "max_body_bytes": 100_000,
        "max_file_body_bytes": 1_000_000,
        "max_file_bytes": 400_000,
        "max_files": 3,
    }
    server = await serve.start(providers=providers, limits=limits)
    upstream.finish()
    large = PNG + bytes(390_000)

    me = await call(server.url, "GET", "/api/v1/me")
    assert limits | {"max_question_chars": 400_000} == me.body["limits"]
    assert 200 == (await ask(server, text(), image(large))).status
    too_large = (413, "body_too_large")
    assert too_large == code(await ask(server, text("x" * 150_000)))
    assert too_large == code(await ask(server, text("x" * 150_000), image(large)))
    assert too_large == code(await ask(server, *[text("x") for _ in range(8000)], image(large)))
    assert too_large == code(await ask(server, text(), image(large), extra={"a": [1] * 100_000}))
    assert too_large == code(await ask(server, *[image(large)] * 2))  # 1,040,000 bytes
    assert (413, "too_many_files") == code(await ask(server, *[image(GIF)] * 4))
    assert (400, "invalid_body") == code(await ask(server, *[text("x")] * 300))
    other = await call(server.url, "POST", "/api/v1/conversations", {"system": "x" * 150_000})
    assert too_large == code(other)


@pytest.mark.gen_test
async def test_files_of_live_answers_are_bounded_together(
    serve: Serving,
    providers: dict[str, Any],
    sources: list[ImageProvider],
    upstream: ScriptedUpstream,
) -> None:
    limits = {
        "max_body_bytes": 50_000,
        "max_file_body_bytes": 200_000,
        "max_file_bodies_bytes": 400_000,
    }
    server = await serve.start(providers=providers, limits=limits)
    upstream.tokens("x")
    large = PNG + bytes(90_000)  # 124,000 in base64
    asking = asyncio.create_task(ask(server, text(), image(large)))
    await upstream.request(0)

    assert (429, "too_many_file_bytes") == code(await ask(server, text(), image(large)))

    upstream.finish()
    assert 200 == (await asking).status
    assert 200 == (await ask(server, text(), image(large))).status


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_question_that_finds_its_conversation_busy_leaves_no_file(
    serve: Serving,
    with_store: dict[str, Any],
    sources: list[ImageProvider],
    upstream: ScriptedUpstream,
) -> None:
    server = await serve.start(**with_store)
    upstream.tokens("x")
    asking = asyncio.create_task(ask(server, text(), image(PNG)))
    await upstream.request(0)
    (of,) = (await call(server.url, "GET", "/api/v1/conversations")).body["data"]

    busy = await ask(server, text(), image(GIF), conversation_id=of["id"])
    gone = await ask(server, text(), image(GIF), conversation_id="0" * 32)

    assert (409, "conversation_busy") == code(busy)
    assert (404, "not_found") == code(gone)
    assert 1 == files_in(with_store)
    upstream.finish()
    await asking


@pytest.mark.slow
@pytest.mark.gen_test
async def test_deleting_while_files_are_stored_leaves_none_that_is_seen(
    serve: Serving,
    with_store: dict[str, Any],
    sources: list[ImageProvider],
    upstream: ScriptedUpstream,
) -> None:
    server = await serve.start(**with_store)
    upstream.finish()
    for _ in range(10):
        made = (await call(server.url, "POST", "/api/v1/conversations", {})).body["id"]

        answer, deleted = await asyncio.gather(
            ask(server, text(), image(PNG), conversation_id=made),
            call(server.url, "DELETE", f"/api/v1/conversations/{made}"),
        )

        assert 204 == deleted.status
        assert answer.status in (200, 404, 502)
        assert 404 == (await call(server.url, "GET", f"/api/v1/conversations/{made}")).status
    async with asyncio.timeout(10):
        while files_in(with_store):  # noqa: ASYNC110
            await asyncio.sleep(0)
