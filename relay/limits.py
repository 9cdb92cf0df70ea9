"""The relay's settings, as `server.py` makes them of the operator's."""

import msgspec

from relay.admission import Allowance
from relay.ask_request import AskRequest


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What the relay may take, and how long it waits. Times are seconds, lengths are characters."""

    allowance: Allowance
    max_unsent_bytes: int
    max_question_chars: int
    max_answer_chars: int
    context_chars: int
    context_messages: int
    grace_seconds: float | None  # as in `ReaderTimeout`, where a question does not say
    keyed_grace_seconds: float  # the least for a question that has an idempotency key
    checkpoint_seconds: float
    attach_seconds: float
    lease_seconds: float

    def grace_for(self, request: AskRequest) -> float | None:
        """For how many seconds the answer to `request` goes on without a reader."""
        if request.grace_seconds is not msgspec.UNSET:
            return request.grace_seconds
        if request.idempotency_key is None or self.grace_seconds is None:
            return self.grace_seconds
        return max(self.grace_seconds, self.keyed_grace_seconds)  # they intend to come back
