"""A configured provider: one answer from its request to its truthful end.

Joins a dialect, which is pure, to the client, which owns sockets, under four named timeouts. An
answer is a plain awaitable: cancelling it aborts the upstream request at once, whatever it is
doing, and that is the only way it is ever aborted.
"""

import asyncio
from collections.abc import Awaitable, Callable

from tornado.httputil import HTTPHeaders

from providers.client import UpstreamClient, UpstreamRequest
from providers.credentials import Credentials
from providers.dialect import Delta, Dialect, Prompt, Usage
from providers.errors import (
    AnswerTimeout,
    ConnectTimeout,
    CredentialExpired,
    FirstTokenTimeout,
    IdleTimeout,
    ProviderError,
    StreamBroken,
)
from providers.reading import Reading
from providers.route import Route, Timeouts

# Usage, `[DONE]` and the body's end follow the finish mark within milliseconds. An upstream that
# keeps the connection open behind it has still finished its answer.
_LINGER_SECONDS = 2.0


class Provider:
    """One of the configured providers, shared by all answers."""

    def __init__(
        self,
        name: str,
        dialect: Dialect,
        *,
        client: UpstreamClient,
        route: Route,
        models: tuple[str, ...],
    ) -> None:
        self.name = name
        self.models = models
        self._dialect = dialect
        self._client = client
        self._route = route
        self._credentials = (
            Credentials(dialect, client, route) if dialect.needs_credential else None
        )

    async def answer(
        self,
        prompt: Prompt,
        *,
        cleared: Awaitable[None],
        sent: Callable[[], None],
        take: Callable[[Delta], None],
    ) -> None:
        """Ask, and hand every delta to `take` as it arrives; return when the provider finished.

        Connecting begins at once; the request's bytes leave when `cleared` is done, and if it
        fails they never do; `sent` is called just before. `take` is called from the socket's
        callback and must not block; what it raises ends the request and is raised here. Raises
        ProviderError for every other ending.
        """
        began = asyncio.get_running_loop().time()

        async def attempt(credential: str | None) -> None:
            request = self._route.request(self._dialect.request(prompt, credential))
            request.cleared = cleared
            one = _Attempt(self._dialect, self._route.timeouts, began, sent, take)
            await one.run(self._client, request)

        if self._credentials is None:
            await attempt(None)
            return
        credential = await self._credentials.current()
        try:
            await attempt(credential)
        except CredentialExpired:  # refused before anything of an answer came: ask again, once
            await attempt(await self._credentials.renewed(credential))

    async def close(self) -> None:
        """End what goes on apart from answers."""
        if self._credentials is not None:
            await self._credentials.close()


class _Attempt:
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
        take: Callable[[Delta], None],
    ) -> None:
        self._dialect = dialect
        self._timeouts = timeouts
        self._began = began  # of the whole answer, by the loop's clock, as are all times here
        self._sent = sent
        self._take = take
        self._loop = asyncio.get_running_loop()
        self._waits_since = self._loop.time()
        self._sent_at: float | None = None
        self._took_any = False
        self._progressed = 0.0
        self._reading: Reading | None = None
        self._events = 0  # of the reading, when it last progressed
        self._finished_at: float | None = None
        self._said: ProviderError | None = None
        self._expired: ProviderError | None = None
        self._lingered = False

    async def run(self, client: UpstreamClient, request: UpstreamRequest) -> None:
        """Send, read, and return when the provider finished; raises ProviderError."""
        request.on_send = self._on_send
        request.on_head = self._on_head
        request.streaming_callback = self._on_body
        self._fetch = asyncio.ensure_future(client.fetch(request, raise_error=False))
        self._timer = self._loop.call_at(self._deadline(), self._look)
        try:
            await self._response()
            if self._reading is None:
                raise StreamBroken
            for delta in self._reading.end():
                self._hand_over(delta)
        finally:
            self._timer.cancel()
            del self._fetch  # whose exception's frames hold us: nothing is left to the collector

    async def _response(self) -> None:
        """Return when nothing more will come; whether that was all of it, the reading knows."""
        try:
            await self._fetch
        except asyncio.CancelledError:
            if self._expired is not None:
                raise self._expired from None
            if not self._lingered:
                raise
        except StreamBroken:
            if self._reading is None or self._said is not None:
                raise

    def _on_send(self) -> None:
        self._sent()
        self._sent_at = self._loop.time()
        self._rearm()

    def _on_head(self, status: int, headers: HTTPHeaders) -> None:
        self._reading = Reading(self._dialect, status, headers.get("Content-Type", ""), headers)

    def _on_body(self, chunk: bytes) -> None:
        reading = self._reading
        assert reading is not None  # the client calls on_head before any body
        try:
            for delta in reading.feed(chunk):
                self._hand_over(delta)
        except ProviderError as error:
            self._said = error
            raise
        if reading.events != self._events:
            self._events = reading.events
            self._progressed = self._loop.time()
        if reading.finished and self._finished_at is None:
            self._finished_at = self._loop.time()
            self._rearm()

    def _hand_over(self, delta: Delta) -> None:
        self._take(delta)
        if not self._took_any and not isinstance(delta, Usage):
            self._took_any = True
            self._progressed = self._loop.time()
            self._rearm()

    def _deadline(self) -> float:
        if self._finished_at is not None:
            return self._finished_at + _LINGER_SECONDS
        timeouts = self._timeouts
        if self._took_any:
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
        now = self._loop.time()
        if now < self._deadline():
            self._rearm()
        elif self._finished_at is not None:
            self._lingered = True
            self._fetch.cancel()
        else:
            self._expired = self._expiry(now)
            self._fetch.cancel()

    def _expiry(self, now: float) -> ProviderError:
        if now >= self._began + self._timeouts.answer:
            return AnswerTimeout()
        if self._sent_at is None:
            return ConnectTimeout()
        return IdleTimeout() if self._took_any else FirstTokenTimeout()
