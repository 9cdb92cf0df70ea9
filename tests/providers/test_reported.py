"""What the field really sends, read at any cut: every text once, and an ending that is true."""

import gzip

import pytest

from providers.dialect import Dialect
from tests.providers.outcome import (
    DASHSCOPE,
    EVENT_STREAM,
    OPENAI,
    QIANFAN,
    QIANFAN_V1,
    Outcome,
    read,
)
from tests.providers.reported.case import STOPPED, Case
from tests.providers.reported.cases import CASES

DIALECTS: dict[str, Dialect] = {
    "openai": OPENAI,
    "dashscope": DASHSCOPE,
    "qianfan": QIANFAN,
    "qianfan-v1": QIANFAN_V1,
}


def outcome_of(case: Case, pieces: list[bytes]) -> Outcome:
    return read(
        DIALECTS[case.dialect],
        pieces,
        status=case.status,
        content_type=case.headers.get("Content-Type", EVENT_STREAM),
        headers={name.lower(): value for name, value in case.headers.items()},
    )


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_field_is_read_as_it_is_meant_at_any_cut(case: Case) -> None:
    body = case.body
    if case.headers.get("Content-Encoding") == "gzip":  # undone before it comes here
        body = gzip.decompress(body)
    for pieces in (
        [body],
        [body[place : place + 1] for place in range(len(body))],
        *([body[:place], body[place:]] for place in range(1, len(body), 3)),
    ):
        outcome = outcome_of(case, pieces)

        assert (case.text, case.reasoning) == (outcome.text_, outcome.reasoning_), pieces
        calls = tuple((each["id"], each["name"], each["arguments"]) for each in outcome.tool_calls)
        assert case.calls == calls, pieces
        assert case.ending == (STOPPED if outcome.error is None else outcome.error.code), pieces
        if case.ending == STOPPED:
            assert outcome.mark is not None
            assert case.finish == outcome.mark.reason
        else:
            assert outcome.error is not None
            assert case.retry_after == outcome.error.retry_after


def test_every_case_has_a_name_of_its_own() -> None:
    assert len(CASES) == len({case.name for case in CASES})
