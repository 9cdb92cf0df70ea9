"""The provider behind all tests of clients: DashScope's own dialect, which is not OpenAI's, and a
model that thinks, sees images, calls tools and speaks Chinese.

The upstream is strict: what it would refuse is an error of the test that asked.
"""

import base64
from typing import Any

from tests.providers.conversations import PNG
from tests.upstreams import ScriptedUpstream

MODEL = "dashscope/qwen3-vl-plus"  # as clients name it

THOUGHTS = ("图里", "是北京👀", "。")
TEXTS = ("北京", "今天", "晴，二十", "度👌", "。")
THOUGHT, TEXT = "".join(THOUGHTS), "".join(TEXTS)

CALL_ID, TOOL, ARGUMENTS = "call_1", "weather", '{"city":"北京"}'
RESULT = "晴，20 ℃"
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}

IMAGE = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"


def settings_of(upstream: ScriptedUpstream) -> dict[str, Any]:
    """The settings of a provider that calls `upstream`."""
    return {
        "dialect": "dashscope",
        "base_url": upstream.base_url("dashscope"),
        "api_key": "k",
        "models": [MODEL.partition("/")[2]],
        "input_kinds": ["image", "tool_result"],
    }


def thinks_and_answers(upstream: ScriptedUpstream) -> None:
    """Have the next request, and those after it, answered in pieces: a thought, then a text."""
    upstream.reasoning(*THOUGHTS)
    upstream.tokens(*TEXTS)
    upstream.finish()


def calls_the_tool(upstream: ScriptedUpstream) -> None:
    """Have the next request answered with a thought and a call, and script the one after it."""
    upstream.reasoning(*THOUGHTS)
    upstream.tool_call(0, CALL_ID, TOOL, ARGUMENTS)
    upstream.finish("tool_calls")
    upstream.next_request()


def has_image(body: dict[str, Any]) -> bool:
    """Whether a request to the provider holds the image."""
    parts = [part for message in body["input"]["messages"] for part in message["content"]]
    return {"image": IMAGE} in parts


def results_in(body: dict[str, Any]) -> list[tuple[str, str]]:
    """The ids of calls, and their results, that a request to the provider holds."""
    messages = body["input"]["messages"]
    return [(m["tool_call_id"], m["content"]) for m in messages if m["role"] == "tool"]
