"""One request to a provider and the reading of its response, under a single timer.

A call goes through the stages of `_Stage`. Each has a timeout of its own, and the timeout for the
whole answer applies to all of them together.
"""

import asyncio
from collections.abc import Callable
from enum import Enum, auto

from tornado.httputil import HTTPHeaders

from http_client.client import ClientRequest, HttpClient
from http_client.errors import ConnectionLost, HttpClientError
from model.messages import Attempt, now
from providers.dialect import Dialect
from providers.errors import (
    AnswerTimeout,
    ConnectTimeout,
    FirstTokenTimeout,
    IdleTimeout,
    ProviderError,
    StreamBroken,
)
from providers.quirks import QuirkLog
from providers.response_reader import ResponseReader
from providers.sink import Sink
from providers.transport import Timeouts
from providers.transport_errors import provider_error

# Seconds to go on reading after the finish mark. Usage, `[DONE]` and the end of the body follow it
# within milliseconds, and so does text, where marks are put on every event. If a provider keeps the
# connection open after its last event, its answer is finished all the same.
_LINGER_SECONDS = 2.0


class _Stage(Enum):
    """How far a call has come. The first four follow each other, the last two end it."""

    CONNECTING = auto()  # no byte was sent: waiting for a connection or for `may_send`
    WAITING = auto()  # the request was sent, and nothing of an answer came
    STREAMING = auto()  # a part of the answer came
    LINGERING = auto()  # the finish mark came; back to STREAMING if more of the answer follows
    FINISHED = auto()  # lingering is over, and the connection is closed
    TIMED_OUT = auto()  # a timeout has expired, and the connection is closed


# Compared for each chunk: looking a member up in its Enum is slow.
_WAITING, _STREAMING, _LINGERING = _Stage.WAITING, _Stage.STREAMING, _Stage.LINGERING


class ProviderCall:
    """One request and the reading of its response. Cancelling `run` aborts it.

    began: when the whole answer began. All times are the event loop's.
    on_sent: called when the first byte of the request is about to be sent.

    The timer is not moved for each token: when it fires, it checks whether the deadline of the
    stage has passed, and is set again for the rest if not.
    """

    def __init__(
        self,
        dialect: Dialect,
        timeouts: Timeouts,
        began: float,
        on_sent: Callable[[], None],
        sink: Sink,
        quirks: QuirkLog,
        *,
        model: str,
    ) -> None:
        self._dialect = dialect
        self._model = model
        self._timeouts = timeouts
        self._answer_began = began
        self._on_sent = on_sent
        self._sink = sink
        self._quirks = quirks
        self._loop = asyncio.get_running_loop()
        self._started_at = now()
        self._began = self._loop.time()
        self._stage = _Stage.CONNECTING
        self._since = self._began  # since when the stage's timeout counts
        self._status: int | None = None
        self._reader: ResponseReader | None = None  # None before the response's head
        self._events = 0  # of the response, at its last progress
        self._progress_count = 0  # likewise
        self._timeout: ProviderError | None = None  # set together with TIMED_OUT

    async def run(self, client: HttpClient, request: ClientRequest, *, target: str) -> None:
        """Send the request, read the response, and return when the answer is finished.

        Raises ProviderError.
        """
        request.on_send = self._on_send
        request.on_head = self._on_head
        request.streaming_callback = self._on_body
        self._fetch = asyncio.ensure_future(client.fetch(request, raise_error=False))
        self._timer = self._loop.call_at(self._deadline(), self._on_timer)
        code: str | None = None
        try:
            broken = await self._response()
            if self._reader is None:
                raise StreamBroken(reason="no_response")
            self._reader.end(broken)
        except ProviderError as error:
            code = error.code
            raise
        finally:
            self._timer.cancel()
            self._sink.deliver()  # what was known at the end only
            self._sink.attempt_ended(self._attempt(target, code))
            del self._fetch  # whose exception's frames hold us: nothing is left to the collector

    def _attempt(self, target: str, code: str | None) -> Attempt:
        return Attempt(
            target=target,
            started_at=self._started_at,
            ms=int(1000 * (self._loop.time() - self._began)),
            code=code,
            http_status=self._status,
            usage=self._reader.counted if self._reader is not None else None,
        )

    async def _response(self) -> ProviderError | None:
        """Wait until nothing more will come.

        Returns the error that cut the body off; None after a proper end.
        """
        try:
            response = await self._fetch
            response.error = None  # of a status that is one: it holds the response, and that us
        except asyncio.CancelledError:
            if self._timeout is not None:
                if self._reader is not None:
                    self._reader.release()
                raise self._timeout from None
            if self._stage is not _Stage.FINISHED:  # cancelled by the caller
                raise
        except HttpClientError as error:
            if self._reader is None or not isinstance(error, ConnectionLost):
                raise provider_error(error) from error
            return provider_error(error)
        return None

    def _on_send(self) -> None:
        self._on_sent()
        self._enter(_Stage.WAITING)

    def _on_head(self, status: int, headers: HTTPHeaders) -> None:
        self._status = status
        self._reader = ResponseReader(
            self._dialect,
            status,
            headers.get("Content-Type", ""),
            headers,
            self._sink,
            self._quirks,
            model=self._model,
        )

    def _on_body(self, chunk: bytes) -> None:
        reader = self._reader
        assert reader is not None  # the client calls on_head before it passes on any body
        try:
            reader.feed(chunk)
        finally:  # also what came before an error
            self._sink.deliver()
        if reader.finished:
            stage = _LINGERING
        else:
            stage = _STREAMING if reader.has_content else _WAITING
        if stage is not self._stage:
            self._events, self._progress_count = reader.events, reader.progress_count
            self._enter(stage)
        elif stage is _STREAMING:
            if reader.events != self._events:
                self._events = reader.events
                self._since = self._loop.time()
        elif stage is _LINGERING and reader.progress_count != self._progress_count:
            self._progress_count = reader.progress_count
            self._since = self._loop.time()

    def _enter(self, stage: _Stage) -> None:
        self._stage = stage
        self._since = self._loop.time()
        self._set_timer()

    def _deadline(self) -> float:
        """When the stage, or the whole answer, will have taken too long."""
        step = self._since + self._seconds_allowed()
        return min(step, self._answer_began + self._timeouts.answer)

    def _seconds_allowed(self) -> float:
        """How many seconds the stage may last without progress."""
        timeouts = self._timeouts
        if self._stage is _Stage.CONNECTING:
            # Waiting for a connection; the client limits how long making one takes.
            return timeouts.first_token + timeouts.connect
        if self._stage is _Stage.WAITING:
            return timeouts.first_token
        if self._stage is _Stage.STREAMING:
            return timeouts.idle
        # A provider that has put a finish mark into the middle of a text may do so again.
        has_resumed = self._reader is not None and self._reader.reopened
        return timeouts.idle if has_resumed else _LINGER_SECONDS

    def _set_timer(self) -> None:
        self._timer.cancel()
        self._timer = self._loop.call_at(self._deadline(), self._on_timer)

    def _on_timer(self) -> None:
        moment = self._loop.time()
        if moment < self._deadline():
            self._set_timer()
            return
        if self._stage is _Stage.LINGERING:
            self._stage = _Stage.FINISHED
        else:
            self._timeout = self._timeout_error(moment)
            self._stage = _Stage.TIMED_OUT
        self._fetch.cancel()

    def _timeout_error(self, moment: float) -> ProviderError:
        if moment >= self._answer_began + self._timeouts.answer:
            return AnswerTimeout()
        if self._stage is _Stage.CONNECTING:
            return ConnectTimeout(reason="no_connection_was_free")
        return IdleTimeout() if self._stage is _Stage.STREAMING else FirstTokenTimeout()
