"""The protocol of wires: how a client protocol writes an answer as bytes.

All functions depend on the answer's blocks, positions and ending only, so that the same growth has
the same bytes whether it is sent live, in a replay, merged with its neighbours or by another
process. A module with these functions is a wire.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

from model.growth import Piece
from relay.answer import Answer
from relay.errors import RelayError


class Wire(Protocol):
    """A client protocol."""

    def begin(self, answer: Answer) -> bytes:
        """The first event of every stream, also of one that resumes."""

    def growth(self, answer: Answer, position: int, pieces: Sequence[Piece]) -> bytes:
        """The answer's growth from `position` on; `pieces` are not empty."""

    def reset(self, answer: Answer) -> Iterator[bytes]:
        """What replaces everything that the client received, which was more than is stored.

        It is as long as the answer, so it is made in pieces; `answer` is a snapshot.
        """

    def heartbeat(self) -> bytes:
        """Something that keeps the connection alive and that clients ignore."""

    def reconnect(self, milliseconds: int) -> bytes:
        """Has the client connect again after so many milliseconds; an ended answer's end follows.

        The process is shutting down, so that the next request has to go to another one.
        """

    def cut_off(self, milliseconds: int, error: RelayError, request_id: str) -> bytes:
        """The last event of a stream that has to end before its answer, because of `error`.

        A client that can resume should do so after so many milliseconds. Any other one has to be
        told that the answer is not whole.
        """

    def end(self, answer: Answer, position: int, request_id: str) -> bytes:
        """The last event of an ended answer, for a reader at `position`."""
