"""Idempotency keys, each of which stands for an answer."""

from motor.motor_tornado import MotorClientSession

from storage.errors import KeyTaken
from storage.mongo import queries
from storage.mongo.connection import MongoConnection, command
from storage.mongo.documents import key_document, key_in
from storage.values import IdempotencyKey


class MongoIdempotencyKeys(MongoConnection):
    """Clients' idempotency keys."""

    @command("request")
    async def idempotency_key(self, user: str, key_id: str) -> IdempotencyKey | None:
        found = await self._keys.find_one(queries.idempotency_key(user, key_id))
        return None if found is None else key_in(found)

    async def _claim_key(
        self, session: MotorClientSession, key: IdempotencyKey, replaces: str | None
    ) -> None:
        """Have `key` stand for its answer; raises DuplicateKeyError if it stands for another."""
        await self._keys.replace_one(
            queries.claimed(key, replaces), key_document(key), upsert=True, session=session
        )

    async def _check_key_claim(self, key: IdempotencyKey, replaces: str | None) -> None:
        """Raise KeyTaken if `key` stands for another answer by now."""
        kept = await self._keys.find_one(queries.idempotency_key(key.user, key.id))
        if kept is not None and kept["answer_id"] not in (key.answer_id, replaces):
            raise KeyTaken
