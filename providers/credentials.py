"""Short-lived tokens, for dialects that need one: fetched, kept, renewed, one fetch at a time."""

import asyncio

from providers.client import UpstreamClient
from providers.dialect import Credential, Dialect
from providers.errors import FirstTokenTimeout
from providers.route import Route

# Renewed this long before it runs out, so that no request leaves with a token that dies on the way.
_SPARE_SECONDS = 24 * 60 * 60.0


class Credentials:
    """The token of one provider. Whoever needs it while it is fetched waits for that fetch."""

    def __init__(self, dialect: Dialect, client: UpstreamClient, route: Route) -> None:
        self._dialect = dialect
        self._client = client
        self._route = route
        self._kept: Credential | None = None
        self._good_until = 0.0
        self._fetch: asyncio.Task[Credential] | None = None

    async def current(self) -> str:
        """A token that is good for now. Raises ProviderError."""
        if self._kept is not None and asyncio.get_running_loop().time() < self._good_until:
            return self._kept.token
        return await self._fetched()

    async def renewed(self, refused: str | None) -> str:
        """A token other than `refused`, which the provider did not take. Raises ProviderError."""
        if self._kept is not None and self._kept.token == refused:
            self._kept = None
        return await self.current()

    async def close(self) -> None:
        """End a fetch under way."""
        if self._fetch is not None:
            self._fetch.cancel()
            await asyncio.wait({self._fetch})

    async def _fetched(self) -> str:
        if self._fetch is None or self._fetch.done():
            self._fetch = asyncio.create_task(self._request())
            self._fetch.add_done_callback(_retrieved)
        # One who leaves must not end the fetch for the others: it is short and has its own end.
        return (await asyncio.shield(self._fetch)).token

    async def _request(self) -> Credential:
        loop = asyncio.get_running_loop()
        timeouts = self._route.timeouts
        asked_at = loop.time()
        try:
            async with asyncio.timeout(timeouts.connect + timeouts.first_token):
                response = await self._client.fetch(
                    self._route.request(self._dialect.credential_request()), raise_error=False
                )
        except TimeoutError as error:
            raise FirstTokenTimeout from error
        credential = self._dialect.credential(response.code, response.body)
        spare = min(_SPARE_SECONDS, credential.lifetime / 2)
        self._good_until = asked_at + credential.lifetime - spare
        self._kept = credential
        return credential


def _retrieved(fetch: asyncio.Task[Credential]) -> None:
    """Nobody may be left to see a failed fetch; that is no bug."""
    if not fetch.cancelled():
        fetch.exception()
