"""What is known of the calls that clients have received is bounded."""

import pytest

from handlers.ai_sdk import received_calls
from handlers.ai_sdk.received_calls import ReceivedCalls


def test_the_latest_answers_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(received_calls, "_MOST", 3)
    received = ReceivedCalls()

    for answer_id in ("a", "b", "c", "a", "d"):
        received.add(answer_id)

    assert ["a", "c", "d"] == [each for each in "abcd" if each in received]
