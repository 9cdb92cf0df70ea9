"""Errors, in whichever shape they come."""

import gzip
import json
from typing import Any

from tests.providers.reported.case import HELLO, Case, fin, native, sse


def refusal(name: str, status: int, body: Any, ending: str, **more: Any) -> Case:
    """A response that is a refusal, as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", **more.pop("headers", {})}
    return Case(name, data, ending=ending, status=status, headers=headers, **more)


def error(**said: Any) -> dict[str, Any]:
    return {"error": said}


# 6. Every refusal is read like an answer.
REFUSALS = (
    Case("201", sse(*HELLO, fin("stop")), "Hello", status=201),
    Case("202, with an answer in one piece",
         b'{"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]}',
         "Hi", status=202, headers={"Content-Type": "application/json"}),
    refusal("an error in a list", 404, [error(code=404, message="no model", status="NOT_FOUND")],
            "model_not_found"),
    refusal("an error in a list, under 200", 200, [error(code="insufficient_quota")],
            "provider_quota_exceeded"),
    refusal("a gateway's word for no money", 403, error(code="insufficient_user_quota"),
            "provider_quota_exceeded"),
    refusal("another", 403, error(code="", type="new_api_error", message="x",
                                  param="") | {"code": "quota_not_enough"},
            "provider_quota_exceeded"),
    refusal("no balance, in words", 429, error(type="insufficient_balance_error"),
            "provider_quota_exceeded"),
    refusal("too long, as vLLM says it", 400, error(
        message="This prompt is longer than the maximum model length of 4096", code=400,
        type="BadRequestError"), "context_too_long"),
    refusal("too long, as others say it", 400, error(
        message="prompt is too long: 210000 tokens > 200000 maximum"), "context_too_long"),
    refusal("an error within an error", 500, error(message=json.dumps(error(
        code="context_length_exceeded"))), "context_too_long"),
    refusal("an error as a text of JSON", 400, {"error": json.dumps({"code": "invalid_api_key"})},
            "provider_unauthorized"),
    refusal("an error without a wrapper", 429, {"code": "rate_limit", "msg": "slow"},
            "provider_rate_limited", headers={"Retry-After": "20"}, retry_after=20.0),
    refusal("a wait that is asked for", 429, error(code="rate_limit_exceeded"),
            "provider_rate_limited", headers={"Retry-After": "20"}, retry_after=20.0),
    refusal("a wait of an overloaded one", 503, b"<html>busy</html>", "provider_overloaded",
            headers={"Retry-After": "7"}, retry_after=7.0),
    refusal("an error that came compressed", 429, gzip.compress(json.dumps(error(
        code="insufficient_quota")).encode()), "provider_quota_exceeded",
        headers={"Content-Encoding": "gzip"}),
    refusal("ERNIE: messages must be odd in number", 200,
            {"error_code": 336006, "error_msg": "the length of messages must be an odd number"},
            "provider_bad_request", dialect="qianfan-v1"),
    refusal("ERNIE: too long", 200, {"error_code": 336007, "error_msg": "max input tokens"},
            "context_too_long", dialect="qianfan-v1"),
    refusal("ERNIE's error through another dialect", 200,
            {"error_code": 18, "error_msg": "Open api qps limit", "code": "qps_request_limit"},
            "provider_rate_limited"),
    refusal("ERNIE with another's error", 400, error(code="model_not_found"), "model_not_found",
            dialect="qianfan-v1"),
    refusal("DashScope with another's error", 401, error(code="invalid_api_key"),
            "provider_unauthorized", dialect="dashscope"),
    refusal("DashScope, in a list", 429, [{"code": "Throttling", "message": "x"}],
            "provider_rate_limited", dialect="dashscope"),
    Case("an error after text", sse(*HELLO, error(code="data_inspection_failed")), "Hello",
         ending="content_filtered"),
    Case("nothing wrong, by its code", sse({"code": 200, "message": "success", "choices": None},
                                           *HELLO, fin("stop")), "Hello"),
    refusal("MiniMax: no balance", 200, {"base_resp": {"status_code": 1008, "status_msg": "no"}},
            "provider_quota_exceeded"),
    Case("MiniMax: filtered after text", sse(*HELLO, {
        "choices": None, "base_resp": {"status_code": 1027, "status_msg": "x"}}), "Hello",
         ending="content_filtered"),
    Case("an error without a wrapper in a stream", sse(*HELLO, {
        "type": "invalid_request_error", "code": "no_such_thing", "message": "x"}), "Hello",
         ending="provider_bad_request"),
    Case("MiniMax: nothing wrong", sse(*HELLO, {
        **fin("stop"), "base_resp": {"status_code": 0, "status_msg": ""}}), "Hello"),
    Case("an object that says it is an error", sse(*HELLO, {
        "object": "error", "type": "InternalServerError", "message": "x", "code": None}), "Hello",
         ending="provider_overloaded"),
    Case("ERNIE's error in another's stream", sse(*HELLO, {"error_code": 4, "error_msg": "x"}),
         "Hello", ending="provider_refused"),
    Case("a detail in a stream", sse(*HELLO, {"detail": "Internal error"}), "Hello",
         ending="provider_overloaded"),
    Case("Anthropic's error", sse(b'event: error\ndata: {"type":"error","error":'
                                  b'{"type":"overloaded_error","message":"x"}}\n\n'),
         ending="provider_overloaded"),
    Case("reports that are no errors",
         sse({"type": "status", "message": "thinking"}, {"event": "search", "detail": "the web"},
             {"status": "running", "progress": 3}, *HELLO, fin("stop")), "Hello"),
    refusal("Tencent's wrapper and capitals", 200,
            {"Response": {"Error": {"Code": "RequestLimitExceeded", "Message": "x"}}},
            "provider_rate_limited"),
    refusal("Google's key, under 400", 400, [error(
        code=400, status="INVALID_ARGUMENT", details=[{"reason": "API_KEY_INVALID"}])],
            "provider_unauthorized"),
    refusal("Google's wait", 429, [error(
        code=429, status="RESOURCE_EXHAUSTED", details=[{"retryDelay": "17s"}])],
            "provider_rate_limited", retry_after=17.0),
    refusal("a code that says more than its type", 400, error(
        code="SensitiveContentDetected.SevereViolation", type="BadRequest"), "content_filtered"),
    refusal("a balancer is no balance", 502, error(code="load_balancer_error"),
            "provider_overloaded"),
    refusal("a message alone", 400, {"message": "too many tokens: size limit exceeded"},
            "context_too_long"),
    refusal("too long, as TGI says it", 422, {"error": "Input validation error: `inputs` tokens + "
            "`max_new_tokens` must be <= 4096", "error_type": "validation"}, "context_too_long"),
    refusal("a wrong path", 404, error(message="Invalid URL (POST /chat/completions)",
                                       type="invalid_request_error"), "provider_refused"),
    refusal("tokens a day", 429, error(code="daily_token_limit_exceeded"),
            "provider_rate_limited"),
    refusal("a sign of life ahead of the refusal", 429,
            b'data: {"type":"ping"}\n\ndata: {"error":{"code":"insufficient_quota"}}\n\n',
            "provider_quota_exceeded"),
    Case("DashScope: an error beside an empty output",
         sse(native("Hel"), {"code": "Throttling", "message": "x", "output": {}}, end=b""), "Hel",
         ending="provider_rate_limited", dialect="dashscope"),
    Case("more reports that are no errors", sse(
        {"status": 404, "type": "fetch", "url": "x"}, {"status": "500"}, {"status_code": 204},
        {"header": {"code": "0000"}}, {"type": "stats", "data": {"error": 0.02}},
        {"detail": "searching"}, {"type": "tool_error", "message": "retrying"},
        {"type": "x", "success": False, "message": "cache miss"},
        {"type": "code_interpreter", "code": "import math"}, {"code": "00000", "message": "ok"},
        {"code": 200.0}, *HELLO, fin("stop"), {"type": "rate_limit_error", "message": "0"}),
         "Hello"),
    Case("an error as deep as nobody reads", sse(
        b'{"error":' + b"[" * 700 + b"]" * 700 + b"}"), ending="provider_refused"),
)  # fmt: skip
