"""How long a call goes on after a finish mark, by a clock that the test sets."""

import asyncio

import pytest
from tornado.httputil import HTTPHeaders

from providers import call
from providers.call import ProviderCall
from providers.quirks import QuirkLog
from providers.transport import Timeouts
from tests.providers.outcome import OPENAI, Outcome
from tests.providers.reported.case import d, fin, sse

TIMEOUTS = Timeouts(connect=10, first_token=60, idle=30, answer=600)


class _Clock:
    """A call whose response comes at moments that the test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self.outcome = Outcome()
        sent = lambda: None  # noqa: E731
        self._call = ProviderCall(
            OPENAI, TIMEOUTS, self._began, sent, self.outcome, QuirkLog("scripted"), model="m"
        )
        self._call._timer = self._loop.call_later(600, sent)
        self._call._on_send()
        self._call._on_head(200, HTTPHeaders())

    def at(self, seconds: float, *events: object) -> float:
        """`events` come then; for how long the call will wait from there on."""
        moment = self._began + seconds
        with self._patch.context() as turned:
            turned.setattr(self._loop, "time", lambda: moment)
            self._call._on_body(sse(*events, end=b""))
            self._call._timer.cancel()
            return self._call._deadline() - moment


@pytest.fixture
def linger(monkeypatch: pytest.MonkeyPatch) -> float:
    monkeypatch.setattr(call, "_LINGER_SECONDS", 2.0)
    return 2.0


@pytest.mark.gen_test
async def test_behind_a_mark_it_waits_for_what_belongs_to_it(
    monkeypatch: pytest.MonkeyPatch, linger: float
) -> None:
    clock = _Clock(monkeypatch)

    assert TIMEOUTS.idle == pytest.approx(clock.at(1, d(content="a")))
    assert linger == pytest.approx(clock.at(5, fin("stop")))
    assert linger == pytest.approx(clock.at(6, {"choices": [], "usage": {"prompt_tokens": 1}}))
    assert linger - 1 == pytest.approx(clock.at(7, {"choices": []})), "it says nothing"


@pytest.mark.gen_test
async def test_a_mark_that_text_came_behind_once_cuts_nothing_off_any_more(
    monkeypatch: pytest.MonkeyPatch, linger: float
) -> None:
    clock = _Clock(monkeypatch)

    assert linger == pytest.approx(clock.at(1, d(content="He", fin="stop")))
    assert TIMEOUTS.idle == pytest.approx(clock.at(2, d(content="ll", fin="stop")))
    assert TIMEOUTS.idle == pytest.approx(clock.at(12, d(content="o", fin="stop")))
    assert "Hello" == clock.outcome.text_


@pytest.mark.gen_test
async def test_nothing_outlasts_the_time_that_an_answer_has(
    monkeypatch: pytest.MonkeyPatch, linger: float
) -> None:
    clock = _Clock(monkeypatch)

    assert 1 == pytest.approx(clock.at(599, d(content="a"), fin("stop")))
