"""The requests in progress, which a shutdown waits for and a revoked key closes."""

import asyncio
from collections.abc import Set
from contextlib import suppress
from typing import Protocol


class OpenRequest(Protocol):
    """A request in progress."""

    @property
    def api_key_id(self) -> str | None:
        """The id of the API key that it was sent with, if it was one."""

    def close_as_revoked(self) -> None:
        """Close the connection, since the API key is no longer valid."""


class OpenRequests:
    """The requests in progress in this process."""

    def __init__(self) -> None:
        self._requests: set[OpenRequest] = set()
        self._none = asyncio.Event()
        self._none.set()

    @property
    def count(self) -> int:
        """The number of requests in progress."""
        return len(self._requests)

    def add(self, request: OpenRequest) -> None:
        """A request begins."""
        self._requests.add(request)
        self._none.clear()

    def remove(self, request: OpenRequest) -> None:
        """The request was answered, or its client has disconnected."""
        self._requests.discard(request)
        if not self._requests:
            self._none.set()

    async def wait_for_none(self, *, timeout: float) -> None:  # noqa: ASYNC109 - it does not raise
        """Return when no request is in progress, or after `timeout` seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._none.wait()

    def api_keys_in_use(self) -> set[str]:
        """The ids of the API keys of all requests in progress."""
        return {request.api_key_id for request in self._requests if request.api_key_id is not None}

    def close_by_api_keys(self, api_key_ids: Set[str]) -> None:
        """Close the requests with these API keys, streams above all."""
        for request in [each for each in self._requests if each.api_key_id in api_key_ids]:
            request.close_as_revoked()
