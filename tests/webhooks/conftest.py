"""What tests of webhooks share.

Fixtures: `other` is a second receiver. `quick` has what fails be tried again at once, and looks for
what is due all the time.
"""

from collections.abc import Iterator

import pytest
from tornado.ioloop import IOLoop

from tests.webhook_receiver import Receiver, receiving
from webhooks import sender


@pytest.fixture
def other(io_loop: IOLoop) -> Iterator[Receiver]:
    yield from receiving(io_loop)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "FIRST_PAUSE", 0.05)
    monkeypatch.setattr(sender, "LONGEST_PAUSE", 0.2)
    monkeypatch.setattr(sender, "POLL_SECONDS", 0.05)
