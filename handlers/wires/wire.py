"""What a client protocol is: how an answer begins, grows, lives and ends for its clients, as bytes.

All of it is a function of the answer's blocks, positions and ending alone, so that the same growth
has the same bytes whether it is written live, in a replay, merged with its neighbours or by another
process. A module with these functions is a wire.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

from model.growth import Piece
from relay.answer import Answer


class Wire(Protocol):
    """One protocol."""

    def begin(self, answer: Answer) -> bytes:
        """The first event of every stream, also of one that goes on from a position."""

    def growth(self, answer: Answer, position: int, pieces: Sequence[Piece]) -> bytes:
        """What the answer grew by from `position` on; `pieces` are not empty."""

    def reset(self, answer: Answer) -> Iterator[bytes]:
        """What replaces all that the client holds: it had seen more than was kept.

        It is as long as the answer, and so it is made as it is read: `answer` is a snapshot.
        """

    def heartbeat(self) -> bytes:
        """A sign of life."""

    def reconnect(self, milliseconds: int) -> bytes:
        """Has a client that can do so ask again after so long, should the stream end here."""

    def end(self, answer: Answer, position: int, request_id: str) -> bytes:
        """The last event of an answer that has ended, for a reader at `position`."""
