"""What OpenAI's Responses API refuses of a request, for the scripted upstream.

Written after the types of OpenAI's SDK and what users report of the API, and not after the request
that is tested: every field that is not listed here is refused, and so is a history whose calls,
results and reasoning do not belong together.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from tests.openai_responses_stream import encrypted

_FIELDS = frozenset(
    (
        *("access_programs", "background", "background_options", "context_management"),
        *("conversation", "image", "include", "input", "instructions", "max_output_tokens"),
        *("max_tool_calls", "metadata", "model", "moderation", "parallel_tool_calls"),
        *("previous_response_id", "prompt", "prompt_cache_key", "prompt_cache_options"),
        *("prompt_cache_retention", "reasoning", "safety_identifier", "service_tier", "store"),
        *("stream", "stream_options", "temperature", "text", "tool_choice", "tools"),
        *("top_logprobs", "top_p", "truncation", "user"),
    )
)
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_DATA_URI = re.compile(r"data:[a-z]+/[a-z0-9.+-]+;base64,[A-Za-z0-9+/]+=*")
_NOT_REASONING = ("gpt-4", "gpt-3.5", "chatgpt-", "plain-")


class _InvalidRequest(Exception):
    """The API answers with 400."""

    def __init__(self, message: str, param: str, code: str | None = None) -> None:
        super().__init__(message)
        error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
        self.body = {"error": error}


def refusal(headers: Mapping[str, str], data: bytes) -> tuple[int, dict[str, Any]] | None:
    """The status and the body of the error with which a request is refused; None if it is not."""
    key = headers.get("Authorization", "").removeprefix("Bearer ")
    if not key:
        error = {"message": "Missing bearer authentication.", "type": "invalid_request_error"}
        return 401, {"error": {**error, "param": None, "code": None}}
    try:
        _check(json.loads(data))
    except _InvalidRequest as invalid:
        return 400, invalid.body
    return None


def _check(body: dict[str, Any]) -> None:
    _fields(body, _FIELDS, "")
    _need(isinstance(body.get("model"), str), "model")
    _range(body, "temperature", 0, 2)
    _range(body, "top_p", 0, 1)
    _range(body, "max_output_tokens", 16, 2**31)
    if "stream_options" in body:
        _need(body.get("stream") is True, "stream_options")
        _fields(body["stream_options"], {"include_obfuscation"}, "stream_options")
    _check_reasoning(body)
    _check_tools(body)
    _check_text(body)
    _need(body.get("store") is False, "store")  # nothing may be kept there
    _check_input(body)


def _check_reasoning(body: dict[str, Any]) -> None:
    reasons = not body["model"].startswith(_NOT_REASONING)
    include = body.get("include", [])
    _need(set(include) <= {"reasoning.encrypted_content"}, "include")
    if include and not reasons:
        raise _InvalidRequest("Encrypted content is not supported with this model.", "include")
    if "reasoning" not in body:
        return
    if not reasons:
        raise _InvalidRequest("Unsupported parameter", "reasoning.effort", "unsupported_parameter")
    _fields(body["reasoning"], {"effort", "summary"}, "reasoning")
    _need(body["reasoning"].get("effort", "low") in _EFFORTS, "reasoning.effort")
    wanted = body["reasoning"].get("summary", "auto")
    _need(wanted in ("auto", "concise", "detailed"), "reasoning.summary")


def _check_tools(body: dict[str, Any]) -> None:
    names = set()
    for number, tool in enumerate(body.get("tools", [])):
        at = f"tools[{number}]"
        _fields(tool, {"type", "name", "description", "parameters", "strict"}, at)
        _need(tool.get("type") == "function", f"{at}.type")
        _need(bool(_NAME.fullmatch(tool.get("name", ""))), f"{at}.name")
        _need("parameters" in tool, f"{at}.parameters")
        if tool.get("strict", True):  # the default, unlike that of chat completions
            _strict_schema(tool["parameters"], at)
        names.add(tool["name"])
    choice = body.get("tool_choice", "auto")
    if isinstance(choice, dict):
        _fields(choice, {"type", "name"}, "tool_choice")
        _need(choice["type"] == "function" and choice["name"] in names, "tool_choice")
    else:
        _need(choice in ("auto", "none", "required"), "tool_choice")
        _need(choice != "required" or bool(names), "tool_choice")


def _strict_schema(schema: Any, at: str) -> None:
    if not isinstance(schema, dict) or schema.get("additionalProperties") is not False:
        raise _InvalidRequest(
            "Invalid schema: 'additionalProperties' is required to be supplied and to be false.",
            f"{at}.parameters",
            "invalid_function_parameters",
        )
    _need(set(schema.get("required", [])) == set(schema.get("properties", {})), f"{at}.parameters")


def _check_text(body: dict[str, Any]) -> None:
    if "text" not in body:
        return
    _fields(body["text"], {"format", "verbosity"}, "text")
    if "format" not in body["text"]:
        return
    wanted = body["text"]["format"]
    if wanted["type"] != "json_schema":
        _need(wanted["type"] in ("text", "json_object"), "text.format.type")
        _fields(wanted, {"type"}, "text.format")
        return
    _fields(wanted, {"type", "name", "schema", "strict", "description"}, "text.format")
    _need(bool(_NAME.fullmatch(wanted.get("name", ""))), "text.format.name")
    _need(isinstance(wanted.get("schema"), dict), "text.format.schema")
    if wanted.get("strict"):
        _strict_schema(wanted["schema"], "text.format")


def _check_input(body: dict[str, Any]) -> None:
    items = body.get("input")
    _need(isinstance(items, list) and bool(items), "input")
    assert isinstance(items, list)
    waiting: list[str] = []  # calls without a result
    for number, item in enumerate(items):
        at = f"input[{number}]"
        match item.get("type", "message"):
            case "message":
                _need(not waiting, f"{at}: No tool output found for function call {waiting}")
                _check_message(item, at)
            case "function_call":
                _fields(item, {"type", "id", "call_id", "name", "arguments", "status"}, at)
                _need(item.get("id", "fc_").startswith("fc_"), f"{at}.id")
                _need(0 < len(item["call_id"]) <= 64 and bool(_NAME.fullmatch(item["name"])), at)
                _need(isinstance(json.loads(item["arguments"]), dict), f"{at}.arguments")
                waiting.append(item["call_id"])
            case "function_call_output":
                _fields(item, {"type", "call_id", "output"}, at)
                _need(item["call_id"] in waiting, f"{at}: No tool call found for function call")
                _need(isinstance(item["output"], str), f"{at}.output")
                waiting.remove(item["call_id"])
            case "reasoning":
                _check_reasoning_item(item, body["model"], at)
                follows = items[number + 1] if len(items) > number + 1 else {}
                _need(
                    follows.get("role") == "assistant"
                    or follows.get("type") in ("function_call", "reasoning"),
                    f"{at}: provided without its required following item",
                )
            case other:
                _need(False, f"{at}.type={other}")
    _need(not waiting, f"input: No tool output found for function call {waiting}")


def _check_reasoning_item(item: dict[str, Any], model: str, at: str) -> None:
    _fields(item, {"type", "id", "summary", "content", "encrypted_content", "status"}, at)
    for part in item["summary"]:
        _need(set(part) == {"type", "text"} and part["type"] == "summary_text", at)
    if item.get("encrypted_content") is None:
        raise _InvalidRequest(f"Item with id '{item['id']}' not found.", at)
    summary = [part["text"] for part in item["summary"]]
    if item["encrypted_content"] != encrypted(model, item["id"], summary):
        raise _InvalidRequest(
            "The encrypted content could not be verified.", at, "invalid_encrypted_content"
        )


def _check_message(item: dict[str, Any], at: str) -> None:
    role, content = item.get("role"), item.get("content")
    _fields(item, {"type", "role", "content", "id", "status"}, at)
    _need("id" not in item or (role == "assistant" and item["id"].startswith("msg_")), f"{at}.id")
    _need(role in ("user", "assistant", "system", "developer"), f"{at}.role")
    if isinstance(content, str):
        _need(bool(content), f"{at}.content")
        return
    _need(isinstance(content, list) and bool(content), f"{at}.content")
    assert isinstance(content, list)
    for number, part in enumerate(content):
        _check_part(part, role == "assistant", f"{at}.content[{number}]")


def _check_part(part: dict[str, Any], is_answer: bool, at: str) -> None:
    match part.get("type"):
        case "output_text" if is_answer:
            _fields(part, {"type", "text", "annotations", "logprobs"}, at)
        case "refusal" if is_answer:
            _fields(part, {"type", "refusal"}, at)
        case "input_text" if not is_answer:
            _fields(part, {"type", "text"}, at)
            _need(bool(part["text"]), at)
        case "input_image" if not is_answer:
            _fields(part, {"type", "image_url", "detail"}, at)
            _need(_is_address(part["image_url"]), f"{at}.image_url")
            _need(part["detail"] in ("auto", "low", "high", "original"), f"{at}.detail")
        case "input_file" if not is_answer and "file_url" in part:
            _fields(part, {"type", "file_url"}, at)
            _need(part["file_url"].startswith("https://"), f"{at}.file_url")
        case "input_file" if not is_answer:
            _fields(part, {"type", "filename", "file_data"}, at)
            _need(bool(part.get("filename")), f"{at}.filename")
            _need(bool(_DATA_URI.fullmatch(part["file_data"])), f"{at}.file_data")
        case other:
            _need(False, f"{at}.type={other}")


def _is_address(url: str) -> bool:
    return url.startswith("https://") or _DATA_URI.fullmatch(url) is not None


def _fields(value: Any, known: Any, at: str) -> None:
    _need(isinstance(value, dict), at)
    for name in value:
        if name not in known:
            param = f"{at}.{name}" if at else name
            raise _InvalidRequest(f"Unknown parameter: '{param}'.", param, "unknown_parameter")


def _range(body: dict[str, Any], name: str, least: float, most: float) -> None:
    if name in body:
        _need(isinstance(body[name], int | float) and least <= body[name] <= most, name)


def _need(is_right: bool, param: str) -> None:
    if not is_right:
        raise _InvalidRequest(f"Invalid value: '{param}'.", param, "invalid_value")
