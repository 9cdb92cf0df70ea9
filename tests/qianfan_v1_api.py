"""What Baidu's classic endpoints refuse, as strictly as they do, or more so.

Written after their documentation and the code of their SDK, and not after our own requests, so that
the two do not share an error.
"""

import json
from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]

_FIELDS = {
    *("stream", "system", "temperature", "top_p", "penalty_score", "stop", "max_output_tokens"),
    *("response_format", "functions", "tool_choice", "disable_search", "enable_citation"),
    *("enable_trace", "user_id"),
    "extra_parameters",  # by which their SDK names itself
}


class _Refused(Exception):
    """The request is invalid, for the reason that this says."""


def refusal(headers: Mapping[str, str], data: bytes) -> tuple[int, Json] | None:
    """The status, which is 200, and the body of the error for a request; None if it is taken."""
    try:
        _need("json" in headers.get("Content-Type", ""), "content-type")
        _check(json.loads(data))
    except (_Refused, ValueError) as error:
        return 200, {"error_code": 336003, "error_msg": str(error), "id": "as-scripted"}
    return None


def _need(holds: object, what: str) -> None:
    if not holds:
        raise _Refused(what)


def _fields(value: Any, required: set[str], optional: set[str], where: str) -> None:
    _need(isinstance(value, dict), f"{where}: should be an object")
    _need(required <= value.keys(), f"{where}: {required - value.keys()}: missing")
    extra = value.keys() - required - optional
    _need(not extra, f"{where}: {extra}: unknown")


def _check(body: Any) -> None:
    _fields(body, {"messages", "stream"}, _FIELDS, "body")
    _need(body["stream"] is True, "these tests stream")
    _need(isinstance(body.get("system", ""), str), "system")
    _need(0 < body.get("temperature", 1) <= 1, "temperature should be in (0, 1.0]")
    _need(0 <= body.get("top_p", 1) <= 1, "top_p should be in [0, 1.0]")
    stops = body.get("stop", ["x"])
    _need(1 <= len(stops) <= 4 and all(1 <= len(stop) <= 20 for stop in stops), "stop")
    _need(body.get("max_output_tokens", 2) >= 2, "max_output_tokens")
    _need(body.get("response_format", "text") in ("text", "json_object"), "response_format")
    names = []
    for function in body.get("functions", ()):
        required = {"name", "description", "parameters"}
        _fields(function, required, {"responses", "examples"}, "function")
        _need(function["description"], "function: description is empty")
        _need(isinstance(function["parameters"], dict), "function: parameters")
        names.append(function["name"])
    if "tool_choice" in body:
        _fields(body["tool_choice"], {"type", "function"}, set(), "tool_choice")
        _need(body["tool_choice"]["function"]["name"] in names, "tool_choice: no such function")
    _check_messages(body["messages"])


def _check_messages(messages: Any) -> None:
    _need(isinstance(messages, list) and len(messages) % 2, "messages length must be odd")
    called: str | None = None
    for place, message in enumerate(messages):
        where = f"messages[{place}]"
        if place % 2:
            _fields(message, {"role", "content"}, {"function_call"}, where)
            _need(message["role"] == "assistant", f"{where}: role should be assistant")
            call = message.get("function_call")
            _need(call or message["content"], f"{where}: content is empty")
            if call:
                _fields(call, {"name", "arguments"}, {"thoughts"}, where)
                json.loads(call["arguments"])
            called = call["name"] if call else None
        elif called is not None:
            _fields(message, {"role", "name", "content"}, set(), where)
            _need((message["role"], message["name"]) == ("function", called), f"{where}: a result")
            json.loads(message["content"])
        else:
            _fields(message, {"role", "content"}, set(), where)
            _need(message["role"] == "user" and message["content"], f"{where}: a question")
