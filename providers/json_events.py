"""The common base of dialects with JSON events: decodes them strictly, and leniently where that
fails.
"""

import re
from abc import abstractmethod
from typing import Final, Generic, TypeVar

import msgspec

from providers.assembler import Assembler
from providers.dialect import Interpreter
from providers.error_parsing import error_in_body
from providers.errors import BadResponse, ProviderError, Refused
from providers.lenient_json import object_of, read, values
from providers.sse import Event

T = TypeVar("T", bound=msgspec.Struct)

# Where JSON begins in a line that is not a field of the event stream.
_JSON: Final = re.compile(rb'\{\s*"|\[\s*\{')

# What may precede that JSON: nothing, a field without its colon, or llama.cpp's former field.
_FIELDS: Final = (b"", b"data", b"error")

# Names of the objects in which some gateways wrap events and answers.
_WRAPPERS: Final = ("data", "response", "result", "body")


class JsonInterpreter(Interpreter, Generic[T]):
    """Decodes events into bodies, which the dialect's subclass interprets.

    An event that is blank or contains no JSON is skipped. So is a line that is no field of an event
    stream, unless it contains JSON: that is usually an error, in some streams every event. A body
    that the dialect does not recognize may be an error in another dialect's shape.
    """

    def __init__(self, out: Assembler, decoder: msgspec.json.Decoder[T]) -> None:
        super().__init__(out)
        self._decode = decoder.decode
        self._kind: type[T] = decoder.type
        self._spread: list[bytes] = []  # the lines so far of an object that is spread over several

    @abstractmethod
    def interpret(self, body: T) -> bool:
        """Read one body; returns False if it contains nothing of this dialect.

        Raises ProviderError if it is an error.
        """

    @abstractmethod
    def is_recognized(self, body: T) -> bool:
        """Whether a body in one piece is an answer or an error, and not something else."""

    def event(self, event: Event) -> bool:
        """Read one event; returns True if `is_end_word` says that it ends the stream."""
        try:
            body = self._decode(event.data)
        except (ValueError, RecursionError):
            if self.is_end_word(event.data):
                return True
            self._read(event.data, event.type)
        else:
            if event.type == "error":
                self._interpret_error_event(body, event.data)
            elif not self.interpret(body):
                self._interpret_unknown(event.data, event.type)
        return False

    def is_end_word(self, data: bytes) -> bool:
        """Whether data that is not JSON says that nothing follows."""
        return False

    def json_body(self, body: bytes) -> None:
        """Read an answer or an error in one piece, or several events of an answer in a list."""
        bodies = read(body, self._kind)
        if not any(map(self.is_recognized, bodies)):
            bodies = self._wrapped_in(body)
        if not any(map(self.is_recognized, bodies)):
            raise error_in_body(body) or BadResponse(reason="no_answer")
        for each in bodies:
            self.interpret(each)

    def stray_line(self, line: bytes) -> bool:
        """Read a line that contains JSON or the end word, or one line of an object spread over
        several.

        The latter is how a pretty-printed answer or error in one piece arrives if comments precede
        it.
        """
        if self.is_end_word(line):
            return True
        if self._spread or line.strip() in (b"{", b"["):
            self._spread.append(line)
            if line[:1] in (b"}", b"]"):
                body, self._spread = b"\n".join(self._spread), []
                self.json_body(body)
            return False
        if (found := _JSON.search(line)) is None:
            return super().stray_line(line)
        try:
            self._read(line[found.start() :], "message")
        except ProviderError:
            if line[: found.start()].strip(b" \t:=").lower() in _FIELDS:
                raise
            super().stray_line(line)  # text that quotes JSON, such as a report
        return False

    def _read(self, data: bytes, event_type: str) -> None:
        """Read the bodies in data that could not be decoded strictly."""
        bodies = read(data, self._kind)
        understood = [self.interpret(body) for body in bodies]
        if not any(understood) and data.strip():
            self._interpret_unknown(data, event_type)
            if not bodies:
                self._out.note_quirk("no_json")

    def _interpret_error_event(self, body: T, data: bytes) -> None:
        """Read an event of type `error`, which is an error unless it is more of the answer."""
        before = self._out.content_count, self._out.finish_mark
        self.interpret(body)
        if before == (self._out.content_count, self._out.finish_mark):
            self._interpret_unknown(data, "error")

    def _interpret_unknown(self, data: bytes, event_type: str) -> None:
        """Read a body that the dialect does not recognize: a wrapped one, or an error, which is
        raised.

        After the finish mark an error is only logged.
        """
        understood = [self.interpret(body) for body in self._wrapped_in(data)]
        if any(understood):
            return
        error = error_in_body(data)
        if error is None and event_type == "error":
            error = Refused(reason="in_the_answer")
        if error is None:
            return
        if not self._out.finished:
            raise error
        self._out.note_quirk("unreadable_end", error.reason)

    def _wrapped_in(self, data: bytes) -> list[T]:
        """Return the bodies that are one level deeper than they should be, except errors, which
        `error_in_body` finds.
        """
        inner = [value.get(name) for value in values(data) for name in _WRAPPERS]
        answers = (each for each in inner if isinstance(each, dict) and "error" not in each)
        found = (object_of(each, self._kind) for each in answers)
        return [body for body in found if body is not None]
