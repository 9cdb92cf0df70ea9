"""Lines that strangers or outages could repeat without end: what of them is said."""

import asyncio
import logging

import pytest

from telemetry import rate_limited_log
from telemetry.log_event import LogEvent
from telemetry.rate_limited_log import RateLimitedLog

log = logging.getLogger("headrace.test")


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Every line so far; it grows."""
    caplog.set_level(logging.DEBUG, "headrace")

    class Lines(list[str]):
        def __iter__(self):  # type: ignore[no-untyped-def]
            return iter([record.getMessage() for record in caplog.records])

        def __eq__(self, other: object) -> bool:
            return list(self) == other

        __hash__ = None

    return Lines()


@pytest.fixture
def again_after(monkeypatch: pytest.MonkeyPatch) -> float:
    """A minute that can be waited for."""
    monkeypatch.setattr(rate_limited_log, "REPEAT_SECONDS", 0.02)
    return 0.02


def limited() -> RateLimitedLog:
    return RateLimitedLog(log, example="request")


def refused(reason: str, request: str | int) -> LogEvent:
    return LogEvent("refused", reason=reason, request=request)


@pytest.mark.gen_test
async def test_a_thousand_of_one_kind_are_one_line_and_at_the_end_how_many_there_were(
    said: list[str],
) -> None:
    lines = limited()

    for number in range(1000):
        lines.log(refused("aud", number))
    lines.log(refused("exp", "x"))

    assert [
        "refused reason=aud request=0 suppressed=0",
        "refused reason=exp request=x suppressed=0",
    ] == said
    lines.close()
    assert "refused reason=aud request=999 suppressed=999" == list(said)[-1]
    assert 3 == len(list(said))


@pytest.mark.gen_test
async def test_when_the_minute_is_over_the_rest_is_told_and_then_nothing_more(
    said: list[str], again_after: float
) -> None:
    lines = limited()
    lines.log(refused("aud", 1))
    lines.log(refused("aud", 2))

    async with asyncio.timeout(5):
        while lines._recent:  # noqa: ASYNC110 - a kind that is quiet takes no memory
            await asyncio.sleep(again_after)

    assert [
        "refused reason=aud request=1 suppressed=0",
        "refused reason=aud request=2 suppressed=1",
    ] == said
    lines.log(refused("aud", 3))
    assert "refused reason=aud request=3 suppressed=0" == list(said)[-1]
    lines.close()


@pytest.mark.gen_test
async def test_kinds_without_number_take_neither_memory_nor_lines_without_number(
    said: list[str],
) -> None:
    lines = limited()

    for number in range(10_000):
        lines.log(refused(str(number), "-"))

    assert len(list(said)) <= 202
    assert "refused reason=other request=- suppressed=0" == list(said)[-1]
    assert len(lines._recent) <= 202
    lines.close()


@pytest.mark.gen_test
async def test_what_was_closed_writes_nothing_more_when_its_minute_is_over(
    said: list[str], again_after: float
) -> None:
    lines = limited()
    lines.log(refused("aud", 1))
    lines.log(refused("aud", 2))
    lines.close()
    so_far = list(said)

    # Nothing may happen in it: a timer that still ran would raise, which is an error in the log.
    await asyncio.sleep(3 * again_after)

    assert 2 == len(so_far)
    assert so_far == said
