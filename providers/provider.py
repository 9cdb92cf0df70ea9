"""A configured provider: its dialect, its credentials and the way to it.

An answer is a plain awaitable. Cancelling it aborts the upstream request at once, whatever it is
doing, and that is the only way in which it is ever aborted. `call.py` is one request.
"""

import asyncio
from collections.abc import Awaitable, Callable

from http_client.client import HttpClient
from model.prompt import Prompt
from providers.call import ProviderCall
from providers.credentials import Credentials
from providers.dialect import Dialect
from providers.errors import CredentialExpired, ProviderError
from providers.quirks import QuirkLog
from providers.sink import Sink
from providers.transport import Transport


class Provider:
    """One of the configured providers, shared by all answers.

    `input_kinds` and `output_kinds` are the kinds of blocks that it can be asked with and that its
    answers may bring, beyond those of every provider (`presets.py`).
    """

    def __init__(
        self,
        name: str,
        dialect: Dialect,
        credentials: Credentials,
        *,
        client: HttpClient,
        transport: Transport,
        models: tuple[str, ...],
        input_kinds: frozenset[str] = frozenset(),
        output_kinds: frozenset[str] = frozenset(),
    ) -> None:
        self.name = name
        self.models = models
        self.input_kinds = input_kinds
        self.output_kinds = output_kinds
        self._dialect = dialect
        self._credentials = credentials
        self._client = client
        self._transport = transport
        self._quirks = QuirkLog(name)

    async def answer(
        self, prompt: Prompt, *, may_send: Awaitable[None], on_sent: Callable[[], None], sink: Sink
    ) -> None:
        """Ask, and hand the answer to `sink` as it arrives; return when the provider finished.

        Connecting begins at once; the request's bytes leave when `may_send` is done, and if it
        fails they never do; `on_sent` is called just before. What `sink` raises ends the request
        and is raised here. Raises ProviderError for every other ending.
        """
        began = asyncio.get_running_loop().time()

        async def attempt(credential: str | None) -> None:
            request = self._transport.request(self._dialect.request(prompt, credential))
            request.may_send = may_send
            call = ProviderCall(
                self._dialect, self._transport.timeouts, began, on_sent, sink, self._quirks
            )
            target = f"{self.name}/{prompt.model}"
            try:
                await call.run(self._client, request, target=target)
            except ProviderError as error:
                error.hide(credential)  # a provider that refuses a key may quote it
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
        """Cancel what runs in the background: the fetching of a token."""
        await self._credentials.close()
