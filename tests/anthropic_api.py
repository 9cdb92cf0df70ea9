"""What Anthropic's Messages API refuses, as strictly as it does, or more so.

Written after the API's reference and the types of its SDK, and not after our own requests, so that
the two do not share an error. `refusal` is the response to a request that the API would not take.
"""

import base64
import json
import re
from collections.abc import Mapping
from typing import Any

from tests.anthropic_framing import hidden_by, signature_of
from tests.strict_api import Refused, need, need_fields

Json = dict[str, Any]

VERSIONS = ("2023-06-01", "2026-10-21")
IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")
EFFORTS = ("low", "medium", "high", "xhigh", "max")

_REQUIRED = {"model", "messages", "max_tokens"}
_FIELDS = _REQUIRED | {
    *("system", "stream", "stop_sequences", "metadata", "service_tier", "container", "speed"),
    *("thinking", "output_config", "tools", "tool_choice", "cache_control", "inference_geo"),
}
_SAMPLING = {"temperature", "top_p", "top_k"}
_NAME = re.compile("[a-zA-Z0-9_-]{1,128}")


def refusal(headers: Mapping[str, str], data: bytes) -> tuple[int, Json] | None:
    """The status and the body of the error for a request; None if the API takes it."""
    keys = [name for name in ("x-api-key", "Authorization") if headers.get(name)]
    if len(keys) != 1:
        return 401, _error("authentication_error", f"one key is needed, not {keys}")
    try:
        need(headers.get("anthropic-version") in VERSIONS, "anthropic-version")
        need("json" in headers.get("Content-Type", ""), "content-type")
        _check(json.loads(data), headers["anthropic-version"])
    except (Refused, ValueError) as error:
        return 400, _error("invalid_request_error", str(error))
    return None


def _error(kind: str, message: str) -> Json:
    error = {"type": kind, "message": message}
    return {"type": "error", "error": error, "request_id": "req_scripted"}


def _check(body: Any, version: str) -> None:
    sampling = _SAMPLING if version < "2026-10-21" else set()
    need_fields(body, _REQUIRED, _FIELDS - _REQUIRED | sampling, "body")
    need(isinstance(body["model"], str) and body["model"], "model")
    need(_is_count(body["max_tokens"]), "max_tokens")
    need(body.get("stream") is True, "stream: these tests stream")
    _check_system(body.get("system", "x"))
    _check_sampling(body)
    for stop in body.get("stop_sequences", []):
        need(isinstance(stop, str) and stop.strip(), "stop_sequences: must not be blank")
    if "output_config" in body:
        _check_output(body["output_config"])
    thinks = "thinking" in body and _thinks(body["thinking"], body)
    _check_tools(body, thinks=thinks)
    _check_messages(body, thinks=thinks)
    need(json.dumps(body).count('"cache_control"') <= 4, "at most 4 blocks with cache_control")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _check_system(system: Any) -> None:
    if isinstance(system, str):
        need(system.strip(), "system: text content blocks must contain non-whitespace text")
    else:
        need(isinstance(system, list), "system")
        for block in system:
            need(isinstance(block, dict) and block.get("type") == "text", "system: text only")
            _check_text(block, "system")


def _check_sampling(body: Json) -> None:
    for name in ("temperature", "top_p"):
        if name in body:
            number = isinstance(body[name], int | float)
            need(number and 0 <= body[name] <= 1, f"{name}: should be from 0 to 1")
    if "top_k" in body:
        need(_is_count(body["top_k"]), "top_k")


def _check_output(output: Any) -> None:
    need_fields(output, set(), {"effort", "format"}, "output_config")
    need(output.get("effort", "low") in EFFORTS, "output_config.effort")
    if "format" in output:
        need_fields(output["format"], {"type", "schema"}, set(), "output_config.format")
        need(output["format"]["type"] == "json_schema", "output_config.format.type")
        need(isinstance(output["format"]["schema"], dict), "output_config.format.schema")


def _is_newer_than(model: str, version: tuple[int, int]) -> bool:
    found = re.match(r"claude-[a-z]+-(\d)-?(\d?)(?:-\d{8})?$", model)
    return found is not None and (int(found[1]), int(found[2] or 0)) > version


def _thinks(thinking: Any, body: Json) -> bool:
    kind = thinking.get("type") if isinstance(thinking, dict) else None
    model = body["model"]
    if kind == "disabled":
        need_fields(thinking, {"type"}, set(), "thinking")
        return False
    if kind == "adaptive":
        need_fields(thinking, {"type"}, {"display"}, "thinking")
        need(_is_newer_than(model, (4, 5)), f"adaptive thinking is not supported by {model}")
    else:
        need(kind == "enabled", "thinking.type")
        need_fields(thinking, {"type", "budget_tokens"}, {"display"}, "thinking")
        need(not _is_newer_than(model, (4, 6)), '"thinking.type.enabled" is not supported')
        budget = thinking["budget_tokens"]
        need(_is_count(budget) and budget >= 1024, "thinking.budget_tokens: at least 1024")
        need(body["max_tokens"] > budget, "`max_tokens` must be greater than budget_tokens")
    need(thinking.get("display", "omitted") in ("summarized", "omitted"), "thinking.display")
    need(body.get("temperature", 1) == 1, "`temperature` may only be 1 with thinking")
    need("top_k" not in body, "`top_k` must be unset with thinking")
    need(body.get("top_p", 1) >= 0.95, "`top_p` must be at least 0.95 with thinking")
    return True


def _check_tools(body: Json, *, thinks: bool) -> None:
    names = []
    for tool in body.get("tools", []):
        optional = {"description", "strict", "cache_control", "type", "input_examples"}
        need_fields(tool, {"name", "input_schema"}, optional, "tools")
        need(_NAME.fullmatch(tool["name"]), "tools.name")
        need(tool["input_schema"].get("type") == "object", "tools.input_schema.type")
        names.append(tool["name"])
    need(len(names) == len(set(names)), "tools: names must be unique")
    if "tool_choice" not in body:
        return
    need(names, "tool_choice may only be specified while providing tools")
    choice = body["tool_choice"]
    kind = choice.get("type")
    need(kind in ("auto", "any", "tool", "none"), "tool_choice.type")
    optional = {"disable_parallel_tool_use"} if kind != "none" else set()
    need_fields(choice, {"type", "name"} if kind == "tool" else {"type"}, optional, "tool_choice")
    need(kind != "tool" or choice["name"] in names, "tool_choice.name")
    need(not thinks or kind in ("auto", "none"), "thinking cannot be combined with forced tools")


# Messages


def _check_messages(body: Json, *, thinks: bool) -> None:
    messages = body["messages"]
    need(isinstance(messages, list) and messages, "messages: at least one")
    pending: set[str] = set()
    seen: set[str] = set()
    for number, message in enumerate(messages):
        need_fields(message, {"role", "content"}, set(), f"messages.{number}")
        need(message["role"] in ("user", "assistant"), f"messages.{number}.role")
        blocks = _blocks_of(message["content"], f"messages.{number}")
        if message["role"] == "assistant":
            need(number > 0, "messages: first message must use the user role")
            need(not pending, f"messages.{number}: calls without results: {pending}")
            pending = _check_answer(blocks, body["model"], f"messages.{number}")
            need(not pending & seen, "messages: `tool_use` ids must be unique")
            seen |= pending
        else:
            _check_question(blocks, pending, f"messages.{number}")
            pending = set()
    need(messages[-1]["role"] == "user", "this model does not support assistant message prefill")
    need(not seen or body.get("tools"), "requests with `tool_use` blocks must define tools")
    _check_loop(body, thinks=thinks)


def _check_loop(body: Json, *, thinks: bool) -> None:
    """Check the thinking of the tool loop that goes on, which is one answer to the API."""
    kinds: list[str] = []
    for message in reversed(body["messages"]):
        blocks = [block["type"] for block in _blocks_of(message["content"], "")]
        if message["role"] == "assistant":
            kinds = blocks + kinds
        elif blocks[0] != "tool_result":
            break
    if not kinds:
        return
    if thinks:
        by_effort = body["thinking"]["type"] == "adaptive"
        begins = kinds[0] in ("thinking", "redacted_thinking")
        need(begins or by_effort, f"expected thinking, but found {kinds[0]}")
        return
    model = body["model"]
    is_off_by_default = model.startswith("claude-") and not _is_newer_than(model, (4, 5))
    if "thinking" in body or is_off_by_default:
        hold = {"thinking", "redacted_thinking"} & set(kinds)
        need(not hold, f"when thinking is disabled, an answer cannot contain {hold}")


def _blocks_of(content: Any, where: str) -> list[Json]:
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    need(isinstance(content, list) and content, f"{where}: content must not be empty")
    for block in content:
        need(isinstance(block, dict) and "type" in block, f"{where}: a block has a type")
    return list(content)


def _check_answer(blocks: list[Json], model: str, where: str) -> set[str]:
    """Check the blocks of an answer; return the ids of the calls in it."""
    calls: list[str] = []
    for block in blocks:
        match block["type"]:
            case "text":
                _check_text(block, where)
            case "thinking":
                need_fields(block, {"type", "thinking", "signature"}, set(), where)
                signed = signature_of(model, block["thinking"])
                need(block["signature"] == signed, f"{where}: invalid signature in thinking block")
            case "redacted_thinking":
                need_fields(block, {"type", "data"}, set(), where)
                need(hidden_by(block["data"]) == model, f"{where}: invalid redacted_thinking")
            case "tool_use":
                need_fields(block, {"type", "id", "name", "input"}, {"cache_control"}, where)
                need(_NAME.fullmatch(block["id"]), f"{where}: tool_use.id: pattern")
                need(_NAME.fullmatch(block["name"]), f"{where}: tool_use.name: pattern")
                need(isinstance(block["input"], dict), f"{where}: tool_use.input: a dictionary")
                calls.append(block["id"])
            case kind:
                raise Refused(f"{where}: {kind} is not permitted in an assistant message")
    last = blocks[-1]["type"]
    need(last not in ("thinking", "redacted_thinking"), f"{where}: the final block is {last}")
    need(len(calls) == len(set(calls)), f"{where}: `tool_use` ids must be unique")
    return set(calls)


def _check_question(blocks: list[Json], calls: set[str], where: str) -> None:
    results = []
    for place, block in enumerate(blocks):
        match block["type"]:
            case "text":
                _check_text(block, where)
            case "image":
                need_fields(block, {"type", "source"}, {"cache_control"}, where)
                _check_source(block["source"], IMAGES, where)
            case "document":
                optional = {"title", "context", "citations", "cache_control"}
                need_fields(block, {"type", "source"}, optional, where)
                _check_source(block["source"], ("application/pdf",), where)
            case "tool_result":
                optional = {"content", "is_error", "cache_control"}
                need_fields(block, {"type", "tool_use_id"}, optional, where)
                said = block.get("content", "x")
                need(isinstance(said, str) and said.strip(), f"{where}: tool_result.content")
                need(place == len(results), f"{where}: tool_result blocks come first")
                results.append(block["tool_use_id"])
            case kind:
                raise Refused(f"{where}: {kind} is not permitted in a user message")
        _check_cache_control(block, where)
    need(len(results) == len(set(results)), f"{where}: one tool_result for each call")
    need(set(results) == calls, f"{where}: results {results} do not match the calls {calls}")


def _check_text(block: Json, where: str) -> None:
    need_fields(block, {"type", "text"}, {"cache_control"}, where)
    need(isinstance(block["text"], str), f"{where}: text")
    need(block["text"].strip(), f"{where}: text content blocks must contain non-whitespace text")
    _check_cache_control(block, where)


def _check_cache_control(block: Json, where: str) -> None:
    if "cache_control" in block:
        need_fields(block["cache_control"], {"type"}, {"ttl"}, where)
        need(block["cache_control"]["type"] == "ephemeral", f"{where}: cache_control.type")


def _check_source(source: Any, media_types: tuple[str, ...], where: str) -> None:
    kind = source.get("type") if isinstance(source, dict) else None
    if kind == "url":
        need_fields(source, {"type", "url"}, set(), where)
        need(source["url"].startswith("https://"), f"{where}: only HTTPS URLs are supported")
        return
    need_fields(source, {"type", "media_type", "data"}, set(), where)
    if kind == "text" and "application/pdf" in media_types:
        need(source["media_type"] == "text/plain" and source["data"], f"{where}: text source")
        return
    need(kind == "base64", f"{where}: source.type")
    need(source["media_type"] in media_types, f"{where}: source.media_type")
    need(base64.b64decode(source["data"], validate=True), f"{where}: source.data")
