"""Which tool calls clients of `useChat` have received, so that none is carried out twice.

A client that resumes says nothing of what it has, and carries out again whatever calls it is sent.
"""

# Ids of answers, of some 200 bytes each: tools are called within seconds, and a client that comes
# back later than after so many other answers is more likely to have lost the calls.
_MOST = 10_000


class ReceivedCalls:
    """The latest whole answers with tool calls that this process sent to their ends."""

    def __init__(self) -> None:
        self._answers: dict[str, None] = {}

    def __contains__(self, answer_id: str) -> bool:
        return answer_id in self._answers

    def add(self, answer_id: str) -> None:
        """Note that a client has all of the answer."""
        self._answers.pop(answer_id, None)  # it is the latest now
        self._answers[answer_id] = None
        if len(self._answers) > _MOST:
            del self._answers[next(iter(self._answers))]
