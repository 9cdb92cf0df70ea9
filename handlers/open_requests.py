"""The requests that are being answered: waited for at the end, and closed with their API keys."""

import asyncio
from collections.abc import Set
from contextlib import suppress
from typing import Protocol


class OpenRequest(Protocol):
    """A request that is being answered."""

    @property
    def api_key_id(self) -> str | None:
        """The API key that let it in, if one did."""

    def close_for_its_key(self) -> None:
        """Close the connection: the API key is no longer good."""


class OpenRequests:
    """Those of this process."""

    def __init__(self) -> None:
        self._requests: set[OpenRequest] = set()
        self._none = asyncio.Event()
        self._none.set()

    @property
    def count(self) -> int:
        """How many requests are being answered."""
        return len(self._requests)

    def add(self, request: OpenRequest) -> None:
        """A request is being answered from now on."""
        self._requests.add(request)
        self._none.clear()

    def remove(self, request: OpenRequest) -> None:
        """It is answered, or nobody waits for that any more."""
        self._requests.discard(request)
        if not self._requests:
            self._none.set()

    async def wait_for_none(self, *, timeout: float) -> None:  # noqa: ASYNC109 - it does not raise
        """Return when no request is being answered, or after `timeout` seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._none.wait()

    def api_keys_in_use(self) -> set[str]:
        """The ids of the API keys that let in what is being answered."""
        return {request.api_key_id for request in self._requests if request.api_key_id is not None}

    def close_those_of(self, api_key_ids: Set[str]) -> None:
        """Close the requests that these API keys let in, streams above all."""
        for request in [each for each in self._requests if each.api_key_id in api_key_ids]:
            request.close_for_its_key()
