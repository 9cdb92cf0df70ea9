"""Errors of Anthropic's Messages API: by type, in place of a stream and in the middle of one."""

import json
from typing import Any

import pytest

from providers.errors import (
    BadRequest,
    ContextTooLong,
    ModelNotFound,
    ProviderError,
    ProviderOverloaded,
    QuotaExceeded,
    RateLimited,
    Refused,
    Unauthorized,
)
from tests.anthropic_framing import start, text
from tests.providers.outcome import ANTHROPIC, read

ERRORS = [
    (400, "invalid_request_error", BadRequest),
    (401, "authentication_error", Unauthorized),
    (402, "billing_error", QuotaExceeded),
    (403, "permission_error", Unauthorized),
    (404, "not_found_error", ModelNotFound),
    (409, "conflict_error", ProviderOverloaded),
    (413, "request_too_large", ContextTooLong),
    (422, "invalid_request_error", BadRequest),
    (429, "rate_limit_error", RateLimited),
    (500, "api_error", ProviderOverloaded),
    (504, "timeout_error", ProviderOverloaded),
    (529, "overloaded_error", ProviderOverloaded),
]


def error_body(kind: str, message: str = "Sorry, 你好.", **more: Any) -> bytes:
    error = {"type": kind, "message": message, **more}
    return json.dumps({"type": "error", "error": error, "request_id": "req_1"}).encode()


@pytest.mark.parametrize(("status", "kind", "error"), ERRORS)
def test_an_error_has_the_meaning_of_its_type(
    status: int, kind: str, error: type[ProviderError]
) -> None:
    found = ANTHROPIC.error(status, error_body(kind), {"retry-after": "7"})

    assert (error, kind, f"http_{status}") == (type(found), found.provider_code, found.reason)
    assert (7.0 if found.retryable else None) == found.retry_after
    assert "Sorry" not in str(found)


@pytest.mark.parametrize(("status", "kind", "error"), ERRORS)
def test_an_error_in_the_stream_has_the_same_meaning(
    status: int, kind: str, error: type[ProviderError]
) -> None:
    if kind == "conflict_error":  # a status alone tells that a retry may help
        error = Refused
    event_ = b"event: error\ndata: " + error_body(kind) + b"\n\n"

    first, later = (
        read(ANTHROPIC, pieces) for pieces in ([event_], [start(), text(0, "a"), event_])
    )

    for outcome, said in ((first, ""), (later, "a")):
        assert (error, kind, said) == (
            type(outcome.error),
            outcome.error.provider_code,
            outcome.text_,
        )


@pytest.mark.parametrize(
    ("status", "body", "error", "code"),
    [
        (
            429,
            error_body("rate_limit_error", details={"error_code": "enforced_spend_limit_reached"}),
            QuotaExceeded,
            "enforced_spend_limit_reached",
        ),
        (
            400,
            error_body("invalid_request_error", details={"error_code": "tool_name_conflict"}),
            BadRequest,
            "tool_name_conflict",
        ),
        (
            400,
            error_body("invalid_request_error", "prompt is too long: 200001 tokens > 200000 max"),
            ContextTooLong,
            "invalid_request_error",
        ),
        (
            400,
            error_body("invalid_request_error", "Your credit balance is too low to access it."),
            QuotaExceeded,
            "invalid_request_error",
        ),
        (529, b"", ProviderOverloaded, None),
        (529, b"<html>", ProviderOverloaded, None),
    ],
)
def test_what_only_details_or_messages_tell(
    status: int, body: bytes, error: type[ProviderError], code: str | None
) -> None:
    found = ANTHROPIC.error(status, body, {})

    assert (error, code) == (type(found), found.provider_code)


def test_a_retry_that_will_not_help_is_not_offered() -> None:
    body = error_body("api_error")

    assert ANTHROPIC.error(500, body, {"x-should-retry": "true"}).retryable
    assert not ANTHROPIC.error(500, body, {"x-should-retry": "false"}).retryable
