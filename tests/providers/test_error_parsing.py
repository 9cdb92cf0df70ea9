"""What providers say went wrong, and which of our errors that is."""

import json
from typing import Any

import pytest
from tornado.httputil import HTTPHeaders

from providers.dialect import Dialect
from providers.error_parsing import MAX_RETRY_AFTER_SECONDS, retry_after
from providers.errors import (
    BadRequest,
    BadResponse,
    ContentFiltered,
    ContextTooLong,
    CredentialExpired,
    ModelNotFound,
    ProviderError,
    ProviderOverloaded,
    QuotaExceeded,
    RateLimited,
    Refused,
    Unauthorized,
)
from tests.providers.outcome import DASHSCOPE, JSON, OPENAI, QIANFAN, QIANFAN_V1, read

# By status, code and type: OpenAI and its relatives.
OPENAI_SHAPED: list[tuple[int, object, object, type[ProviderError]]] = [
    (400, "context_length_exceeded", "invalid_request_error", ContextTooLong),
    (400, "unsupported_parameter", "invalid_request_error", BadRequest),
    (400, "content_policy_violation", "invalid_request_error", ContentFiltered),
    (401, "invalid_api_key", "invalid_request_error", Unauthorized),
    (401, None, "invalid_request_error", Unauthorized),
    (403, "unsupported_country_region_territory", None, Unauthorized),
    (404, "model_not_found", None, ModelNotFound),
    (409, None, None, ProviderOverloaded),
    (413, None, None, ContextTooLong),
    (422, None, None, BadRequest),
    (429, "rate_limit_exceeded", "tokens", RateLimited),
    (429, None, None, RateLimited),
    (429, "insufficient_quota", "insufficient_quota", QuotaExceeded),
    (429, "project_spend_limit_exceeded", "requests", QuotaExceeded),
    (503, "server_is_overloaded", "service_unavailable_error", ProviderOverloaded),
    (200, None, "server_error", ProviderOverloaded),
    (200, None, "invalid_request_error", BadRequest),
    # DeepSeek
    (402, "invalid_request_error", "unknown_error", QuotaExceeded),
    # Moonshot
    (429, None, "engine_overloaded_error", ProviderOverloaded),
    (429, None, "exceeded_current_quota_error", QuotaExceeded),
    (429, None, "rate_limit_reached_error", RateLimited),
    (400, None, "content_filter", ContentFiltered),
    (401, None, "incorrect_api_key_error", Unauthorized),
    # Zhipu
    (429, "1113", None, QuotaExceeded),
    (429, "1302", None, RateLimited),
    (429, "1305", None, ProviderOverloaded),
    (429, "1304", None, QuotaExceeded),
    (400, "1261", None, ContextTooLong),
    (400, "1301", None, ContentFiltered),
    (400, "1211", None, ModelNotFound),
    (500, "500", None, ProviderOverloaded),
    # vLLM, llama.cpp
    (200, 400, "BadRequestError", BadRequest),
    (200, 404, "NotFoundError", ModelNotFound),
    (200, 500, "InternalServerError", ProviderOverloaded),
    (400, 400, "exceed_context_size_error", ContextTooLong),
    (501, 501, "not_supported_error", BadRequest),
    (503, 503, "unavailable_error", ProviderOverloaded),
    # OpenRouter
    (200, 402, None, QuotaExceeded),
    (200, 408, None, ProviderOverloaded),
    (200, 429, None, RateLimited),
    (200, 502, None, ProviderOverloaded),
    # Qwen, compatible mode
    (400, "data_inspection_failed", "data_inspection_failed", ContentFiltered),
    (429, "limit_burst_rate", None, RateLimited),
    (400, "Arrearage", "Arrearage", QuotaExceeded),
    # Qianfan v2
    (429, "preemptible_tpm_rate_limit_exceeded", None, RateLimited),
    (401, "invalid_model", None, ModelNotFound),
    (400, "tokens_too_long", None, ContextTooLong),
    (403, "system_unsafe", None, ContentFiltered),
    (500, "dispatch_internal_error", None, ProviderOverloaded),
    # Nothing that anybody knows
    (200, "whatever", "whatever", Refused),
    (418, "whatever", None, Refused),
    (200, True, ["x"], Refused),
]

DASHSCOPE_CODES: list[tuple[str, type[ProviderError]]] = [
    ("InvalidParameter", BadRequest),
    ("InvalidParameter.Whatever", BadRequest),
    ("InvalidParameter.DataInspection", ContentFiltered),
    ("DataInspectionFailed", ContentFiltered),
    ("BadRequest.EmptyInput", BadRequest),
    ("BadRequest.TooLarge", ContextTooLong),
    ("Arrearage", QuotaExceeded),
    ("InvalidApiKey", Unauthorized),
    ("AccessDenied.Unpurchased", Unauthorized),
    ("Workspace.AccessDenied", Unauthorized),
    ("AllocationQuota.FreeTierOnly", QuotaExceeded),
    ("Model.AccessDenied", ModelNotFound),
    ("ModelNotFound", ModelNotFound),
    ("RequestTimeOut", ProviderOverloaded),
    ("Throttling", RateLimited),
    ("Throttling.AllocationQuota", RateLimited),
    ("PrepaidBillOverdue", QuotaExceeded),
    ("InternalError.Algo", ProviderOverloaded),
    ("ModelUnavailable", ProviderOverloaded),
]

QIANFAN_V1_CODES: list[tuple[int, type[ProviderError], float | None]] = [
    (2, ProviderOverloaded, None),
    (3, ModelNotFound, None),
    (4, RateLimited, 10),
    (6, ModelNotFound, None),
    (13, Unauthorized, None),
    (17, QuotaExceeded, None),
    (18, RateLimited, 1),
    (100, BadRequest, None),
    (110, CredentialExpired, None),
    (111, CredentialExpired, None),
    (336000, ProviderOverloaded, None),
    (336003, BadRequest, None),
    (336007, ContextTooLong, None),
    (336100, ProviderOverloaded, None),
    (336501, RateLimited, 60),
    (336502, RateLimited, 60),
]


def said(dialect: Dialect, body: object, *, status: int = 200) -> ProviderError:
    """The error that a JSON body gives."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    error = read(dialect, [data], status=status, content_type=JSON).error
    assert error is not None
    return error


def in_stream(dialect: Dialect, body: object, *, event: str = "message") -> ProviderError | None:
    """The error that the same body gives as an event."""
    return read(dialect, [f"event:{event}\ndata:{json.dumps(body)}\n\n".encode()]).error


@pytest.mark.parametrize(("status", "code", "kind", "error"), OPENAI_SHAPED)
def test_openai_and_its_relatives(
    status: int, code: object, kind: object, error: type[ProviderError]
) -> None:
    body = {"error": {"message": "secret sk-1", "type": kind, "code": code}}
    for dialect in (OPENAI, QIANFAN):
        found = said(dialect, body, status=status)
        assert type(found) is error
        assert "secret" not in str(found) + str(found.provider_code)
    if status == 200:
        assert type(in_stream(OPENAI, body)) is error


@pytest.mark.parametrize(("code", "error"), DASHSCOPE_CODES)
def test_dashscope_native(code: str, error: type[ProviderError]) -> None:
    body = {"code": code, "message": "secret", "request_id": "1"}
    for found in (
        said(DASHSCOPE, body),
        said(DASHSCOPE, body, status=500),
        in_stream(DASHSCOPE, body),
        in_stream(DASHSCOPE, body, event="error"),
        said(OPENAI, body),  # it escapes through the compatible mode
        in_stream(OPENAI, body),
    ):
        assert type(found) is error
        assert found is not None
        assert code == found.provider_code


@pytest.mark.parametrize(("code", "error", "wait"), QIANFAN_V1_CODES)
def test_qianfan_v1(code: int, error: type[ProviderError], wait: float | None) -> None:
    body = {"error_code": code, "error_msg": "secret"}
    dialect = QIANFAN_V1
    bare = read(dialect, [b": hi\n\n" + json.dumps(body).encode()]).error
    for found in (said(dialect, body), said(dialect, body, status=400), bare):
        assert found is not None
        assert (error, str(code), wait) == (type(found), found.provider_code, found.retry_after)
    assert type(in_stream(dialect, body)) is error


def test_a_code_of_qianfan_v1_that_nobody_knows_goes_by_the_status() -> None:
    body = {"error_code": 987654}
    assert type(said(QIANFAN_V1, body)) is Refused
    assert type(said(QIANFAN_V1, body, status=400)) is BadRequest


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"error": "Unauthorized"}, Unauthorized),
        ({"object": "error", "message": "m", "type": "BadRequestError", "code": 400}, BadRequest),
        ({"detail": [{"msg": "field required"}]}, Unauthorized),
        (b"<html>401</html>", Unauthorized),
        (b'{"error": {"code": "invalid_api_k', Unauthorized),
        (b"", Unauthorized),
        (b'data: {"error": {"code": "insufficient_quota"}}', QuotaExceeded),
        ({"error": {"code": 403, "metadata": {"flagged_input": "…"}}}, ContentFiltered),
    ],
)
def test_bodies_of_other_shapes(body: object, error: type[ProviderError]) -> None:
    assert type(said(OPENAI, body, status=401)) is error


def test_an_event_called_error_is_one_whatever_it_holds() -> None:
    assert type(in_stream(OPENAI, {"message": "m"}, event="error")) is Refused
    assert type(in_stream(OPENAI, {"message": "m"})) is not Refused
    assert type(in_stream(DASHSCOPE, {"message": "m"}, event="error")) is Refused


def test_a_wrong_path_is_not_a_wrong_model() -> None:
    assert type(said(OPENAI, b"<html>", status=404)) is Refused
    assert type(said(OPENAI, {"error": {"message": "no"}}, status=404)) is ModelNotFound


def test_an_error_may_repeat_the_question_ahead_of_its_code() -> None:
    body = {"error": {"message": "x" * 200_000, "code": "insufficient_quota"}}
    assert type(said(OPENAI, body, status=429)) is QuotaExceeded


def test_a_redirect_is_a_refusal() -> None:
    for dialect in (OPENAI, DASHSCOPE, QIANFAN_V1):
        assert type(said(dialect, b"", status=302)) is Refused


@pytest.mark.parametrize("field", ["error", "data"])
def test_llamacpp_once_had_a_field_for_errors(field: str) -> None:
    body = b': hi\n\n%s: {"code":500,"message":"m","type":"server_error"}\n\n' % field.encode()
    assert type(read(OPENAI, [body]).error) is ProviderOverloaded


@pytest.mark.parametrize(
    "message",
    [
        "This model's maximum context length is 8192 tokens.",
        "Range of input length should be [1, 129024]",
        "Your request exceeded model token limit: 8192",
    ],
)
def test_a_conversation_that_is_too_long_is_known_by_its_text(message: str) -> None:
    for code, kind in ((None, "invalid_request_error"), (400, "BadRequestError")):
        body = {"error": {"message": message, "type": kind, "code": code}}
        assert type(said(OPENAI, body, status=400)) is ContextTooLong
    native = {"code": "InvalidParameter", "message": message}
    assert type(in_stream(DASHSCOPE, native, event="error")) is ContextTooLong


@pytest.mark.parametrize("code", ["a sentence\nwith a line end " * 100, "", 0, {}, None])
def test_a_code_is_fit_for_a_log_line(code: Any) -> None:
    word = said(OPENAI, {"error": {"code": code}}, status=400).provider_code
    assert word is None or (len(word) <= 64 and word.isprintable())


def test_where_it_was_said_no_is_told_beside_a_code_which_may_be_a_text() -> None:
    body = {"error": {"code": "no word at all", "message": "m"}}
    found = (
        *(said(OPENAI, body, status=400), in_stream(OPENAI, body)),
        in_stream(OPENAI, {"message": "m"}, event="error"),
    )

    assert ["http_400", "in_the_answer", "in_the_answer"] == [
        error and error.reason for error in found
    ]


def test_what_an_empty_code_says_is_no_error() -> None:
    answer = {
        "output": {"text": None, "choices": [{"finish_reason": "stop", "message": {}}]},
        "code": "",
        "message": "",
    }
    assert read(DASHSCOPE, [json.dumps(answer).encode()]).complete
    assert type(said(OPENAI, {"code": 0, "message": "ok"})) is BadResponse


class TestRetryAfter:
    @pytest.mark.parametrize(
        ("headers", "seconds"),
        [
            ({}, None),
            ({"Retry-After": "20"}, 20),
            ({"Retry-After": "0.5"}, 0.5),
            ({"Retry-After-Ms": "1500", "Retry-After": "9"}, 1.5),
            ({"Retry-After": "86400"}, MAX_RETRY_AFTER_SECONDS),
            ({"Retry-After": "soon"}, None),
            ({"Retry-After": "-1"}, None),
            ({"Retry-After": "nan"}, None),
            ({"Retry-After": "inf"}, MAX_RETRY_AFTER_SECONDS),
            (
                {
                    "Retry-After": "Sun, 22 Nov 2026 18:00:30 GMT",
                    "Date": "Sun, 22 Nov 2026 18:00:00 GMT",
                },
                30,
            ),
            (
                {
                    "Retry-After": "Sun, 22 Nov 2026 17:00:00 GMT",
                    "Date": "Sun, 22 Nov 2026 18:00:00 GMT",
                },
                0,
            ),
            ({"Retry-After": "Sun, 22 Nov 2999 18:00:00 GMT"}, MAX_RETRY_AFTER_SECONDS),
            ({"Retry-After": "Sun, 22 Nov 2026 18:00:30", "Date": "whenever"}, None),
        ],
    )
    def test_it_is_read_in_every_form(self, headers: dict[str, str], seconds: float | None) -> None:
        assert seconds == retry_after(HTTPHeaders(headers))

    def test_only_what_may_be_retried_says_when(self) -> None:
        headers = HTTPHeaders({"Retry-After": "5"})
        quota = OPENAI.error(429, b'{"error":{"code":"insufficient_quota"}}', headers)
        assert quota.retry_after is None
        assert 5 == OPENAI.error(503, b"", headers).retry_after
        assert 5 == DASHSCOPE.error(429, b"", headers).retry_after
        assert 5 == QIANFAN_V1.error(503, b"", headers).retry_after

    def test_openai_may_forbid_a_retry(self) -> None:
        headers = HTTPHeaders({"X-Should-Retry": "false"})
        error = OPENAI.error(429, b'{"error":{"code":"slow_down"}}', headers)
        assert (Refused, "slow_down", False) == (type(error), error.provider_code, error.retryable)
