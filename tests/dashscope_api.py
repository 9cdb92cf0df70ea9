"""What DashScope's native API refuses, as strictly as it does, or more so.

Written after its documentation and the code of its SDK, and not after our own requests, so that the
two do not share an error.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from tests.strict_api import Refused, need, need_fields

Json = dict[str, Any]

MULTIMODAL_PATH = "/services/aigc/multimodal-generation/generation"

_PARAMETERS = {
    *("temperature", "top_p", "top_k", "max_tokens", "stop", "seed", "presence_penalty"),
    *("repetition_penalty", "enable_thinking", "thinking_budget", "response_format", "tools"),
    *("tool_choice", "parallel_tool_calls", "enable_search", "search_options", "n"),
    *("logprobs", "top_logprobs"),
}
_IMAGE = re.compile(r"https?://.+|oss://.+|data:image/[a-z]+;base64,[A-Za-z0-9+/]+=*")
_SEES = re.compile("vl|qvq|omni|qwen3[.][5-9]|example")


def refusal(path: str, headers: Mapping[str, str], data: bytes) -> tuple[int, Json] | None:
    """The status and the body of the error for a request; None if the API takes it."""
    try:
        need("json" in headers.get("Content-Type", ""), "content-type")
        need(headers.get("X-DashScope-SSE") == "enable", "these tests stream")
        _check(json.loads(data), MULTIMODAL_PATH in path)
    except (Refused, ValueError) as error:
        return 400, {"code": "InvalidParameter", "message": str(error), "request_id": "scripted"}
    return None


def _check(body: Any, multimodal: bool) -> None:
    need_fields(body, {"model", "input", "parameters"}, set(), "body")
    sees = _SEES.search(body["model"]) is not None
    need(sees or not multimodal, "url error, please check url")
    need(multimodal or not sees or "example" in body["model"], "url error, please check url")
    need_fields(body["input"], {"messages"}, set(), "input")
    parameters = body["parameters"]
    always = {"result_format", "incremental_output"}  # whose defaults differ between models
    need_fields(parameters, always, _PARAMETERS, "parameters")
    need(parameters["result_format"] == "message", "result_format")
    need(type(parameters["incremental_output"]) is bool, "incremental_output")
    if parameters.get("enable_thinking"):
        need(parameters["incremental_output"], "must be true when enable_thinking is true")
        need("response_format" not in parameters, "no format with thinking")
    need(0 <= parameters.get("temperature", 1) < 2, "temperature")
    need(0 < parameters.get("top_p", 1) <= 1, "top_p")
    choice = parameters.get("tool_choice", "auto")
    need(choice in ("auto", "none") or isinstance(choice, dict), "tool_choice")
    for tool in parameters.get("tools", ()):
        need_fields(tool, {"type", "function"}, set(), "tool")
        need_fields(tool["function"], {"name", "parameters"}, {"description", "strict"}, "function")
    _check_messages(body["input"]["messages"], multimodal)


def _check_messages(messages: Any, multimodal: bool) -> None:
    need(isinstance(messages, list) and messages, "messages")
    waiting: list[str] = []
    for place, message in enumerate(messages):
        role, where = message.get("role"), f"messages[{place}]"
        if role == "tool":
            need_fields(message, {"role", "content", "tool_call_id"}, {"name"}, where)
            need(message["tool_call_id"] in waiting, f"{where}: no such call")
            waiting.remove(message["tool_call_id"])
            need(isinstance(message["content"], str), where)
            continue
        need(not waiting, f"{where}: calls without results")
        need(role in ("user", "assistant") or (role == "system" and place == 0), where)
        optional = {"tool_calls"} if role == "assistant" else set()
        need_fields(message, {"role", "content"}, optional, where)
        _check_content(message["content"], multimodal, where)
        for call in message.get("tool_calls", ()):
            need_fields(call, {"id", "type", "function"}, set(), where)
            need_fields(call["function"], {"name", "arguments"}, set(), where)
            need(isinstance(json.loads(call["function"]["arguments"]), dict), "must be in JSON")
            waiting.append(call["id"])
        need(all(waiting) and len(set(waiting)) == len(waiting), f"{where}: ids")
    need(not waiting, "calls without results")
    need(messages[-1]["role"] in ("user", "tool"), "the last message is an answer")


def _check_content(content: Any, multimodal: bool, where: str) -> None:
    if not multimodal:
        need(isinstance(content, str), f"{where}: content should be a string")
        return
    need(isinstance(content, list) and content, f"{where}: content should be a list")
    for part in content:
        need(isinstance(part, dict) and len(part) == 1, f"{where}: a part has one field")
        [(kind, value)] = part.items()
        need(kind in ("text", "image") and isinstance(value, str), f"{where}: {kind}")
        need(kind == "text" or _IMAGE.fullmatch(value), f"{where}: not an image")
