"""The demo over HTTP: what it answers, and that it does as a provider does."""

import base64
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tornado.ioloop import IOLoop

from app.server import Server
from providers.demo import DemoUpstream
from tests.readers import Response, call
from tests.serving import Serving
from tests.steps import JSON

WEB = Path(__file__).parents[2] / "web"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


@pytest.fixture
def demo(io_loop: IOLoop, serve: Serving, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A server that the demo answers, without its pauses."""
    monkeypatch.setattr(
        "app.composition.DemoUpstream", partial(DemoUpstream, seconds_per_token=0.0)
    )
    server: Server = io_loop.run_sync(serve.start)
    return server


async def ask(server: Server, content: object, path: str = "chat", **fields: Any) -> Response:
    body = {"content": content, **fields}
    return await call(server.url, "POST", f"/api/v1/{path}", body, headers=JSON)


async def answered(server: Server, content: object, **fields: Any) -> dict[str, Any]:
    response = await ask(server, content, **fields)
    assert 200 == response.status, response.body
    message: dict[str, Any] = response.body
    return message


def text_of(message: dict[str, Any]) -> str:
    return "".join(block["text"] for block in message["blocks"] if block["type"] == "text")


@pytest.mark.gen_test
async def test_another_question_is_quoted_and_told_what_there_is(demo: Server) -> None:
    for question, says in (("Hello {0}{said}", "demo: no model"), ("你好", "背后没有模型")):
        text = text_of(await answered(demo, question))

        assert says in text
        assert question in text

    long = text_of(await answered(demo, "water " * 2000))
    assert "water water" in long
    assert "…" in long
    assert len(long) < 2000


@pytest.mark.gen_test
async def test_each_question_that_the_empty_page_offers_has_a_script_and_says_so(
    demo: Server,
) -> None:
    """The scripts show a formula, a table, code, reasoning, a tool call and long Chinese."""
    seen = ""
    for language in ("en", "zh"):
        source = (WEB / f"src/i18n/{language}.ts").read_text("utf-8")
        _, _, offered = source.partition("    question: {\n")
        questions = re.findall(r'"(.*)",', offered.partition("    }")[0])
        assert 8 == len(questions)
        for question in questions:
            message = await answered(demo, question)

            kinds = [block["type"] for block in message["blocks"]]
            text = text_of(message)
            assert question not in text  # which the answer to any other question has in it
            assert "a script" in text or "一段脚本" in text
            seen += f"{kinds} {text}"
            if "都江堰" in question:
                assert len(text) > 500
    for each in (r"\frac", "|--", "```python", "'reasoning'", "'tool_call'", "[^1]:"):
        assert each in seen, each


@pytest.mark.gen_test
async def test_a_tool_is_called_and_its_result_continues_the_answer(demo: Server) -> None:
    offered = {
        "name": "forecast",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "unit": {"type": "string", "enum": ["C", "F"]},
                "days": {"type": "integer"},
                "hours": {},
            },
        },
    }
    own = await answered(demo, "How is the weather?")
    assert {"name": "weather", "arguments": '{"city":"Hangzhou"}'}.items() <= own["blocks"][
        -1
    ].items()
    assert "tool_calls" == own["finish_reason"]

    called = await answered(demo, "天气", tools=[{"name": "weather"}, offered])
    assert "{}" == called["blocks"][-1]["arguments"]
    called = await answered(
        demo, "天气", tools=[{"name": "weather"}, offered], tool_choice={"name": "forecast"}
    )
    block = called["blocks"][-1]
    assert '{"city":"杭州","unit":"C","days":1,"hours":null}' == block["arguments"]

    result = {"type": "tool_result", "id": block["id"], "text": "晴，21 °C"}
    path = f"conversations/{called['conversation_id']}/messages"
    last = await ask(demo, [result], path, tools=[offered])
    assert "晴，21 °C" in text_of(last.body)
    assert "stop" == last.body["finish_reason"]

    for choice in ("none", "required"):
        message = await answered(demo, "Hello", tools=[offered], tool_choice=choice)
        assert (choice == "required") == ("tool_call" in str(message["blocks"]))


@pytest.mark.gen_test
async def test_what_is_attached_is_named(demo: Server) -> None:
    def address(media_type: str, content: bytes) -> str:
        return f"data:{media_type};base64,{base64.b64encode(content).decode()}"

    image = {"type": "image", "url": address("image/png", PNG)}
    file = {"type": "file", "url": address("text/plain", b"words"), "name": "notes.txt"}

    message = await answered(demo, [{"type": "text", "text": "See this"}, image, file])

    assert text_of(message).startswith("image/png, notes.txt arrived")


@pytest.mark.gen_test
async def test_options_have_the_effect_that_a_script_can_show(demo: Server) -> None:
    question = "Is 2027 a prime?"
    whole = await answered(demo, question)
    assert "reasoning" == whole["blocks"][0]["type"]
    assert 0 < whole["usage"]["reasoning_tokens"] < whole["usage"]["output_tokens"]

    hasty = await answered(demo, question, reasoning_effort="none", temperature=0.5)
    assert ["text"] == [block["type"] for block in hasty["blocks"]]
    assert text_of(whole) == text_of(hasty)

    short = await answered(demo, question, reasoning_effort="none", max_tokens=3)
    assert "**Yes, 2027 is" == text_of(short)
    assert ("length", 3) == (short["finish_reason"], short["usage"]["output_tokens"])

    stopped = await answered(demo, question, stop=["a prime", "2027"])
    assert "**Yes, " == text_of(stopped)
    assert "stop" == stopped["finish_reason"]
