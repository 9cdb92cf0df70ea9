"""What the dialects share whose events are objects of JSON: read strictly, and patiently if odd."""

from abc import abstractmethod
from typing import Generic, TypeVar

import msgspec

from providers.assembler import Assembler
from providers.dialect import Interpreter
from providers.errors import BadResponse
from providers.payload import read
from providers.sse import Event

T = TypeVar("T", bound=msgspec.Struct)


class JsonInterpreter(Interpreter, Generic[T]):
    """Reads events into bodies, which a dialect understands.

    An event that is blank, or holds no JSON, says nothing. So does a line that is no field of an
    event stream, unless it is a bare line of JSON: mostly an error, in some streams every event.
    """

    def __init__(self, out: Assembler, decoder: msgspec.json.Decoder[T]) -> None:
        super().__init__(out)
        self._decode = decoder.decode
        self._kind: type[T] = decoder.type

    @abstractmethod
    def hear(self, body: T, event_type: str) -> None:
        """What one body says. Raises ProviderError where it says an error."""

    @abstractmethod
    def is_meant(self, body: T) -> bool:
        """Whether a body in one piece is an answer or an error, and not something else."""

    def event(self, event: Event) -> bool:
        """One event, which says an end if `says_end` finds so."""
        try:
            body = self._decode(event.data)
        except (ValueError, RecursionError):
            if self.says_end(event.data):
                return True
            self._read(event.data, event.type)
        else:
            self.hear(body, event.type)
        return False

    def says_end(self, data: bytes) -> bool:
        """Whether data that is no JSON says that nothing follows."""
        return False

    def whole(self, body: bytes) -> None:
        """An answer or an error in one piece, or several of an answer's events in a list."""
        bodies = read(body, self._kind)
        if not any(map(self.is_meant, bodies)):
            raise BadResponse(provider_code="no_answer")
        for each in bodies:
            self.hear(each, "message")

    def stray_line(self, line: bytes) -> None:
        """A bare line of JSON."""
        if line.lstrip().startswith(b"{"):
            self._read(line, "message")
        else:
            super().stray_line(line)

    def _read(self, data: bytes, event_type: str) -> None:
        """The bodies in data that is not what it should be."""
        bodies = read(data, self._kind)
        if not bodies and data.strip():
            self._out.odd("no_json")
        for body in bodies:
            self.hear(body, event_type)
