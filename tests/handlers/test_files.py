"""Images and files of a question: what is taken, stored, sent on and given back."""

import asyncio
import base64
from typing import Any

import pytest

from handlers.file_parts import with_types
from model.blocks import ImageBlock
from tests.auth_servers import AuthServers
from tests.file_steps import (
    GIF,
    JPEG,
    PDF,
    PNG,
    TEXT,
    WEBP,
    ask,
    asked,
    code,
    data_uri,
    get,
    image,
    text,
)
from tests.image_provider import ImageProvider
from tests.readers import call
from tests.serving import Serving
from tests.steps import JSON
from tests.upstreams import ScriptedUpstream


@pytest.mark.slow
@pytest.mark.gen_test
async def test_images_and_files_are_stored_sent_to_the_model_and_given_back(
    serve: Serving,
    with_store: dict[str, Any],
    sources: list[ImageProvider],
    upstream: ScriptedUpstream,
) -> None:
    server = await serve.start(**with_store)
    upstream.tokens("A dam.")
    upstream.finish()

    answer = await ask(
        server,
        image(PNG),
        text(),
        {"type": "file", "url": data_uri(PDF), "name": "dämme.pdf"},
        image(JPEG),
    )

    assert 200 == answer.status
    blocks = await asked(server, answer)
    assert ["image", "text", "file", "image"] == [block["type"] for block in blocks]
    stored = [
        (block, content) for block, content in zip(blocks, (PNG, None, PDF, JPEG), strict=True)
    ]
    types = {PNG: "image/png", PDF: "application/pdf", JPEG: "image/jpeg"}
    (prompt,) = sources[0].prompts
    sent = [block for turn in prompt.turns for block in turn.blocks]
    for (block, content), part in zip(stored, sent, strict=True):
        if content is None:
            continue
        assert (types[content], len(content)) == (block["media_type"], block["size"])
        assert block["file_id"].startswith(f"{answer.body['conversation_id']}-")
        assert content == base64.b64decode(prompt.files[part.file_id].base64)
        given = await get(server, block["file_id"])
        assert (200, content) == (given.status, given.body)
        assert types[content] == given.headers["content-type"]
        assert "nosniff" == given.headers["x-content-type-options"]
        assert "default-src 'none'; sandbox" in given.headers["content-security-policy"]
        assert given.headers["cache-control"].startswith("private")
        head = await get(server, block["file_id"], "HEAD")
        assert (200, str(len(content))) == (head.status, head.headers["content-length"])
    disposition = (await get(server, blocks[2]["file_id"])).headers["content-disposition"]
    assert "attachment; filename=\"d_mme_pdf\"; filename*=UTF-8''d%C3%A4mme.pdf" == disposition
    assert "inline" == (await get(server, blocks[0]["file_id"])).headers["content-disposition"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "part",
    [
        image(PNG, "image/jpeg"),  # what the client says of the type is not believed
        {"type": "image_url", "image_url": {"url": data_uri(PNG)}},
        {"type": "image_url", "image_url": {"url": data_uri(PNG), "detail": "auto"}},
        {
            "type": "image",
            "source": {
                "type": "base64",
                "media_type": "image/png",
                "data": base64.b64encode(PNG).decode(),
            },
        },
        {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(PNG).decode()}},
        {"inline_data": {"mime_type": "image/png", "data": base64.b64encode(PNG).decode()}},
        {"image": data_uri(PNG)},
    ],
)
@pytest.mark.gen_test
async def test_an_image_in_any_spelling_is_the_same_image(
    serve: Serving,
    providers: dict[str, Any],
    sources: list[ImageProvider],
    upstream: ScriptedUpstream,
    part: dict[str, Any],
) -> None:
    server = await serve.start(providers=providers)
    upstream.finish()

    answer = await ask(server, text(), part)

    _, block = await asked(server, answer)
    assert {"type": "image", "media_type": "image/png", "size": len(PNG)}.items() <= block.items()
    assert PNG == (await get(server, block["file_id"])).body


@pytest.mark.parametrize("content", ["Look.", [{"type": "text", "text": "Look."}]])
@pytest.mark.gen_test
async def test_images_as_ollama_spells_them_stand_beside_the_content(
    serve: Serving,
    providers: dict[str, Any],
    sources: list[ImageProvider],
    upstream: ScriptedUpstream,
    content: Any,
) -> None:
    server = await serve.start(providers=providers)
    upstream.finish()
    body = {"content": content, "images": [base64.b64encode(PNG).decode()]}

    answer = await call(server.url, "POST", "/api/v1/chat", body, headers=JSON)
    refused = await call(
        server.url, "POST", "/api/v1/chat", {**body, "images": ["iVB*"]}, headers=JSON
    )

    first, block = await asked(server, answer)
    assert {"type": "text", "text": "Look."} == first
    assert {"type": "image", "media_type": "image/png", "size": len(PNG)}.items() <= block.items()
    assert PNG == (await get(server, block["file_id"])).body
    assert (400, "invalid_file") == (refused.status, refused.body["error"]["code"])


@pytest.mark.parametrize(
    "part",
    [
        {"image": "https://x.test/a.png"},
        {"fileData": {"mimeType": "image/png", "fileUri": "https://x.test/a.png"}},
        {"file_data": {"mime_type": "image/png", "file_uri": "https://x.test/a.png"}},
    ],
)
@pytest.mark.gen_test
async def test_an_address_in_any_spelling_is_the_same_address(
    serve: Serving,
    providers: dict[str, Any],
    sources: list[ImageProvider],
    upstream: ScriptedUpstream,
    part: dict[str, Any],
) -> None:
    server = await serve.start(providers=providers)
    upstream.finish()

    answer = await ask(server, text(), part)

    _, block = await asked(server, answer)
    assert {"type": "image", "url": "https://x.test/a.png"} == {
        name: value for name, value in block.items() if value is not None
    }


def test_an_address_of_gemini_is_that_of_a_file_unless_it_is_called_an_image() -> None:
    data = {"mimeType": "text/csv", "fileUri": "https://x.test/a", "displayName": "a.csv"}

    body = with_types({"content": [{"fileData": data}]})

    part = {"type": "file", "url": "https://x.test/a", "name": "a.csv"}
    assert {"content": [part]} == body


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "content", "name"),
    [
        (
            {"type": "file", "file": {"file_data": data_uri(PDF), "filename": "a.pdf"}},
            PDF,
            "a.pdf",
        ),
        (
            {
                "type": "document",
                "title": "b.txt",
                "source": {
                    "type": "base64",
                    "media_type": "text/plain",
                    "data": base64.b64encode(TEXT).decode(),
                },
            },
            TEXT,
            "b.txt",
        ),
        (
            {"inlineData": {"mimeType": "text/csv", "data": base64.b64encode(TEXT).decode()}},
            TEXT,
            None,
        ),
        ({"type": "file", "url": "data:text/plain,a%20b"}, b"a b", None),
        # Browsers read these as base64, too.
        (
            {"type": "file", "url": data_uri(PDF).replace(";base64", "; BASE64 ")},
            PDF,
            None,
        ),
        (
            {"type": "file", "url": data_uri(PDF).replace(";base64", ";base64;name=a.pdf")},
            PDF,
            None,
        ),
    ],
)
@pytest.mark.gen_test
async def test_a_file_in_any_spelling_is_the_same_file(
    serve: Serving,
    providers: dict[str, Any],
    sources: list[ImageProvider],
    upstream: ScriptedUpstream,
    part: dict[str, Any],
    content: bytes,
    name: str | None,
) -> None:
    server = await serve.start(providers=providers)
    upstream.finish()

    answer = await ask(server, {"text": "Read this."} if "inlineData" in part else text(), part)

    _, block = await asked(server, answer)
    assert ("file", name) == (block["type"], block.get("name"))
    given = await get(server, block["file_id"])
    assert content == given.body
    assert "attachment" in given.headers["content-disposition"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (image(PDF), (400, "unsupported_file_type")),
        (image(b"<svg onload=alert(1)>"), (400, "unsupported_file_type")),
        ({"type": "file", "url": data_uri(PNG)}, (400, "unsupported_file_type")),
        ({"type": "file", "url": data_uri(b"MZ\x00\x01")}, (400, "unsupported_file_type")),
        ({"type": "image", "url": "data:image/png;base64,iVBO*"}, (400, "invalid_file")),
        ({"type": "image", "url": "data:image/png;base64,iVBOR"}, (400, "invalid_file")),
        ({"type": "image", "url": "data:image/png;base64,iV==BORw"}, (400, "invalid_file")),
        ({"type": "image", "url": "data:image/png;base64,iVBOé==="}, (400, "invalid_file")),
        ({"type": "image", "url": "data:image/png;base64,"}, (400, "invalid_file")),
        ({"type": "image", "url": "data:image/png;base64"}, (400, "invalid_file")),
        ({"type": "image", "url": "http://x.test/a.png"}, (400, "invalid_body")),
        ({"type": "image", "url": "https://user:word@x.test/a.png"}, (400, "invalid_body")),
        ({"type": "image", "url": "file:///etc/passwd"}, (400, "invalid_body")),
        ({"type": "image"}, (400, "invalid_body")),
        ({"type": "image_url", "image_url": {"url": data_uri(PNG), "detail": "sharp"}},
         (400, "invalid_body")),
        ({"type": "image", "url": data_uri(PNG), "source": {"type": "url", "url": "https://x.y"}},
         (400, "invalid_body")),
        ({"type": "file", "url": data_uri(PDF), "name": "a\nb"}, (400, "invalid_body")),
        ({"inlineData": {"mimeType": "image/png"}}, (400, "invalid_body")),
        ({"fileData": {"mimeType": "image/png", "fileUri": "gs://a/b"}}, (400, "invalid_body")),
        ({"fileData": {"fileUri": "https://x.test/a"}}, (400, "invalid_body")),
        ({"image": "file:///etc/passwd"}, (400, "invalid_body")),
        ({"image": "data:image/png;base64,iVBOR"}, (400, "invalid_file")),
        # A `data:` URI begins after the first comma.
        ({"inlineData": {"mimeType": "text/plain,a", "data": "YWJj"}}, (400, "invalid_body")),
        ({"type": "document", "source": {"type": "base64", "media_type": "text/plain,a",
          "data": "YWJj"}}, (400, "invalid_body")),
        (image(PNG + bytes(7000)), (413, "file_too_large")),
    ],
)  # fmt: skip
@pytest.mark.gen_test
async def test_what_is_no_file_is_refused_by_its_content_and_nothing_is_stored(
    serve: Serving,
    providers: dict[str, Any],
    sources: list[ImageProvider],
    upstream: ScriptedUpstream,
    part: dict[str, Any],
    expected: tuple[int, str],
) -> None:
    server = await serve.start(providers=providers, limits={"max_file_bytes": 10_000})

    assert expected == code(await ask(server, text(), part))

    assert [] == upstream.requests
    assert [] == (await call(server.url, "GET", "/api/v1/conversations")).body["data"]


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_retry_with_the_same_bytes_is_the_same_question_and_another_image_is_not(
    serve: Serving,
    with_store: dict[str, Any],
    sources: list[ImageProvider],
    upstream: ScriptedUpstream,
) -> None:
    server = await serve.start(**with_store)
    upstream.finish()
    key = {"Idempotency-Key": "one"}

    first = await ask(server, text(), image(PNG), headers=key)
    again = await ask(
        server, text(), {"type": "image_url", "image_url": {"url": data_uri(PNG)}}, headers=key
    )
    other = await ask(server, text(), image(PNG + b"x"), headers=key)

    assert first.body["id"] == again.body["id"]
    assert (422, "idempotency_key_reused") == code(other)
    assert 1 == len(sources[0].prompts)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_regenerating_and_asking_on_send_the_files_again(
    serve: Serving,
    with_store: dict[str, Any],
    sources: list[ImageProvider],
    upstream: ScriptedUpstream,
) -> None:
    server = await serve.start(**with_store)
    upstream.finish()
    answer = await ask(server, text(), image(PNG), image(PNG), image(GIF))
    of = answer.body["conversation_id"]

    again = await call(
        server.url, "POST", f"/api/v1/answers/{answer.body['id']}/regenerate", headers=JSON
    )
    assert 200 == again.status
    on = await ask(server, text("And now?"), conversation_id=of)

    assert 200 == on.status
    for prompt in sources[0].prompts[1:]:
        sent = [
            base64.b64decode(prompt.files[block.file_id].base64)
            for turn in prompt.turns
            for block in turn.blocks
            if getattr(block, "file_id", None)
        ]
        assert [PNG, PNG, GIF] == sent
        assert 2 == len(prompt.files)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_addresses_are_passed_on_and_never_called(
    serve: Serving,
    with_store: dict[str, Any],
    sources: list[ImageProvider],
    upstream: ScriptedUpstream,
) -> None:
    calls: list[asyncio.StreamWriter] = []
    listening = await asyncio.start_server(lambda _, writer: calls.append(writer), "127.0.0.1", 0)
    address = f"https://127.0.0.1:{listening.sockets[0].getsockname()[1]}/a.png"
    server = await serve.start(**with_store)
    upstream.finish()

    answer = await ask(server, text(), {"type": "image", "url": address})

    assert 200 == answer.status
    assert address == (await asked(server, answer))[1]["url"]
    assert [ImageBlock(url=address)] == [
        block for block in sources[0].prompts[0].turns[0].blocks if isinstance(block, ImageBlock)
    ]
    assert [] == calls
    listening.close()


@pytest.mark.gen_test
async def test_a_file_is_there_for_its_user_alone_and_until_its_conversation_is_deleted(
    auth_servers: AuthServers,
    providers: dict[str, Any],
    sources: list[ImageProvider],
    upstream: ScriptedUpstream,
) -> None:
    server = await auth_servers.open(providers=providers)
    alice, bob = await auth_servers.create_key("alice"), await auth_servers.create_key("bob")
    upstream.finish()
    answer = await ask(server, text(), image(WEBP), headers=alice.headers)
    of = answer.body["conversation_id"]
    path = f"/api/v1/conversations/{of}"
    listed = await call(server.url, "GET", f"{path}/messages", headers=alice.headers)
    file_id = listed.body["data"][0]["blocks"][1]["file_id"]

    assert 200 == (await get(server, file_id, **alice.headers)).status
    assert 404 == (await get(server, file_id, **bob.headers)).status
    assert 404 == (await get(server, f"{of}-0", **alice.headers)).status
    assert 401 == (await get(server, file_id)).status
    deleted = await call(server.url, "DELETE", path, headers=alice.headers)
    assert 204 == deleted.status
    assert 404 == (await get(server, file_id, **alice.headers)).status
