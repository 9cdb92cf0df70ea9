"""Receivers of webhooks, and servers that tell them.

Fixtures: `receiver` is one that is up, `other` a second one. `quick` has what fails be tried again
at once, and looks for what is due all the time.
"""

from collections.abc import Iterator

import pytest
from tornado.ioloop import IOLoop

from tests.webhook_receiver import Receiver
from webhooks import sender


@pytest.fixture
def receiver(io_loop: IOLoop) -> Iterator[Receiver]:
    yield from _receiver(io_loop)


@pytest.fixture
def other(io_loop: IOLoop) -> Iterator[Receiver]:
    yield from _receiver(io_loop)


def _receiver(io_loop: IOLoop) -> Iterator[Receiver]:
    made = Receiver()
    io_loop.run_sync(made.start)
    yield made
    io_loop.run_sync(made.stop)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "FIRST_PAUSE", 0.05)
    monkeypatch.setattr(sender, "LONGEST_PAUSE", 0.2)
    monkeypatch.setattr(sender, "POLL_SECONDS", 0.05)
