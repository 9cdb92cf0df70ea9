"""A configured provider: one answer from its request to its truthful end.

Joins a dialect, which is pure, to the client, which owns sockets, under four named timeouts. An
answer is a plain awaitable: cancelling it aborts the upstream request at once, whatever it is
doing, and that is the only way it is ever aborted.
"""

import asyncio
from collections.abc import Awaitable, Callable

from tornado.httputil import HTTPHeaders

from http_client.client import ClientRequest, HttpClient
from http_client.errors import ConnectionLost, HttpClientError
from model.messages import Attempt, now
from model.prompt import Prompt
from providers.credentials import Credentials
from providers.dialect import Dialect
from providers.errors import (
    AnswerTimeout,
    ConnectTimeout,
    CredentialExpired,
    FirstTokenTimeout,
    IdleTimeout,
    ProviderError,
    StreamBroken,
)
from providers.http_errors import provider_error
from providers.oddities import Oddities
from providers.reading import Reading
from providers.route import Route, Timeouts
from providers.sink import Sink

# Usage, `[DONE]` and the body's end follow the finish mark within milliseconds, and so does text,
# where marks are put on every event. An upstream that keeps the connection open behind its last
# event has still finished its answer.
_LINGER_SECONDS = 2.0


class Provider:
    """One of the configured providers, shared by all answers.

    `takes` and `gives` are its abilities, as `presets.py` has them.
    """

    def __init__(
        self,
        name: str,
        dialect: Dialect,
        credentials: Credentials,
        *,
        client: HttpClient,
        route: Route,
        models: tuple[str, ...],
        takes: frozenset[str] = frozenset(),
        gives: frozenset[str] = frozenset(),
    ) -> None:
        self.name = name
        self.models = models
        self.takes = takes
        self.gives = gives
        self._dialect = dialect
        self._credentials = credentials
        self._client = client
        self._route = route
        self._oddities = Oddities(name)

    async def answer(
        self, prompt: Prompt, *, may_send: Awaitable[None], sent: Callable[[], None], sink: Sink
    ) -> None:
        """Ask, and hand the answer to `sink` as it arrives; return when the provider finished.

        Connecting begins at once; the request's bytes leave when `may_send` is done, and if it
        fails they never do; `sent` is called just before. What `sink` raises ends the request and
        is raised here. Raises ProviderError for every other ending.
        """
        began = asyncio.get_running_loop().time()

        async def attempt(credential: str | None) -> None:
            request = self._route.request(self._dialect.request(prompt, credential))
            request.may_send = may_send
            call = _Call(self._dialect, self._route.timeouts, began, sent, sink, self._oddities)
            target = f"{self.name}/{prompt.model}"
            try:
                await call.run(self._client, request, target=target)
            except ProviderError as error:
                error.hide(credential)  # who refuses a key may say which
                raise

        credential = await self._credentials.current()
        try:
            await attempt(credential)
        except CredentialExpired:  # refused before anything of an answer came: ask again, once
            renewed = await self._credentials.renewed(credential)
            if renewed == credential:
                raise
            await attempt(renewed)

    async def close(self) -> None:
        """End what goes on apart from answers."""
        await self._credentials.close()


class _Call:
    """One request and the reading of its response, watched by one timer.

    The timer is not moved for each token: when it goes off it looks whether its time has really
    come, and is set again for the rest if not.
    """

    def __init__(
        self,
        dialect: Dialect,
        timeouts: Timeouts,
        began: float,
        sent: Callable[[], None],
        sink: Sink,
        oddities: Oddities,
    ) -> None:
        self._dialect = dialect
        self._timeouts = timeouts
        self._began = began  # of the whole answer, by the loop's clock, as are all times here
        self._sent = sent
        self._sink = sink
        self._oddities = oddities
        self._loop = asyncio.get_running_loop()
        self._started_at = now()
        self._waits_since = self._loop.time()
        self._sent_at: float | None = None
        self._status: int | None = None
        self._grown = False  # something of an answer came
        self._finished = False  # ... and it is over, as far as is known
        self._progressed = 0.0
        self._reading: Reading | None = None
        self._events = 0  # of the reading, when it last progressed
        self._heard = 0  # likewise
        self._expired: ProviderError | None = None
        self._lingered = False

    async def run(self, client: HttpClient, request: ClientRequest, *, target: str) -> None:
        """Send, read, and return when the provider finished; raises ProviderError."""
        request.on_send = self._on_send
        request.on_head = self._on_head
        request.streaming_callback = self._on_body
        self._fetch = asyncio.ensure_future(client.fetch(request, raise_error=False))
        self._timer = self._loop.call_at(self._deadline(), self._look)
        code: str | None = None
        try:
            broke = await self._response()
            if self._reading is None:
                raise StreamBroken(reason="no_response")
            self._reading.end(broke)
        except ProviderError as error:
            code = error.code
            raise
        finally:
            self._timer.cancel()
            self._sink.tried(self._attempt(target, code))
            del self._fetch  # whose exception's frames hold us: nothing is left to the collector

    def _attempt(self, target: str, code: str | None) -> Attempt:
        return Attempt(
            target=target,
            started_at=self._started_at,
            ms=int(1000 * (self._loop.time() - self._waits_since)),
            code=code,
            http_status=self._status,
            usage=self._reading.counted if self._reading is not None else None,
        )

    async def _response(self) -> ProviderError | None:
        """Return when nothing more will come: how the body broke off, None after a proper end."""
        try:
            response = await self._fetch
            response.error = None  # of a status that is one: it holds the response, and that us
        except asyncio.CancelledError:
            if self._expired is not None:
                if self._reading is not None:
                    self._reading.release()
                raise self._expired from None
            if not self._lingered:
                raise
        except HttpClientError as error:
            if self._reading is None or not isinstance(error, ConnectionLost):
                raise provider_error(error) from error
            return provider_error(error)
        return None

    def _on_send(self) -> None:
        self._sent()
        self._sent_at = self._loop.time()
        self._rearm()

    def _on_head(self, status: int, headers: HTTPHeaders) -> None:
        self._status = status
        self._reading = Reading(
            self._dialect,
            status,
            headers.get("Content-Type", ""),
            headers,
            self._sink,
            self._oddities,
        )

    def _on_body(self, chunk: bytes) -> None:
        reading = self._reading
        assert reading is not None  # the client calls on_head before any body
        reading.feed(chunk)
        if reading.events != self._events:
            self._events = reading.events
            # Behind a finish mark events that say nothing prolong nothing.
            if not self._finished or reading.heard != self._heard:
                self._progressed = self._loop.time()
            self._heard = reading.heard
        if reading.grown is not self._grown or reading.finished is not self._finished:
            self._grown, self._finished = reading.grown, reading.finished
            self._rearm()

    def _deadline(self) -> float:
        timeouts = self._timeouts
        if self._finished and self._reading is not None:
            # Who has put a mark in the middle of a text may do so again.
            linger = timeouts.idle if self._reading.reopened else _LINGER_SECONDS
            step = self._progressed + linger
        elif self._grown:
            step = self._progressed + timeouts.idle
        elif self._sent_at is not None:
            step = self._sent_at + timeouts.first_token
        else:  # in the queue for a connection, whose making the client bounds by itself
            step = self._waits_since + timeouts.first_token + timeouts.connect
        return min(step, self._began + timeouts.answer)

    def _rearm(self) -> None:
        self._timer.cancel()
        self._timer = self._loop.call_at(self._deadline(), self._look)

    def _look(self) -> None:
        moment = self._loop.time()
        if moment < self._deadline():
            self._rearm()
        elif self._finished:
            self._lingered = True
            self._fetch.cancel()
        else:
            self._expired = self._expiry(moment)
            self._fetch.cancel()

    def _expiry(self, moment: float) -> ProviderError:
        if moment >= self._began + self._timeouts.answer:
            return AnswerTimeout()
        if self._sent_at is None:
            return ConnectTimeout(reason="no_connection_was_free")
        return IdleTimeout() if self._grown else FirstTokenTimeout()
