"""A configured provider: its dialect, its credentials and its transport.

Asking for an answer is a plain awaitable. Cancelling it aborts the upstream request at once, at
whichever stage, and nothing else aborts it. `call.py` is one request.
"""

import asyncio
from collections.abc import Awaitable, Callable

from http_client.client import HttpClient
from model.blocks import TextBlock, input_kind
from model.prompt import OPTION_NAMES, Prompt
from providers.call import ProviderCall
from providers.credentials import Credentials
from providers.dialect import Dialect, OutgoingRequest
from providers.errors import CredentialExpired, ProviderError, UnsupportedPart
from providers.quirks import QuirkLog
from providers.sink import Sink
from providers.transport import Transport

InputKinds = Callable[[str], frozenset[str]]


def takes_text(_model: str) -> frozenset[str]:
    """For models that take text alone."""
    return frozenset()


class Provider:
    """A configured provider, shared by all answers.

    `input_kinds` tells what questions to a model may carry besides text, and `output_kinds` are the
    kinds of blocks that answers may have in addition to those of every provider.
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
        input_kinds: InputKinds = takes_text,
        output_kinds: frozenset[str] = frozenset(),
    ) -> None:
        self.name = name
        self.models = models
        self.output_kinds = output_kinds
        self.options = (*(name for name in OPTION_NAMES if name in dialect.options), "extra")
        self.takes_chat_fields = dialect.takes_chat_fields
        self.openai_fields = dialect.openai_fields
        self._dialect = dialect
        self._input_kinds = input_kinds
        self._expressible = dialect.parts | {"tool_result"}
        self._credentials = credentials
        self._client = client
        self._transport = transport
        self._quirks = QuirkLog(name)

    def input_kinds(self, model: str) -> frozenset[str]:
        """What questions to `model` may carry besides text: what it takes, as far as the API has a
        form for it.
        """
        return self._input_kinds(model) & self._expressible

    def check(self, prompt: Prompt) -> None:
        """Raises UnsupportedPart for what the model does not take, and UnsupportedOption for what
        the provider's API cannot express.
        """
        taken: frozenset[str] | None = None
        for turn in prompt.turns:
            for block in turn.blocks:
                if type(block) is TextBlock or (kind := input_kind(block)) is None:
                    continue
                taken = self.input_kinds(prompt.model) if taken is None else taken
                if kind not in taken:
                    raise UnsupportedPart(kind)
        self._dialect.check(prompt)

    async def answer(
        self, prompt: Prompt, *, may_send: Awaitable[None], on_sent: Callable[[], None], sink: Sink
    ) -> None:
        """Send `prompt`, pass the answer to `sink` as it arrives, and return when it is finished.

        The connection is made at once. The request is sent when `may_send` is done, and never if
        that fails; `on_sent` is called just before. An exception of `sink` ends the request and is
        raised here. Raises ProviderError for every other failure.
        """
        began = asyncio.get_running_loop().time()

        async def attempt(credential: str | None) -> None:
            request = self._transport.request(await self._built(prompt, credential))
            request.may_send = may_send
            call = ProviderCall(
                self._dialect,
                self._transport.timeouts,
                began,
                on_sent,
                sink,
                self._quirks,
                model=prompt.model,
            )
            target = f"{self.name}/{prompt.model}"
            try:
                await call.run(self._client, request, target=target)
            except ProviderError as error:
                error.hide(credential)  # a provider may quote the key that it refuses
                raise

        credential = await self._credentials.current()
        try:
            await attempt(credential)
        except CredentialExpired:  # refused before any answer: try once more
            renewed = await self._credentials.renewed(credential)
            if renewed == credential:
                raise
            await attempt(renewed)

    async def _built(self, prompt: Prompt, credential: str | None) -> OutgoingRequest:
        """The request; one with files, which may take tens of milliseconds, is built in a
        thread.
        """
        if prompt.files:
            return await asyncio.to_thread(self._dialect.request, prompt, credential)
        return self._dialect.request(prompt, credential)

    async def close(self) -> None:
        """Cancel a fetch of a token that is in progress."""
        await self._credentials.close()
