"""What a provider said reaches readers with the read that brought it, and not only at the end."""

import asyncio

import pytest
from tornado.httputil import HTTPHeaders

from providers.call import ProviderCall
from providers.errors import ProviderError
from providers.quirks import QuirkLog
from providers.transport import Timeouts
from tests.providers.outcome import OPENAI, Outcome
from tests.providers.reported.case import d, sse

TIMEOUTS = Timeouts(connect=10, first_token=60, idle=30, answer=600)


class _Counted(Outcome):
    """A sink that knows what readers had after each delivery."""

    def __init__(self) -> None:
        super().__init__()
        self.deliveries: list[str] = []

    def deliver(self) -> None:
        self.deliveries.append(self.text_)


async def _called(sink: Outcome) -> ProviderCall:
    called = ProviderCall(
        OPENAI,
        TIMEOUTS,
        asyncio.get_running_loop().time(),
        lambda: None,
        sink,
        QuirkLog("x"),
        model="m",
    )
    called._timer = asyncio.get_running_loop().call_later(600, lambda: None)
    called._on_send()
    called._on_head(200, HTTPHeaders())
    return called


@pytest.mark.gen_test
async def test_a_read_of_many_tokens_is_delivered_once() -> None:
    sink = _Counted()
    called = await _called(sink)

    called._on_body(sse(*[d(content=letter) for letter in "abcdef"], end=b""))
    called._on_body(sse(d(content="g"), end=b""))
    called._timer.cancel()

    assert ["abcdef", "abcdefg"] == sink.deliveries


@pytest.mark.gen_test
async def test_what_came_before_an_error_in_the_same_read_is_delivered() -> None:
    sink = _Counted()
    called = await _called(sink)
    error = {"error": {"message": "overloaded", "type": "server_error"}}

    with pytest.raises(ProviderError):
        called._on_body(sse(d(content="a"), error, end=b""))
    called._timer.cancel()

    assert ["a"] == sink.deliveries
