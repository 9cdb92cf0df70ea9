"""API keys: created, looked up, listed and revoked."""

from collections.abc import Collection
from contextlib import suppress
from datetime import datetime
from itertools import islice

import pymongo
from pymongo.errors import DuplicateKeyError

from storage.contract import ApiKeyStore
from storage.errors import NotFound
from storage.mongo import queries
from storage.mongo.connection import MongoConnection, command
from storage.mongo.documents import api_key_document, api_key_in
from storage.pages import page_of_api_keys
from storage.values import ApiKey, Page

# The number of API keys in one query: their ids take 20 KB, the documents some 250.
_KEYS_PER_QUERY = 1000


class MongoApiKeys(MongoConnection, ApiKeyStore):
    """The API keys of users."""

    @command("request")
    async def create_api_key(self, key: ApiKey) -> None:
        with suppress(DuplicateKeyError):  # by an earlier attempt
            await self._api_keys.insert_one(api_key_document(key))

    @command("api_keys")
    async def api_keys(self, key_ids: Collection[str]) -> list[ApiKey]:
        found: list[ApiKey] = []
        known = iter(key_ids)
        while some := tuple(islice(known, _KEYS_PER_QUERY)):
            cursor = self._api_keys.find(queries.api_keys_by_id(some))
            found += [api_key_in(document) async for document in cursor]
        return found

    @command("request")
    async def list_api_keys(
        self, user: str | None, *, limit: int, after: str | None
    ) -> Page[ApiKey]:
        query = queries.api_keys_after(user, after)
        cursor = self._api_keys.find(query).sort("_id", 1).limit(limit + 1)
        found = [api_key_in(document) async for document in cursor]
        return page_of_api_keys(found, limit)

    @command("request")
    async def revoke_api_key(self, key_id: str, revoked_at: datetime) -> ApiKey:
        revoked = await self._api_keys.find_one_and_update(
            queries.api_key(key_id),
            queries.api_key_revoked(revoked_at),
            return_document=pymongo.ReturnDocument.AFTER,
        )
        if revoked is None:
            raise NotFound
        return api_key_in(revoked)
