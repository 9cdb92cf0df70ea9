"""Events of webhooks: their types and bodies, as OpenAI's SDKs read them.

An event has the id of the answer and nothing of its text: whoever receives it reads the answer with
a key of its own.
"""

from datetime import datetime

import msgspec

from model.messages import Ending, FinishReason, Status, now
from storage.values import WebhookDelivery

COMPLETED = "response.completed"
INCOMPLETE = "response.incomplete"
FAILED = "response.failed"
CANCELLED = "response.cancelled"

_CUT_OFF = (FinishReason.LENGTH, FinishReason.CONTENT_FILTER)


# Of the doctor's event only: no receiver knows it, so none does anything but check the signature.
_TEST = "webhook.test"


class _Response(msgspec.Struct):
    id: str


class _Event(msgspec.Struct):
    id: str
    object: str
    created_at: int
    type: str
    data: _Response


def event_of(ending: Ending) -> str:
    """Return the type of the event of an ending."""
    match ending.status:
        case Status.COMPLETE:
            return INCOMPLETE if ending.finish_reason in _CUT_OFF else COMPLETED
        case Status.STOPPED:
            return CANCELLED
        case _:
            return FAILED


def event_id(answer_id: str) -> str:
    """Return the id of an answer's event, the same for each try: it ends once."""
    return f"evt_{answer_id}"


def body_of(delivery: WebhookDelivery) -> bytes:
    """Return the event of a delivery as JSON, the same for each try."""
    named, response = event_id(delivery.answer_id), f"resp_{delivery.answer_id}"
    return _encoded(named, delivery.event, delivery.ended_at, response)


def doctors_event(event_id: str) -> bytes:
    """Return an event that says nothing, for trying a webhook."""
    return _encoded(event_id, _TEST, now(), "resp_test")


def _encoded(event_id: str, kind: str, at: datetime, response: str) -> bytes:
    event = _Event(event_id, "event", int(at.timestamp()), kind, _Response(response))
    return msgspec.json.encode(event)
