"""An outage that each request meets: what of it is in the log."""

import logging

import pytest

from telemetry.outage_log import OutageLog

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


def outage() -> OutageLog:
    return OutageLog(log, "it fails", "it works again")


def test_an_outage_is_told_once_for_each_reason_and_when_it_is_over(said: list[str]) -> None:
    store = outage()

    store.succeeded()  # it works: nothing to say
    for _ in range(100):
        store.failed("locked", ValueError("words"))
    store.failed("full", ValueError("other words"))
    store.succeeded()
    store.succeeded()

    assert [
        "it fails: words reason=locked",
        "it fails: other words reason=full",
        "it works again after_seconds=0 times=101",
    ] == said


def test_what_comes_and_goes_is_told_once_a_minute(
    said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = 1000.0
    monkeypatch.setattr("telemetry.outage_log.time.monotonic", lambda: clock)
    store = outage()

    for _ in range(59):
        store.failed("locked", ValueError("words"))
        store.succeeded()
        clock += 1
    assert 2 == len(list(said))
    clock += 2
    store.failed("locked", ValueError("words"))
    store.succeeded()

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
    monkeypatch.setattr("telemetry.outage_log.time.monotonic", lambda: clock)
    store = outage()
    store.failed("locked", ValueError("words"))
    store.succeeded()

    store.failed("locked", ValueError("words"))
    clock += 90
    store.failed("locked", ValueError("words"))
    store.succeeded()

    assert "it works again after_seconds=90 times=2" == list(said)[-1]


def test_the_names_of_the_values_can_be_chosen_and_an_error_need_not_be_given(
    said: list[str],
) -> None:
    store = OutageLog(log, "it fails", "it works again", reason="error", times="refused")

    store.failed("locked")
    store.succeeded()

    assert ["it fails error=locked", "it works again after_seconds=0 refused=1"] == said
