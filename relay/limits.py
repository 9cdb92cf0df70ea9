"""The relay's limits and times, as they are set by the operator."""

import msgspec

from relay.admission import Allowance
from relay.ask_request import AskRequest


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The relay's limits and times. Times are seconds; what is not named bytes is characters."""

    allowance: Allowance
    max_unsent_bytes: int
    max_question_chars: int
    max_answer_chars: int
    context_chars: int
    context_messages: int
    context_part_bytes: int  # of images and files that are sent again
    default_grace_seconds: float | None  # as in `ReaderTimeout`, for questions without a value
    keyed_grace_seconds: float  # the least for questions with an idempotency key
    # The least for an SDK that waits for the end: within that time it tries again, if it does.
    sdk_grace_seconds: float = 3.0
    checkpoint_seconds: float
    attach_seconds: float
    pace_seconds: float  # the longest time for which a busy process holds tokens
    lease_seconds: float

    def grace_for(self, request: AskRequest) -> float | None:
        """Seconds for which the answer to `request` goes on without a reader; None: to its end."""
        if not (request.store or request.may_come_again):
            return 0.0  # nobody could find the answer again
        if request.grace_seconds is not msgspec.UNSET:
            return request.grace_seconds
        default = self.default_grace_seconds
        if default is None:
            return None
        if request.idempotency_key is not None:
            return max(default, self.keyed_grace_seconds)  # its client is expected to reconnect
        if request.sdk_retry is not None and request.waits:
            return max(default, self.sdk_grace_seconds)
        return default
