"""One response being read: bytes in, deltas out. It owns the parser and no socket.

HTTP 200 is not success, and no content type is to be trusted: a stream may be asked for and a JSON
error come, or a page of HTML from some proxy; a JSON answer may be labelled as an event stream. So
the status decides first and the first byte that is not blank decides second.

What comes out can be appended to an answer as it is: Text, Refusal, Reasoning, ToolCall, Usage,
Finish. Halves of characters were joined, cumulative texts cut to what is new, tool calls put in
order. An answer is finished when the provider's finish mark was read, never because bytes ended.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from providers.dialect import (
    Delta,
    Dialect,
    Finish,
    FinishReason,
    Reasoning,
    ReasoningSoFar,
    Text,
    TextSoFar,
    ToolCall,
    Usage,
)
from providers.errors import BadResponse, ProviderError, StreamBroken
from providers.payload import common_prefix, is_torn, mend
from providers.sse import MAX_EVENT_BYTES, EventParser, StrayLine
from providers.tool_calls import ToolCalls

# An answer in one piece of JSON can be as long as the longest event.
MAX_BODY_BYTES: Final = MAX_EVENT_BYTES
# An error says what it has to say in its first kilobytes. The rest is read over.
MAX_ERROR_BYTES: Final = 64 * 1024
# Text that waits behind an unfinished tool call is nowhere else counted.
MAX_WAITING_CHARS: Final = 1_000_000

_BLANK: Final = b" \t\r\n\xef\xbb\xbf"  # a BOM, whole or in part, is not yet a body

Written = Text | Reasoning  # Refusal is a Text


class Reading:
    """The state of one response. Feed it the body as it comes, then say that it ended."""

    def __init__(
        self,
        dialect: Dialect,
        status: int,
        content_type: str,
        headers: Mapping[str, str],
        *,
        max_body_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        self.events = 0  # data events so far: the sign of progress, which a keep-alive is not
        self.done = False  # the stream said that nothing follows
        self._dialect = dialect
        self._status = status
        self._headers = headers
        self._is_page = content_type.partition(";")[0].strip().lower() == "text/html"
        self._max_body_bytes = max_body_bytes
        self._parser = EventParser()
        self._streaming = False  # the body is known to be events
        self._is_json = False
        self._body = bytearray()  # all that is not read as events
        self._finish: Finish | None = None
        self._plain = True  # nothing is held back: a whole text may pass at once
        self._halves: dict[type[Written], str] = {}
        self._so_far: dict[type[Written], str] = {}
        self._calls: ToolCalls | None = None
        self._waiting: list[Written] = []  # behind an open tool call
        self._waiting_chars = 0

    @property
    def finished(self) -> bool:
        """Whether the provider said that the answer is over, and did not mean broken."""
        return self._finish is not None and self._finish.reason is not FinishReason.ERROR

    @property
    def finish_word(self) -> str | None:
        """The last finish mark in the provider's own spelling."""
        return self._finish.word if self._finish is not None else None

    def feed(self, chunk: bytes) -> Iterator[Delta]:
        """What `chunk` adds. Deltas that stood before an error come before it is raised.

        Raises ProviderError.
        """
        if not self._streaming:
            yield from self._begin(chunk)
            return
        for item in self._parser.feed(chunk):
            if self.done:
                return
            if isinstance(item, StrayLine):
                yield from self._heard(self._dialect.stray_line, item.line)
                continue
            self.events += 1
            if self._dialect.ends_stream(item):
                self.done = True
                return
            try:
                for delta in self._dialect.deltas(item):
                    # The hot path: a whole text, nothing held back. `_pass` would say the same.
                    if (
                        isinstance(delta, (Text, Reasoning))
                        and self._plain
                        and not is_torn(delta.text)
                    ):
                        if delta.text:
                            yield delta
                    elif isinstance(delta, Usage):  # some send it with every event
                        yield delta
                    else:
                        yield from self._pass(delta)
            except ProviderError:
                yield from self._release()
                raise

    def end(self) -> Iterator[Delta]:
        """The body ended, properly or not: what was held back. Returns if the answer is finished.

        Raises what the provider said instead of an answer, or StreamBroken.
        """
        if self._status != 200:
            raise self._dialect.error(self._status, bytes(self._body), self._headers)
        if self._is_json:
            yield from self._heard(self._dialect.whole, bytes(self._body).lstrip(_BLANK))
        for stray in () if self.done else self._parser.end():
            yield from self._heard(self._dialect.stray_line, stray.line)
        yield from self._release()
        if self._finish is None:
            raise StreamBroken
        if self._finish.reason is FinishReason.ERROR:
            raise self._dialect.unfinished(self._finish)

    def _begin(self, chunk: bytes) -> Iterator[Delta]:
        """Bytes of an error, of an answer in one piece, or before it is known what they are."""
        if self._status != 200:
            self._body += chunk[: MAX_ERROR_BYTES - len(self._body)]
            return
        self._body += chunk
        if len(self._body) > self._max_body_bytes:
            raise BadResponse(provider_code="body_too_long")
        if self._is_json:
            return
        first = chunk.lstrip(_BLANK)[:1]  # what came before was blank
        if first == b"<" or (first and self._is_page):
            raise BadResponse(provider_code="html")
        if first in (b"{", b"["):
            self._is_json = True
        elif first:
            self._streaming = True
            chunk = bytes(self._body)
            self._body.clear()
            yield from self.feed(chunk)

    def _heard(self, said: Callable[[bytes], Iterator[Delta]], data: bytes) -> Iterator[Delta]:
        """The deltas of `data`, an error after what was held back before it."""
        try:
            for delta in said(data):
                yield from self._pass(delta)
        except ProviderError:
            yield from self._release()
            raise

    def _pass(self, delta: Delta) -> Iterator[Delta]:
        """`delta` as it can be appended to the answer now."""
        match delta:
            case Usage():
                yield delta
            case Text() | Reasoning():
                yield from self._written(type(delta), delta.text)
            case TextSoFar():
                yield from self._written(Text, self._new(Text, delta.text))
            case ReasoningSoFar():
                yield from self._written(Reasoning, self._new(Reasoning, delta.text))
            case ToolCall():
                if self._calls is None:
                    self._calls = ToolCalls()
                    self._plain = False
                yield from self._calls.add(delta)
                yield from self._no_longer_waiting()
            case Finish():
                yield from self._release()
                self._finish = delta
                yield delta

    def _written(self, kind: type[Written], text: str) -> Iterator[Delta]:
        text = self._halves.pop(kind, "") + text
        if is_torn(text):
            text, half = mend(text)
            if half:
                self._halves[kind] = half
        self._plain = self._calls is None and not self._halves
        if not text:
            return
        if self._calls is not None and self._calls.busy:
            self._waiting.append(kind(text))
            self._waiting_chars += len(text)
            if self._waiting_chars > MAX_WAITING_CHARS:
                raise BadResponse(provider_code="tool_calls_too_long")
            return
        if self._calls is not None:
            self._calls.give_way()
        yield kind(text)

    def _new(self, kind: type[Written], text: str) -> str:
        """What a cumulative text adds. A character that is cut at its end comes again, whole."""
        if is_torn(text):
            text, _ = mend(text)
        known = self._so_far.get(kind, "")
        if known.startswith(text):  # nothing, or for once less than before
            return ""
        self._so_far[kind] = text
        if text.startswith(known):
            return text[len(known) :]
        return text[common_prefix(known, text) :]

    def _no_longer_waiting(self) -> Iterator[Delta]:
        if self._waiting and self._calls is not None and not self._calls.busy:
            self._calls.give_way()
            yield from self._waiting
            self._waiting = []
            self._waiting_chars = 0

    def _release(self) -> Iterator[Delta]:
        """All that is held back: nothing will come that could complete it."""
        if self._calls is not None:
            yield from self._calls.close()
            yield from self._no_longer_waiting()
        for kind in self._halves:
            yield kind("\ufffd")
        self._halves = {}
        self._plain = self._calls is None
