"""The Responses API over HTTP: a question with images and a file, and reasoning over a restart."""

from typing import Any

import pytest

from tests.file_steps import PDF, PNG, ask, data_uri, image, text
from tests.openai_responses_stream import ResponsesStream
from tests.serving import Serving
from tests.upstreams import ScriptedUpstream

URL = "https://example.com/dam.png"


def settings(upstream: ScriptedUpstream, with_store: dict[str, Any]) -> dict[str, Any]:
    """A server with this provider alone."""
    base_url = upstream.base_url("openai-responses")
    provider = {"preset": "openai-responses", "base_url": base_url, "api_key": "sk-example"}
    return {**with_store, "providers": {"r": {**provider, "models": ["gpt-5-example"]}}}


@pytest.mark.slow
@pytest.mark.gen_test
async def test_images_files_and_reasoning_are_sent_again_after_a_restart(
    serve: Serving, with_store: dict[str, Any], upstream: ScriptedUpstream
) -> None:
    upstream.response(
        lambda stream: stream.reasoning("Both are dams."),
        lambda stream: stream.text("The first", " one."),
        ResponsesStream.complete,
    )
    upstream.end()
    upstream.next_request()
    upstream.tokens("Since 1936.")
    upstream.finish()
    first = await serve.start(**settings(upstream, with_store))
    parts = (
        text("Which is older?"),
        image(PNG),
        {"type": "image_url", "image_url": {"url": URL, "detail": "high"}},
        {"type": "file", "url": data_uri(PDF), "name": "dämme.pdf"},
    )

    answered = await ask(first, *parts)
    await serve.stop(first)
    second = await serve.start(**settings(upstream, with_store))
    conversation = answered.body["conversation_id"]
    again = await ask(second, text("Since when?"), conversation_id=conversation)

    assert "The first one." == answered.body["blocks"][-1]["text"]
    assert "Since 1936." == again.body["blocks"][-1]["text"]
    [asked] = upstream.requests[0].json["input"]
    assert [
        {"type": "input_text", "text": "Which is older?"},
        {"type": "input_image", "image_url": data_uri(PNG, "image/png"), "detail": "auto"},
        {"type": "input_image", "image_url": URL, "detail": "high"},
        {
            "type": "input_file",
            "filename": "dämme.pdf",
            "file_data": data_uri(PDF, "application/pdf"),
        },
    ] == asked["content"]
    before, reasoning, answer, question = upstream.requests[1].json["input"]
    assert asked == before
    assert ("reasoning", "Both are dams.") == (reasoning["type"], reasoning["summary"][0]["text"])
    assert "The first one." == answer["content"]
    assert "Since when?" == question["content"]
    usage = answered.body["usage"]
    assert {"input_tokens": 7, "output_tokens": 11, "cached_tokens": 2}.items() <= usage.items()


@pytest.mark.slow
@pytest.mark.gen_test
async def test_an_option_that_the_api_lacks_is_refused_before_the_question_is_stored(
    serve: Serving, with_store: dict[str, Any], upstream: ScriptedUpstream
) -> None:
    server = await serve.start(**settings(upstream, with_store))

    for name, value in (("stop", ["x"]), ("seed", 1), ("top_k", 5), ("presence_penalty", 1)):
        refused = await ask(server, text(), **{name: value})
        assert (400, "unsupported_parameter") == (refused.status, refused.body["error"]["code"])
        assert name in refused.body["error"]["message"]

    assert [] == upstream.requests
