"""What DashScope's native API refuses, as strictly as it does, or more so.

Written after its documentation and the code of its SDK, and not after our own requests, so that the
two do not share an error.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

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


class _Refused(Exception):
    """The request is invalid, for the reason that this says."""


def refusal(path: str, headers: Mapping[str, str], data: bytes) -> tuple[int, Json] | None:
    """The status and the body of the error for a request; None if the API takes it."""
    try:
        _need("json" in headers.get("Content-Type", ""), "content-type")
        _need(headers.get("X-DashScope-SSE") == "enable", "these tests stream")
        _check(json.loads(data), MULTIMODAL_PATH in path)
    except (_Refused, ValueError) as error:
        return 400, {"code": "InvalidParameter", "message": str(error), "request_id": "scripted"}
    return None


def _need(holds: object, what: str) -> None:
    if not holds:
        raise _Refused(what)


def _fields(value: Any, required: set[str], optional: set[str], where: str) -> None:
    _need(isinstance(value, dict), f"{where}: should be an object")
    _need(required <= value.keys(), f"{where}: {required - value.keys()}: missing")
    extra = value.keys() - required - optional
    _need(not extra, f"{where}: {extra}: unknown")


def _check(body: Any, multimodal: bool) -> None:
    _fields(body, {"model", "input", "parameters"}, set(), "body")
    sees = _SEES.search(body["model"]) is not None
    _need(sees or not multimodal, "url error, please check url")
    _need(multimodal or not sees or "example" in body["model"], "url error, please check url")
    _fields(body["input"], {"messages"}, set(), "input")
    parameters = body["parameters"]
    always = {"result_format", "incremental_output"}  # whose defaults differ between models
    _fields(parameters, always, _PARAMETERS, "parameters")
    _need(parameters["result_format"] == "message", "result_format")
    _need(type(parameters["incremental_output"]) is bool, "incremental_output")
    if parameters.get("enable_thinking"):
        _need(parameters["incremental_output"], "must be true when enable_thinking is true")
        _need("response_format" not in parameters, "no format with thinking")
    _need(0 <= parameters.get("temperature", 1) < 2, "temperature")
    _need(0 < parameters.get("top_p", 1) <= 1, "top_p")
    choice = parameters.get("tool_choice", "auto")
    _need(choice in ("auto", "none") or isinstance(choice, dict), "tool_choice")
    for tool in parameters.get("tools", ()):
        _fields(tool, {"type", "function"}, set(), "tool")
        _fields(tool["function"], {"name", "parameters"}, {"description", "strict"}, "function")
    _check_messages(body["input"]["messages"], multimodal)


def _check_messages(messages: Any, multimodal: bool) -> None:
    _need(isinstance(messages, list) and messages, "messages")
    waiting: list[str] = []
    for place, message in enumerate(messages):
        role, where = message.get("role"), f"messages[{place}]"
        if role == "tool":
            _fields(message, {"role", "content", "tool_call_id"}, {"name"}, where)
            _need(message["tool_call_id"] in waiting, f"{where}: no such call")
            waiting.remove(message["tool_call_id"])
            _need(isinstance(message["content"], str), where)
            continue
        _need(not waiting, f"{where}: calls without results")
        _need(role in ("user", "assistant") or (role == "system" and place == 0), where)
        optional = {"tool_calls"} if role == "assistant" else set()
        _fields(message, {"role", "content"}, optional, where)
        _check_content(message["content"], multimodal, where)
        for call in message.get("tool_calls", ()):
            _fields(call, {"id", "type", "function"}, set(), where)
            _fields(call["function"], {"name", "arguments"}, set(), where)
            _need(isinstance(json.loads(call["function"]["arguments"]), dict), "must be in JSON")
            waiting.append(call["id"])
        _need(all(waiting) and len(set(waiting)) == len(waiting), f"{where}: ids")
    _need(not waiting, "calls without results")
    _need(messages[-1]["role"] in ("user", "tool"), "the last message is an answer")


def _check_content(content: Any, multimodal: bool, where: str) -> None:
    if not multimodal:
        _need(isinstance(content, str), f"{where}: content should be a string")
        return
    _need(isinstance(content, list) and content, f"{where}: content should be a list")
    for part in content:
        _need(isinstance(part, dict) and len(part) == 1, f"{where}: a part has one field")
        [(kind, value)] = part.items()
        _need(kind in ("text", "image") and isinstance(value, str), f"{where}: {kind}")
        _need(kind == "text" or _IMAGE.fullmatch(value), f"{where}: not an image")
