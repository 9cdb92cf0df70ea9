"""Which event an ending is, and its body."""

import json
from datetime import UTC, datetime

import pytest

from model.messages import Ending, FinishReason, Status
from storage.values import WebhookDelivery
from webhooks.events import body_of, event_of

AT = datetime(2026, 11, 26, 8, 30, 15, 999000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "reason", "event"),
    [
        (Status.COMPLETE, FinishReason.STOP, "response.completed"),
        (Status.COMPLETE, FinishReason.TOOL_CALLS, "response.completed"),
        (Status.COMPLETE, None, "response.completed"),
        (Status.COMPLETE, FinishReason.LENGTH, "response.incomplete"),
        (Status.COMPLETE, FinishReason.CONTENT_FILTER, "response.incomplete"),
        (Status.STOPPED, None, "response.cancelled"),
        (Status.FAILED, None, "response.failed"),
        (Status.INTERRUPTED, None, "response.failed"),
        (Status.ABANDONED, None, "response.failed"),
        (Status("of a later version"), None, "response.failed"),
    ],
)
def test_an_ending_is_one_of_the_four_events(
    status: Status, reason: FinishReason | None, event: str
) -> None:
    ending = Ending(status=status, blocks=(), finish_reason=reason, ended_at=AT)

    assert event == event_of(ending)


def test_the_body_is_openais_and_the_same_for_each_try() -> None:
    delivery = WebhookDelivery(
        webhook="h", answer_id="c-a", event="response.completed", ended_at=AT, tries=1
    )
    again = WebhookDelivery(
        webhook="h", answer_id="c-a", event="response.completed", ended_at=AT, tries=7
    )

    assert {
        "id": "evt_c-a",
        "object": "event",
        "created_at": 1795681815,
        "type": "response.completed",
        "data": {"id": "resp_c-a"},
    } == json.loads(body_of(delivery))
    assert body_of(delivery) == body_of(again)
