"""Lines that strangers or outages could repeat without end: what of them is said."""

import asyncio
import logging

import pytest

from telemetry import rate_limited_log
from telemetry.rate_limited_log import OutageLog, RateLimitedLog

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
    monkeypatch.setattr(rate_limited_log, "SAY_AGAIN_SECONDS", 0.02)
    return 0.02


def telling() -> RateLimitedLog:
    return RateLimitedLog(log, "refused reason=%s request=%s untold=%d")


@pytest.mark.gen_test
async def test_a_thousand_of_one_kind_are_one_line_and_at_the_end_how_many_there_were(
    said: list[str],
) -> None:
    lines = telling()

    for number in range(1000):
        lines.say("aud", example=number)
    lines.say("exp", example="x")

    assert [
        "refused reason=aud request=0 untold=0",
        "refused reason=exp request=x untold=0",
    ] == said
    lines.close()
    assert "refused reason=aud request=999 untold=999" == list(said)[-1]
    assert 3 == len(list(said))


@pytest.mark.gen_test
async def test_when_the_minute_is_over_the_rest_is_told_and_then_nothing_more(
    said: list[str], again_after: float
) -> None:
    lines = telling()
    lines.say("aud", example=1)
    lines.say("aud", example=2)

    async with asyncio.timeout(5):
        while lines._recent:  # noqa: ASYNC110 - a kind that is quiet takes no memory
            await asyncio.sleep(again_after)

    assert [
        "refused reason=aud request=1 untold=0",
        "refused reason=aud request=2 untold=1",
    ] == said
    lines.say("aud", example=3)
    assert "refused reason=aud request=3 untold=0" == list(said)[-1]
    lines.close()


@pytest.mark.gen_test
async def test_kinds_without_number_take_neither_memory_nor_lines_without_number(
    said: list[str],
) -> None:
    lines = telling()

    for number in range(10_000):
        lines.say(str(number), example="-")

    assert len(list(said)) <= 202
    assert len(lines._recent) <= 202
    lines.close()


def outage() -> OutageLog:
    return OutageLog(log, "it fails: %s reason=%s", "it works again after_seconds=%d times=%d")


def test_an_outage_is_told_once_for_each_reason_and_when_it_is_over(said: list[str]) -> None:
    store = outage()

    store.over()  # it works: nothing to say
    for _ in range(100):
        store.met("locked", "words")
    store.met("full", "other words")
    store.over()
    store.over()

    assert [
        "it fails: words reason=locked",
        "it fails: other words reason=full",
        "it works again after_seconds=0 times=101",
    ] == said


def test_what_comes_and_goes_is_told_once_a_minute(
    said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = 1000.0
    monkeypatch.setattr("telemetry.rate_limited_log.time.monotonic", lambda: clock)
    store = outage()

    for _ in range(59):
        store.met("locked", "words")
        store.over()
        clock += 1
    assert 2 == len(list(said))
    clock += 2
    store.met("locked", "words")
    store.over()

    assert [
        "it fails: words reason=locked",
        "it works again after_seconds=0 times=1",
        "it fails: words reason=locked",
        "it works again after_seconds=0 times=59",
    ] == said


def test_an_outage_that_began_in_a_quiet_minute_is_told_when_it_lasts(
    said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = 1000.0
    monkeypatch.setattr("telemetry.rate_limited_log.time.monotonic", lambda: clock)
    store = outage()
    store.met("locked", "words")
    store.over()

    store.met("locked", "words")
    clock += 90
    store.met("locked", "words")
    store.over()

    assert "it works again after_seconds=90 times=2" == list(said)[-1]
