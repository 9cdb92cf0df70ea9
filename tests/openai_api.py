"""What OpenAI's chat completions refuse, as strictly as they do, or more so.

Written after the API's reference and the types of its SDK, and not after our own requests, so that
the two do not share an error. `openai_look_alikes.py` says where other servers differ. Fields that
most of them ignore are refused here, because nobody would notice that they have no effect.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any

from tests.openai_look_alikes import LOOK_ALIKES, OPENAI, LookAlike

Json = dict[str, Any]

_NAME = re.compile("[a-zA-Z0-9_-]{1,64}")
_IMAGE = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,(.*)", re.DOTALL)
_FILE = re.compile(r"data:[a-z]+/[a-z0-9.+-]+;base64,(.*)", re.DOTALL)


class _Refused(Exception):
    """The request is invalid, for the reason that this says."""


def refusal(path: str, headers: Mapping[str, str], data: bytes) -> tuple[int, Json] | None:
    """The status and the body of the error for a request; None if the API takes it.

    The first segment of `path` names the server; any other than those known is OpenAI.
    """
    server = LOOK_ALIKES.get(path.split("/")[1], OPENAI)
    try:
        _need("json" in headers.get("Content-Type", ""), "content-type")
        authorization = headers.get("Authorization")
        _need(authorization is None or authorization.startswith("Bearer "), "authorization")
        _check(json.loads(data), server)
    except (_Refused, ValueError) as error:
        message = {"message": str(error), "type": "invalid_request_error", "param": None}
        return 400, {"error": {**message, "code": "invalid_value"}}
    return None


def _need(holds: object, what: str) -> None:
    if not holds:
        raise _Refused(what)


def _fields(value: Any, required: set[str], optional: set[str], where: str) -> None:
    _need(isinstance(value, dict), f"{where}: should be an object")
    _need(required <= value.keys(), f"{where}: {required - value.keys()}: missing")
    extra = value.keys() - required - optional
    _need(not extra, f"{where}: {extra}: unknown parameters")


def _check(body: Any, server: LookAlike) -> None:
    _fields(body, {"model", "messages"}, set(server.fields), "body")
    _need(isinstance(body["model"], str) and body["model"], "model")
    _need(body.get("stream") is True, "stream: these tests stream")
    _fields(
        body.get("stream_options", {}), set(), {"include_usage", "include_obfuscation"}, "options"
    )
    for name, (least, most) in server.ranges.items():
        if name in body:
            value = body[name]
            _need(type(value) in (int, float) and least <= value <= most, f"{name}: {value}")
    for name in ("max_tokens", "max_completion_tokens", "top_k", "thinking_budget", "seed"):
        _need(type(body.get(name, 1)) is int and body.get(name, 1) >= 0, name)
    _need(not {"max_tokens", "max_completion_tokens"} <= body.keys(), "both limits of tokens")
    stops = body.get("stop", ["x"])
    _need(isinstance(stops, list) and 1 <= len(stops) <= server.stops, "stop")
    _need(all(isinstance(stop, str) and stop for stop in stops), "stop")
    for name, words in server.words.items():
        _need(name not in body or body[name] in words, f"{name}: {body.get(name)}")
    _check_thinking(body)
    _check_tools(body, server)
    _check_messages(body["messages"], server)
    _check_format(body, server)


def _check_thinking(body: Json) -> None:
    if "thinking" in body:
        _fields(body["thinking"], {"type"}, {"keep", "clear_thinking"}, "thinking")
        _need(body["thinking"]["type"] in ("enabled", "disabled"), "thinking.type")
    _need(type(body.get("enable_thinking", True)) is bool, "enable_thinking")
    reasoning = body.get("reasoning", {"effort": "low"})
    _need(isinstance(reasoning, dict) and len(reasoning) == 1, "reasoning: one of two")
    _fields(reasoning, set(), {"effort", "max_tokens"}, "reasoning")


def _check_format(body: Json, server: LookAlike) -> None:
    if "response_format" not in body:
        return
    asked = body["response_format"]
    kind = asked.get("type") if isinstance(asked, dict) else None
    _need(kind in server.formats, f"response_format.type: {kind}")
    if kind == "json_object":
        _fields(asked, {"type"}, set(), "response_format")
        _need("json" in json.dumps(body["messages"]).lower(), "messages must name json")
        return
    _fields(asked, {"type", "json_schema"}, set(), "response_format")
    schema = asked["json_schema"]
    _fields(schema, {"name", "schema"}, {"strict", "description"}, "json_schema")
    _need(_NAME.fullmatch(schema["name"]), "json_schema.name")
    _check_schema(schema["schema"], schema.get("strict"), "json_schema.schema")


def _check_schema(schema: Any, strict: Any, where: str) -> None:
    _need(isinstance(schema, dict) and schema.get("type") == "object", f"{where}: an object")
    _need(strict in (None, True, False), f"{where}: strict")
    if strict:
        _need(schema.get("additionalProperties") is False, f"{where}: additionalProperties")
        properties = set(schema.get("properties", {}))
        _need(set(schema.get("required", [])) == properties, f"{where}: required")


def _check_tools(body: Json, server: LookAlike) -> None:
    names = []
    for tool in body.get("tools", []):
        _fields(tool, {"type", "function"}, set(), "tool")
        _need(tool["type"] == "function", "tool.type")
        function = tool["function"]
        _fields(function, {"name", "parameters"}, {"description", "strict"}, "function")
        _need(_NAME.fullmatch(function["name"]), "function.name")
        _check_schema(function["parameters"], function.get("strict"), "function.parameters")
        names.append(function["name"])
    _need(len(set(names)) == len(names), "tools: names are not unique")
    _need(names or "tools" not in body, "tools: empty")
    for name in ("tool_choice", "parallel_tool_calls"):
        _need(name not in body or names, f"{name} is only allowed with tools")
    _need(type(body.get("parallel_tool_calls", True)) is bool, "parallel_tool_calls")
    choice = body.get("tool_choice", server.choices[0])
    if isinstance(choice, dict):
        _need(server.named_choice, "tool_choice: no names")
        _fields(choice, {"type", "function"}, set(), "tool_choice")
        _need(choice["function"].get("name") in names, "tool_choice: unknown")
    else:
        _need(choice in server.choices, f"tool_choice: {choice}")


def _check_messages(messages: Any, server: LookAlike) -> None:
    _need(isinstance(messages, list) and messages, "messages")
    waiting: list[str] = []  # ids of calls without results
    has_called = False
    for place, message in enumerate(messages):
        _need(isinstance(message, dict), "message")
        role = message.get("role")
        where = f"messages[{place}]"
        if role != "tool":
            _need(not waiting, f"{where}: tool calls without results: {waiting}")
        match role:
            case "system" | "developer":
                _need(place == 0, f"{where}: not the first")
                _fields(message, {"role", "content"}, set(), where)
                _need(isinstance(message["content"], str), where)
            case "user":
                _fields(message, {"role", "content"}, set(), where)
                _check_content(message["content"], server, where)
                is_after_results = place > 0 and messages[place - 1]["role"] == "tool"
                _need(server.takes_questions_after_results or not is_after_results, where)
            case "assistant":
                has_called = has_called or "tool_calls" in message
                waiting = _check_answer(message, server, has_called=has_called, where=where)
            case "tool":
                _fields(message, {"role", "content", "tool_call_id"}, set(), where)
                _need(message["tool_call_id"] in waiting, f"{where}: no such call")
                waiting.remove(message["tool_call_id"])
                _need(isinstance(message["content"], str), where)
            case _:
                raise _Refused(f"{where}.role: {role}")
    _need(not waiting, f"tool calls without results: {waiting}")
    _need(messages[-1]["role"] in ("user", "tool"), "the last message is an answer")


def _check_answer(message: Json, server: LookAlike, *, has_called: bool, where: str) -> list[str]:
    """The ids of its calls."""
    calls = message.get("tool_calls")
    reasoning = {"reasoning_content"} if server.takes_reasoning and has_called else set()
    _fields(message, {"role", "content"} | reasoning, {"tool_calls"}, where)
    content = message["content"]
    _need(isinstance(content, str) or (content is None and calls), f"{where}.content")
    if "tool_calls" not in message:
        return []
    _need(isinstance(calls, list) and calls, f"{where}.tool_calls")
    ids = []
    for call in calls or ():
        _fields(call, {"id", "type", "function"}, set(), where)
        _need(call["type"] == "function", where)
        _fields(call["function"], {"name", "arguments"}, set(), where)
        _need(_NAME.fullmatch(call["function"]["name"]), f"{where}: name")
        arguments = call["function"]["arguments"]
        _need(isinstance(arguments, str), f"{where}: arguments")
        _need(isinstance(json.loads(arguments), dict), f"{where}: arguments are no object")
        ids.append(call["id"])
    _need(all(re.fullmatch(server.call_id, each) for each in ids), f"{where}: ids {ids}")
    _need(len(set(ids)) == len(ids), f"{where}: ids are not unique")
    return ids


def _check_content(content: Any, server: LookAlike, where: str) -> None:
    if isinstance(content, str):
        return
    _need(isinstance(content, list) and content, f"{where}.content")
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        _need(kind in ("text", "image_url", "file"), f"{where}: part {kind}")
        _fields(part, {"type", kind}, set(), where)
        match kind:
            case "text":
                _need(isinstance(part["text"], str), where)
            case "image_url":
                _fields(part["image_url"], {"url"}, {"detail"}, where)
                _check_address(part["image_url"]["url"], _IMAGE, server.fetches_images, where)
            case "file":
                _need(server.takes_files, f"{where}: no files here")
                _fields(part["file"], {"filename", "file_data"}, set(), where)
                _check_address(part["file"]["file_data"], _FILE, server.fetches_files, where)


def _check_address(address: Any, data: re.Pattern[str], fetches: bool, where: str) -> None:
    _need(isinstance(address, str), where)
    if address.startswith("https://"):
        _need(fetches, f"{where}: addresses are not fetched")
        return
    found = data.fullmatch(address)
    _need(found, f"{where}: neither an address nor base64")
    try:
        base64.b64decode(found[1] if found else "", validate=True)
    except binascii.Error:
        raise _Refused(f"{where}: malformed base64") from None
