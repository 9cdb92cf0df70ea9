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
from tests.strict_api import Refused, need, need_fields

Json = dict[str, Any]

_NAME = re.compile("[a-zA-Z0-9_-]{1,64}")
_IMAGE = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,(.*)", re.DOTALL)
_FILE = re.compile(r"data:[a-z]+/[a-z0-9.+-]+;base64,(.*)", re.DOTALL)


def refusal(path: str, headers: Mapping[str, str], data: bytes) -> tuple[int, Json] | None:
    """The status and the body of the error for a request; None if the API takes it.

    The first segment of `path` names the server; any other than those known is OpenAI.
    """
    server = LOOK_ALIKES.get(path.split("/")[1], OPENAI)
    try:
        need("json" in headers.get("Content-Type", ""), "content-type")
        authorization = headers.get("Authorization")
        need(authorization is None or authorization.startswith("Bearer "), "authorization")
        _check(json.loads(data), server)
    except (Refused, ValueError) as error:
        message = {"message": str(error), "type": "invalid_request_error", "param": None}
        return 400, {"error": {**message, "code": "invalid_value"}}
    return None


def _check(body: Any, server: LookAlike) -> None:
    need_fields(body, {"model", "messages"}, set(server.fields), "body")
    need(isinstance(body["model"], str) and body["model"], "model")
    need(body.get("stream") is True, "stream: these tests stream")
    need_fields(
        body.get("stream_options", {}), set(), {"include_usage", "include_obfuscation"}, "options"
    )
    for name, (least, most) in server.ranges.items():
        if name in body:
            value = body[name]
            need(type(value) in (int, float) and least <= value <= most, f"{name}: {value}")
    for name in ("max_tokens", "max_completion_tokens", "top_k", "thinking_budget", "seed"):
        need(type(body.get(name, 1)) is int and body.get(name, 1) >= 0, name)
    need(not {"max_tokens", "max_completion_tokens"} <= body.keys(), "both limits of tokens")
    stops = body.get("stop", ["x"])
    need(isinstance(stops, list) and 1 <= len(stops) <= server.stops, "stop")
    need(all(isinstance(stop, str) and stop for stop in stops), "stop")
    for name, words in server.words.items():
        need(name not in body or body[name] in words, f"{name}: {body.get(name)}")
    _check_thinking(body)
    _check_tools(body, server)
    _check_messages(body["messages"], server)
    _check_format(body, server)


def _check_thinking(body: Json) -> None:
    if "thinking" in body:
        need_fields(body["thinking"], {"type"}, {"keep", "clear_thinking"}, "thinking")
        need(body["thinking"]["type"] in ("enabled", "disabled"), "thinking.type")
    need(type(body.get("enable_thinking", True)) is bool, "enable_thinking")
    reasoning = body.get("reasoning", {"effort": "low"})
    need(isinstance(reasoning, dict) and len(reasoning) == 1, "reasoning: one of two")
    need_fields(reasoning, set(), {"effort", "max_tokens"}, "reasoning")


def _check_format(body: Json, server: LookAlike) -> None:
    if "response_format" not in body:
        return
    asked = body["response_format"]
    kind = asked.get("type") if isinstance(asked, dict) else None
    need(kind in server.formats, f"response_format.type: {kind}")
    if kind == "json_object":
        need_fields(asked, {"type"}, set(), "response_format")
        need("json" in json.dumps(body["messages"]).lower(), "messages must name json")
        return
    need_fields(asked, {"type", "json_schema"}, set(), "response_format")
    schema = asked["json_schema"]
    need_fields(schema, {"name", "schema"}, {"strict", "description"}, "json_schema")
    need(_NAME.fullmatch(schema["name"]), "json_schema.name")
    _check_schema(schema["schema"], schema.get("strict"), "json_schema.schema")


def _check_schema(schema: Any, strict: Any, where: str) -> None:
    need(isinstance(schema, dict) and schema.get("type") == "object", f"{where}: an object")
    need(strict in (None, True, False), f"{where}: strict")
    if strict:
        need(schema.get("additionalProperties") is False, f"{where}: additionalProperties")
        properties = set(schema.get("properties", {}))
        need(set(schema.get("required", [])) == properties, f"{where}: required")


def _check_tools(body: Json, server: LookAlike) -> None:
    names = []
    for tool in body.get("tools", []):
        need_fields(tool, {"type", "function"}, set(), "tool")
        need(tool["type"] == "function", "tool.type")
        function = tool["function"]
        need_fields(function, {"name", "parameters"}, {"description", "strict"}, "function")
        need(_NAME.fullmatch(function["name"]), "function.name")
        _check_schema(function["parameters"], function.get("strict"), "function.parameters")
        names.append(function["name"])
    need(len(set(names)) == len(names), "tools: names are not unique")
    need(names or "tools" not in body, "tools: empty")
    for name in ("tool_choice", "parallel_tool_calls"):
        need(name not in body or names, f"{name} is only allowed with tools")
    need(type(body.get("parallel_tool_calls", True)) is bool, "parallel_tool_calls")
    choice = body.get("tool_choice", server.choices[0])
    if isinstance(choice, dict):
        need(server.named_choice, "tool_choice: no names")
        need_fields(choice, {"type", "function"}, set(), "tool_choice")
        need(choice["function"].get("name") in names, "tool_choice: unknown")
    else:
        need(choice in server.choices, f"tool_choice: {choice}")


def _check_messages(messages: Any, server: LookAlike) -> None:
    need(isinstance(messages, list) and messages, "messages")
    waiting: list[str] = []  # ids of calls without results
    has_called = False
    for place, message in enumerate(messages):
        need(isinstance(message, dict), "message")
        role = message.get("role")
        where = f"messages[{place}]"
        if role != "tool":
            need(not waiting, f"{where}: tool calls without results: {waiting}")
        match role:
            case "system" | "developer":
                need(place == 0 or server.system_anywhere, f"{where}: not the first")
                need_fields(message, {"role", "content"}, set(), where)
                need(isinstance(message["content"], str), where)
            case "user":
                need_fields(message, {"role", "content"}, set(), where)
                _check_content(message["content"], server, where)
                is_after_results = place > 0 and messages[place - 1]["role"] == "tool"
                need(server.takes_questions_after_results or not is_after_results, where)
            case "assistant":
                has_called = has_called or "tool_calls" in message
                waiting = _check_answer(message, server, has_called=has_called, where=where)
            case "tool":
                need_fields(message, {"role", "content", "tool_call_id"}, set(), where)
                need(message["tool_call_id"] in waiting, f"{where}: no such call")
                waiting.remove(message["tool_call_id"])
                need(isinstance(message["content"], str), where)
            case _:
                raise Refused(f"{where}.role: {role}")
    need(not waiting, f"tool calls without results: {waiting}")
    need(messages[-1]["role"] != "assistant", "the last message is an answer")


def _check_answer(message: Json, server: LookAlike, *, has_called: bool, where: str) -> list[str]:
    """The ids of its calls."""
    calls = message.get("tool_calls")
    reasoning = {"reasoning_content"} if server.takes_reasoning and has_called else set()
    need_fields(message, {"role", "content"} | reasoning, {"tool_calls"}, where)
    content = message["content"]
    need(isinstance(content, str) or (content is None and calls), f"{where}.content")
    if "tool_calls" not in message:
        return []
    need(isinstance(calls, list) and calls, f"{where}.tool_calls")
    ids = []
    for call in calls or ():
        need_fields(call, {"id", "type", "function"}, set(), where)
        need(call["type"] == "function", where)
        need_fields(call["function"], {"name", "arguments"}, set(), where)
        need(_NAME.fullmatch(call["function"]["name"]), f"{where}: name")
        arguments = call["function"]["arguments"]
        need(isinstance(arguments, str), f"{where}: arguments")
        need(isinstance(json.loads(arguments), dict), f"{where}: arguments are no object")
        ids.append(call["id"])
    need(all(re.fullmatch(server.call_id, each) for each in ids), f"{where}: ids {ids}")
    need(len(set(ids)) == len(ids), f"{where}: ids are not unique")
    return ids


def _check_content(content: Any, server: LookAlike, where: str) -> None:
    if isinstance(content, str):
        return
    need(isinstance(content, list) and content, f"{where}.content")
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        need(kind in ("text", "image_url", "file"), f"{where}: part {kind}")
        need_fields(part, {"type", kind}, set(), where)
        match kind:
            case "text":
                need(isinstance(part["text"], str), where)
            case "image_url":
                need_fields(part["image_url"], {"url"}, {"detail"}, where)
                _check_address(part["image_url"]["url"], _IMAGE, server.fetches_images, where)
            case "file":
                need(server.takes_files, f"{where}: no files here")
                need_fields(part["file"], {"filename", "file_data"}, set(), where)
                _check_address(part["file"]["file_data"], _FILE, server.fetches_files, where)


def _check_address(address: Any, data: re.Pattern[str], fetches: bool, where: str) -> None:
    need(isinstance(address, str), where)
    if address.startswith("https://"):
        need(fetches, f"{where}: addresses are not fetched")
        return
    found = data.fullmatch(address)
    need(found, f"{where}: neither an address nor base64")
    try:
        base64.b64decode(found[1] if found else "", validate=True)
    except binascii.Error:
        raise Refused(f"{where}: malformed base64") from None
