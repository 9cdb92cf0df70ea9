"""What authenticates this server at a provider: a fixed key, or a short-lived token."""

import asyncio
from abc import ABC, abstractmethod

from http_client.client import HttpClient
from http_client.errors import HttpClientError
from providers.dialect import AccessToken, AccessTokenDialect
from providers.errors import FirstTokenTimeout
from providers.transport import Transport
from providers.transport_errors import provider_error

# Seconds before a token's expiry at which it is renewed, so that it does not expire while a request
# is on its way.
_SPARE_SECONDS = 24 * 60 * 60.0


class Credentials(ABC):
    """The credentials of one provider, for each of its requests."""

    @abstractmethod
    async def current(self) -> str | None:
        """Return the credential for the next request; None if the provider needs none.

        Raises ProviderError.
        """

    async def renewed(self, refused: str | None) -> str | None:
        """Return a new credential in place of `refused`, which has expired.

        Raises ProviderError.
        """
        return await self.current()

    @abstractmethod
    async def close(self) -> None:
        """Cancel what runs in the background."""


class FixedCredential(Credentials):
    """A fixed key, or a token that is renewed outside of this server."""

    def __init__(self, key: str | None) -> None:
        self._key = key

    async def current(self) -> str | None:
        return self._key

    async def close(self) -> None:
        """Do nothing: a fixed credential has no background task."""


class FetchedToken(Credentials):
    """A token that is fetched with a key pair, cached and renewed, by one fetch at a time.

    Requests that need the token while it is being fetched wait for the same fetch.
    """

    def __init__(
        self,
        dialect: AccessTokenDialect,
        api_key: str,
        secret_key: str,
        client: HttpClient,
        transport: Transport,
    ) -> None:
        self._dialect = dialect
        self._pair = (api_key, secret_key)
        self._client = client
        self._transport = transport
        self._kept: AccessToken | None = None
        self._good_until = 0.0
        self._fetch: asyncio.Task[AccessToken] | None = None

    async def current(self) -> str:
        if self._kept is not None and asyncio.get_running_loop().time() < self._good_until:
            return self._kept.text
        return await self._fetched()

    async def renewed(self, refused: str | None) -> str:
        if self._kept is not None and self._kept.text == refused:
            self._kept = None
        return await self.current()

    async def close(self) -> None:
        if self._fetch is not None:
            self._fetch.cancel()
            await asyncio.wait({self._fetch})

    async def _fetched(self) -> str:
        if self._fetch is None or self._fetch.done():
            self._fetch = asyncio.create_task(self._request())
            self._fetch.add_done_callback(_retrieved)
        # A request that is cancelled must not end the fetch for the others: it is short and has a
        # timeout of its own.
        return (await asyncio.shield(self._fetch)).text

    async def _request(self) -> AccessToken:
        loop = asyncio.get_running_loop()
        timeouts = self._transport.timeouts
        asked_at = loop.time()
        try:
            async with asyncio.timeout(timeouts.connect + timeouts.first_token):
                response = await self._client.fetch(
                    self._transport.request(self._dialect.access_token_request(*self._pair)),
                    raise_error=False,
                )
        except TimeoutError as error:
            raise FirstTokenTimeout from error
        except HttpClientError as error:
            raise provider_error(error) from error
        token = self._dialect.token(response.code, response.body)
        spare = min(_SPARE_SECONDS, token.lifetime / 2)
        self._good_until = asked_at + token.lifetime - spare
        self._kept = token
        return token


def _retrieved(fetch: asyncio.Task[AccessToken]) -> None:
    """Retrieve the error of a failed fetch for which no request waits any more, so that asyncio
    does not log it.
    """
    if not fetch.cancelled():
        fetch.exception()
