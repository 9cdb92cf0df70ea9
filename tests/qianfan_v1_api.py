"""What Baidu's classic endpoints refuse, as strictly as they do, or more so.

Written after their documentation and the code of their SDK, and not after our own requests, so that
the two do not share an error.
"""

import json
from collections.abc import Mapping
from typing import Any

from tests.strict_api import Refused, need, need_fields

Json = dict[str, Any]

_FIELDS = {
    *("stream", "system", "temperature", "top_p", "penalty_score", "stop", "max_output_tokens"),
    *("response_format", "functions", "tool_choice", "disable_search", "enable_citation"),
    *("enable_trace", "user_id"),
    "extra_parameters",  # by which their SDK names itself
}


def refusal(headers: Mapping[str, str], data: bytes) -> tuple[int, Json] | None:
    """The status, which is 200, and the body of the error for a request; None if it is taken."""
    try:
        need("json" in headers.get("Content-Type", ""), "content-type")
        _check(json.loads(data))
    except (Refused, ValueError) as error:
        return 200, {"error_code": 336003, "error_msg": str(error), "id": "as-scripted"}
    return None


def _check(body: Any) -> None:
    need_fields(body, {"messages", "stream"}, _FIELDS, "body")
    need(body["stream"] is True, "these tests stream")
    need(isinstance(body.get("system", ""), str), "system")
    need(0 < body.get("temperature", 1) <= 1, "temperature should be in (0, 1.0]")
    need(0 <= body.get("top_p", 1) <= 1, "top_p should be in [0, 1.0]")
    stops = body.get("stop", ["x"])
    need(1 <= len(stops) <= 4 and all(1 <= len(stop) <= 20 for stop in stops), "stop")
    need(body.get("max_output_tokens", 2) >= 2, "max_output_tokens")
    need(body.get("response_format", "text") in ("text", "json_object"), "response_format")
    names = []
    for function in body.get("functions", ()):
        required = {"name", "description", "parameters"}
        need_fields(function, required, {"responses", "examples"}, "function")
        need(function["description"], "function: description is empty")
        need(isinstance(function["parameters"], dict), "function: parameters")
        names.append(function["name"])
    if "tool_choice" in body:
        need_fields(body["tool_choice"], {"type", "function"}, set(), "tool_choice")
        need(body["tool_choice"]["function"]["name"] in names, "tool_choice: no such function")
    _check_messages(body["messages"])


def _check_messages(messages: Any) -> None:
    need(isinstance(messages, list) and len(messages) % 2, "messages length must be odd")
    called: str | None = None
    for place, message in enumerate(messages):
        where = f"messages[{place}]"
        if place % 2:
            need_fields(message, {"role", "content"}, {"function_call"}, where)
            need(message["role"] == "assistant", f"{where}: role should be assistant")
            call = message.get("function_call")
            need(call or message["content"], f"{where}: content is empty")
            if call:
                need_fields(call, {"name", "arguments"}, {"thoughts"}, where)
                json.loads(call["arguments"])
            called = call["name"] if call else None
        elif called is not None:
            need_fields(message, {"role", "name", "content"}, set(), where)
            need((message["role"], message["name"]) == ("function", called), f"{where}: a result")
            json.loads(message["content"])
        else:
            need_fields(message, {"role", "content"}, set(), where)
            need(message["role"] == "user" and message["content"], f"{where}: a question")
