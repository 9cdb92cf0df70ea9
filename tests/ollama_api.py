"""What Ollama's own API refuses, as strictly as it does, or more so.

Written after the types and handlers of the server's source, and not after our own requests, so that
the two do not share an error. The server ignores fields and options that it does not know; here
they are refused, because nobody would notice that they have no effect. `refusal` is the response to
a request that would not be taken.
"""

import base64
import json
import re
from collections.abc import Mapping
from typing import Any

from tests.strict_api import Refused, need, need_fields

Json = dict[str, Any]

# Models that lack an ability, and one that is not there.
PLAIN = "plain"
MISSING = "missing"

# Tokens; what the server has where the request asks for none, and what it counts for an image.
DEFAULT_NUM_CTX = 4096
IMAGE_TOKENS = 768

_FIELDS = {
    *("stream", "format", "keep_alive", "tools", "options", "think"),
    *("truncate", "shift", "logprobs", "top_logprobs"),
}
_INTEGERS = {
    *("num_ctx", "num_batch", "num_gpu", "main_gpu", "num_thread"),
    *("num_keep", "seed", "num_predict", "top_k", "repeat_last_n"),
}
_NUMBERS = {
    *("temperature", "top_p", "min_p", "typical_p"),
    *("repeat_penalty", "presence_penalty", "frequency_penalty"),
}
_DURATION = re.compile(r"-?([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h))+")


def refusal(headers: Mapping[str, str], data: bytes) -> tuple[int, Json] | None:
    """The status and the body of the error for a request; None if the API takes it."""
    try:
        need("json" in headers.get("Content-Type", ""), "content-type")
        body = json.loads(data)
        _check(body)
    except (Refused, ValueError) as error:
        return 400, {"error": str(error)}
    model = body["model"]
    if model == MISSING:
        return 404, {"error": f"model '{model}' not found"}
    if model == PLAIN and body.get("tools"):
        return 400, {"error": f"registry.ollama.ai/library/{model}:latest does not support tools"}
    if model == PLAIN and body.get("think"):
        return 400, {"error": f'"{model}" does not support thinking'}
    return _too_long(body)


def prompt_tokens(body: Json) -> int:
    """How many tokens the prompt has: about one for four bytes of text, and those of images."""
    parts = [body.get("tools"), *map(_without_images, body["messages"])]
    texts = json.dumps(parts, ensure_ascii=False)
    images = sum(len(message.get("images", [])) for message in body["messages"])
    return len(texts.encode()) // 4 + IMAGE_TOKENS * images


def _without_images(message: Json) -> Json:
    return {name: value for name, value in message.items() if name != "images"}


def _too_long(body: Json) -> tuple[int, Json] | None:
    """The error that the server reports as it gets it: as JSON in a string."""
    asked, size = prompt_tokens(body), body.get("options", {}).get("num_ctx", DEFAULT_NUM_CTX)
    if asked <= size or body.get("truncate", True):
        return None
    message = (
        f"request ({asked} tokens) exceeds the available context size ({size} tokens), "
        "try increasing it"
    )
    counts = {"n_prompt_tokens": asked, "n_ctx": size}
    inner = {"code": 400, "message": message, "type": "exceed_context_size_error", **counts}
    return 400, {"error": json.dumps({"error": inner})}


def _check(body: Any) -> None:
    need_fields(body, {"model", "messages"}, _FIELDS, "body")
    need(isinstance(body["model"], str) and body["model"], "model is required")
    need(body.get("stream", True) is True, "stream: these tests stream")
    for name in ("truncate", "shift", "logprobs"):
        need(isinstance(body.get(name, False), bool), name)
    think = body.get("think", False)
    is_level = think in ("low", "medium", "high", "max")
    need(isinstance(think, bool) or is_level, f'invalid think value: "{think}"')
    wanted = body.get("format", "json")
    need(wanted in ("", "json") or isinstance(wanted, dict), "invalid format")
    if "keep_alive" in body:
        _check_keep_alive(body["keep_alive"])
    _check_options(body.get("options", {}))
    for tool in body.get("tools", []):
        _check_tool(tool)
    _check_messages(body["messages"])


def _check_keep_alive(value: Any) -> None:
    if isinstance(value, str):
        need(_DURATION.fullmatch(value), f'time: invalid duration "{value}"')
    else:
        need(isinstance(value, int | float) and not isinstance(value, bool), "keep_alive")


def _check_options(options: Any) -> None:
    need_fields(options, set(), {*_INTEGERS, *_NUMBERS, "stop", "use_mmap"}, "options")
    for name, value in options.items():
        if name in _INTEGERS:
            need(type(value) is int, f'option "{name}" must be of type integer')
        elif name in _NUMBERS:
            is_number = type(value) in (int, float)
            need(is_number, f'option "{name}" must be of type float32')
        elif name == "stop":
            is_list = isinstance(value, list) and all(isinstance(each, str) for each in value)
            need(is_list, 'option "stop" must be of an array of strings')
    need(options.get("num_ctx", 4) >= 4, "num_ctx")


def _check_tool(tool: Any) -> None:
    need_fields(tool, {"type", "function"}, set(), "tools")
    need(tool["type"] == "function", "tools.type")
    function = tool["function"]
    need_fields(function, {"name", "parameters"}, {"description"}, "tools.function")
    need(isinstance(function["name"], str) and function["name"], "tools.function.name")
    parameters = function["parameters"]
    need(isinstance(parameters, dict), "tools.function.parameters")
    need(parameters.get("type") == "object", "tools.function.parameters.type")
    need(isinstance(parameters.get("properties"), dict), "tools.function.parameters.properties")


def _check_messages(messages: Any) -> None:
    need(isinstance(messages, list) and messages, "messages: without one nothing is generated")
    pending: list[tuple[str | None, str]] = []  # ids and names of calls without a result
    for number, message in enumerate(messages):
        where = f"messages.{number}"
        role = message.get("role") if isinstance(message, dict) else None
        if role == "tool":
            _check_result(message, pending, where)
            continue
        need(not pending, f"{where}: calls without results: {pending}")
        if role == "assistant":
            pending = _check_answer(message, where)
        elif role == "user":
            need_fields(message, {"role", "content"}, {"images"}, where)
            _check_images(message.get("images", []), where)
        else:
            need(role == "system" and number == 0, f"{where}: {role}")
            need_fields(message, {"role", "content"}, set(), where)
        need(isinstance(message.get("content", ""), str), f"{where}: content is a string")
    need(messages[-1]["role"] in ("user", "tool"), "messages: the last one is the user's")


def _check_answer(message: Json, where: str) -> list[tuple[str | None, str]]:
    need_fields(message, {"role"}, {"content", "thinking", "tool_calls"}, where)
    need(message.keys() & {"content", "tool_calls"}, f"{where}: it says nothing")
    need(isinstance(message.get("thinking", ""), str), f"{where}: thinking is a string")
    calls = []
    for call in message.get("tool_calls", []):
        need_fields(call, {"function"}, {"id"}, f"{where}.tool_calls")
        function = call["function"]
        need_fields(function, {"name", "arguments"}, {"index"}, f"{where}.tool_calls.function")
        is_object = isinstance(function["arguments"], dict)
        need(is_object, f"{where}: cannot unmarshal string into api.ToolCallFunctionArguments")
        calls.append((call.get("id"), function["name"]))
    return calls


def _check_result(message: Json, pending: list[tuple[str | None, str]], where: str) -> None:
    need_fields(message, {"role", "content", "tool_name"}, {"tool_call_id"}, where)
    need(isinstance(message["content"], str), f"{where}: content is a string")
    call = (message.get("tool_call_id"), message["tool_name"])
    need(call in pending, f"{where}: {call} is not among {pending}")
    pending.remove(call)


def _check_images(images: Any, where: str) -> None:
    need(isinstance(images, list), f"{where}: images")
    for image in images:
        try:
            data = base64.b64decode(image, validate=True)
        except ValueError as error:
            raise Refused(f"{where}: illegal base64 data") from error
        need(data, f"{where}: an image is empty")
