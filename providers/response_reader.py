"""Reads one response: takes its bytes and calls a sink.

It decides whether they are events, one JSON body or an error, and owns no socket. How events are
framed is for the interpreter to say: see `dialect.py`.

HTTP 200 does not mean success, and no content type is reliable: the response to a streaming request
may be a JSON error, or a page of HTML from some proxy, and a JSON answer may be labelled as an
event stream. So the status decides first, and then the first byte that is not blank.

An answer is finished when the provider's finish mark was read, and never because the bytes end.
Reading goes on after a mark: more text withdraws it, and unreadable bytes after it do no harm.
"""

from collections.abc import Mapping
from typing import Final

from model.messages import FinishReason
from model.usage import Usage
from providers.assembler import Assembler
from providers.dialect import Dialect
from providers.errors import BadResponse, ProviderError, StreamBroken
from providers.ndjson import LineParser
from providers.quirks import QuirkLog
from providers.sink import Sink
from providers.sse import MAX_EVENT_BYTES, Event, StrayLine

# Bytes. An answer in one piece of JSON can be as long as the longest event.
MAX_BODY_BYTES: Final = MAX_EVENT_BYTES
# Bytes of an error that are kept. Errors are small, but some repeat the whole question before their
# code.
MAX_ERROR_BYTES: Final = 1024 * 1024

_BLANK: Final = b" \t\r\n\xef\xbb\xbf"  # a BOM, or a part of it, does not begin the body

# How a stream may begin, whatever its content type: a page of HTML labelled as one begins with a
# tag.
_FIELDS: Final = (b"data", b"event", b"id", b"retry", b":")
# A body that began as JSON and has one of these is no single value: it is lines, or events follow.
# Where the framing is lines of JSON, its first line decides instead.
_LINES: Final = (b"}\n{", b"}\r\n{", b"}\n\n{", b"}\r\n\r\n{", b"\ndata:")
# So many bytes tell what a body is: `event` and its colon, the longest of the fields. No mark in
# _LINES is longer, so that looking back as far finds a mark that two chunks cut.
_SNIFFED_BYTES: Final = 6


class ResponseReader:
    """Reads one response: `feed` takes its body as it arrives, and `end` its end.

    What is read is passed to `sink`; an exception of `sink` is raised unchanged.
    """

    def __init__(
        self,
        dialect: Dialect,
        status: int,
        content_type: str,
        headers: Mapping[str, str],
        sink: Sink,
        quirks: QuirkLog,
        *,
        model: str,
        max_body_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        self.events = 0  # data events so far: they are progress, and keep-alives are not
        self.done = False  # nothing follows: the rest of the body is ignored
        self._dialect = dialect
        self._status = status
        self._accepted = 200 <= status < 300
        self._headers = headers
        self._is_page = content_type.partition(";")[0].strip().lower() == "text/html"
        self._max_body_bytes = max_body_bytes
        self._out = Assembler(sink, quirks)
        self._interpreter = dialect.interpreter(self._out, model)
        self._framing = self._interpreter.framing()
        self._streaming = False  # whether the body is known to consist of events
        self._is_json = False
        self._has_end = False  # whether the provider's end word came
        self._body = bytearray()  # all bytes that are not read as events
        self._head = b""  # its first bytes, without leading blanks

    @property
    def has_content(self) -> bool:
        """Whether anything of an answer came."""
        return self._out.content_count > 0

    @property
    def progress_count(self) -> int:
        """How many pieces of the answer, finish marks and usage figures came."""
        return self._out.content_count + self._out.metadata_count

    @property
    def finished(self) -> bool:
        """Whether the provider has ended the answer with a mark of success."""
        return self._out.finished

    @property
    def reopened(self) -> bool:
        """Whether more came after a finish mark, so that the next mark may not be the last."""
        return self._out.reopened

    @property
    def counted(self) -> Usage | None:
        """The provider's figures, as far as they came."""
        return self._out.counted

    def release(self) -> None:
        """Pass on what is held back, since nothing more will come."""
        self._interpreter.release()

    def feed(self, chunk: bytes) -> None:
        """Pass on what `chunk` adds. What precedes an error is passed on before it is raised.

        Raises ProviderError.
        """
        if not self._streaming:
            self._begin(chunk)
            return
        if self.done:
            return
        try:
            found = self._framing.feed(chunk)
        except BadResponse as error:  # no later event can be recognized
            self._on_unreadable(error)
            self.done = True
            return
        count = self._interpreter.plain_texts(found)
        self.events += count
        for item in found[count:]:
            self._read(item)
            if self.done:
                return

    def end(self, broke: ProviderError | None = None) -> None:
        """The body has ended, properly unless `broke` says how it was cut off: pass on what was
        held back.

        Returns if the answer is finished. Else it raises the provider's error, `broke`, or
        StreamBroken.
        """
        if not self._accepted:
            raise self._dialect.error(self._status, bytes(self._body), self._headers)
        try:
            self._read_rest()
        except BadResponse as error:  # the last piece was cut off
            if broke is not None and error.reason == "undecodable":
                raise broke from error
            raise
        has_word = self._interpreter.has_end_word and not self._is_json
        self._finish(proper=self._has_end if has_word else broke is None)
        self._interpreter.release()
        mark = self._out.finish_mark
        if mark is None:
            raise broke or StreamBroken(reason="no_finish_mark")
        if not self._out.finished:
            raise self._dialect.unfinished(mark)

    def _read(self, item: Event | StrayLine) -> None:
        try:
            if type(item) is Event:
                self.events += 1
                if self._interpreter.event(item):
                    self._has_end = True
                    self._on_end_word()
            else:
                assert isinstance(item, StrayLine)
                self.events += item.line.lstrip().startswith(b"{")
                if self._interpreter.stray_line(item.line):
                    self._on_end_word()
        except BadResponse as error:
            self._on_unreadable(error)
        except ProviderError:
            self._interpreter.release()
            raise

    def _on_end_word(self) -> None:
        """The end word came: stop reading, unless there is no finish mark yet.

        Some servers send the mark after the end word. In a pipeline each stage may send both, so
        that text may follow after the stage that only reasons.
        """
        self._has_end = True
        self._out.confirm()
        self._interpreter.release()
        mark = self._out.finish_mark
        has_more = mark is not None and mark.reason is FinishReason.STOP and self._out.only_thought
        self.done = mark is not None and not has_more

    def _read_rest(self) -> None:
        """Read what was held until the body ended."""
        if self._is_json:
            self._read_json_body()
        elif not self.done:
            if self._body and not self._streaming:
                self._stream()
            for item in self._framing.end():
                self._read(item)

    def _on_unreadable(self, error: BadResponse) -> None:
        """Raise `error`, unless the answer was finished before: then it is only logged."""
        if not self._out.finished:
            self._interpreter.release()
            raise error
        self._out.note_quirk("unreadable_end", error.reason)

    def _finish(self, *, proper: bool) -> None:
        try:
            self._interpreter.end(proper=proper)
        except ProviderError:
            self._interpreter.release()
            raise

    def _read_json_body(self) -> None:
        try:
            self._interpreter.json_body(bytes(self._body).lstrip(_BLANK))
        except ProviderError:
            self._interpreter.release()
            raise

    def _begin(self, chunk: bytes) -> None:
        """Keep bytes of an error, of an answer in one piece, or of a body whose kind is not
        known yet.
        """
        if not self._accepted:
            self._body += chunk[: MAX_ERROR_BYTES - len(self._body)]
            return
        looked_at = max(0, len(self._body) - _SNIFFED_BYTES)
        self._body += chunk
        if len(self._body) > self._max_body_bytes:
            raise BadResponse(reason="body_too_long")
        if not self._is_json and not self._is_known(chunk):
            return
        if not self._is_json or self._has_more_than_one_value(looked_at):
            self._stream()

    def _has_more_than_one_value(self, looked_at: int) -> bool:
        """Whether a body that began as JSON is a stream."""
        if self._interpreter.framing is not LineParser:
            return any(self._body.find(mark, looked_at) >= 0 for mark in _LINES)
        begin = self._body.find(self._head[:1])
        end = self._body.find(b"\n", begin)
        # A value that is spread over several lines is not whole on the first one.
        return end >= 0 and self._body[begin:end].rstrip().endswith((b"}", b"]"))

    def _is_known(self, chunk: bytes) -> bool:
        """Whether the kind of the body is known by now. Raises BadResponse for a page of HTML."""
        self._head += (chunk if self._head else chunk.lstrip(_BLANK))[:_SNIFFED_BYTES]
        head = self._head
        self._is_json = head.startswith((b"{", b"["))
        if head.startswith(b"<"):
            raise BadResponse(reason="html")
        if not self._is_page or self._is_json:
            return bool(head)
        if len(head) >= _SNIFFED_BYTES and not head.lower().startswith(_FIELDS):
            raise BadResponse(reason="html")
        return len(head) >= _SNIFFED_BYTES

    def _stream(self) -> None:
        self._streaming, self._is_json = True, False
        chunk = bytes(self._body)
        self._body.clear()
        self.feed(chunk)
