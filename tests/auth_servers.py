"""Servers that ask for API keys, and the operator who creates and revokes those.

Fixtures: `store_url` is each of the two stores in turn. `auth_servers` starts servers on it that
ask for API keys, and creates keys as `server.py create-key` does, while they run.
"""

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tornado.ioloop import IOLoop

from app.server import Server
from auth import api_key_commands, api_keys
from storage.contract import Storage
from storage.factory import from_url
from tests.faults import FaultyStorage
from tests.readers import Reader
from tests.serving import Serving
from tests.upstreams import ScriptedUpstream

SECRET = "the-secret-that-signs-tickets-in-tests"
# Seconds. A revocation is seen everywhere within this, so that tests need not wait.
RECHECK = 0.05


class KeyHolder(NamedTuple):
    """One who has a key."""

    user: str
    key: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    @property
    def api_key_id(self) -> str:
        return api_keys.id_of(self.key)


class AuthServers:
    """Servers on one store, and the keys to them."""

    def __init__(self, serve: Serving, url: str) -> None:
        self.url = url
        self._serve = serve
        self._key_storage: Storage | None = None

    async def open(self, **settings: Any) -> Server:
        """A server that asks for keys."""
        auth = {"mode": "keys", "secret": SECRET, "recheck_seconds": RECHECK}
        values = {"auth": auth, "storage": {"url": self.url}, **settings}
        return await self._serve.start(**values)

    async def create_key(
        self,
        user: str,
        *,
        admin: bool = False,
        days: int | None = None,
        models: str | None = None,
    ) -> KeyHolder:
        """A new key."""
        key_storage = await self.key_storage()
        said = await api_key_commands.create(
            key_storage, user=user, admin=admin, note="", days=days, models=models
        )
        return KeyHolder(user, said.result)

    async def revoke(self, holder: KeyHolder) -> None:
        """Take a key back."""
        await api_key_commands.revoke(await self.key_storage(), [holder.api_key_id], None)

    async def key_storage(self) -> Storage:
        """The store, open beside the servers."""
        if self._key_storage is None:
            self._key_storage = from_url(self.url, process=secrets.token_hex(16), lease_seconds=1)
            await self._key_storage.open(without_lease=True)
        return self._key_storage

    async def close(self) -> None:
        if self._key_storage is not None:
            await self._key_storage.close()


@pytest.fixture(params=["sqlite", "mongo"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "mongo":
        url: str = request.getfixturevalue("mongo_url")
        return url
    return f"sqlite:///{tmp_path}/headrace.db"


@pytest.fixture
def auth_servers(io_loop: IOLoop, serve: Serving, store_url: str) -> Iterator[AuthServers]:
    made = AuthServers(serve, store_url)
    yield made
    io_loop.run_sync(made.close)


async def rechecked(store: FaultyStorage) -> None:
    """Wait until the server of `store` has rechecked its keys, from now on."""
    # One recheck follows the other, so the first is over when the second begins.
    await store.called("api_keys", store.calls.count("api_keys") + 2)


async def live_reader(server: Server, holder: KeyHolder, upstream: ScriptedUpstream) -> Reader:
    """A reader of the live answer to a question of the holder's, which begins with "Hel"."""
    upstream.tokens("Hel")
    reader = await Reader.ask(server.url, headers=holder.headers, on_disconnect={"grace": 30})
    await reader.text("Hel")
    return reader
