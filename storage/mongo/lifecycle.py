"""The store as a whole: opened, reported on, migrated and closed.

`migration.py` decides what is to be done; here it is done.
"""

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

import pymongo
from pymongo.errors import (
    DuplicateKeyError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)

from storage.contract import StoreLifecycle
from storage.errors import Outdated, StorageError
from storage.mongo import migration, queries
from storage.mongo.connection import command
from storage.mongo.coordination import MongoCoordination
from storage.mongo.documents import Document
from storage.mongo.errors import translated_errors
from storage.mongo.schema import INDEXES, PROTOCOL_INDEX, VALIDATORS
from storage.mongo.transactions import best_effort
from storage.values import SCHEMA_VERSION, StoreReport

# Seconds for creating an index, which takes longer than a command may on a large collection.
_OPEN_SECONDS = 60.0

# Seconds that a change of a collection may wait at the server for open transactions, while all
# writers wait behind it: 3.7 were seen without this, and people notice half a second. Between
# attempts there are pauses of one to three times as long.
_ATTEMPT_SECONDS = 0.1

# Seconds of trying. This store's transactions last for 5 at most, and the server ends any after 60.
_BUSY_SECONDS = 60.0

# The server's code for a collection that exists.
_NAMESPACE_EXISTS = 48


class MongoLifecycle(MongoCoordination, StoreLifecycle):
    """Opens, migrates and closes the store."""

    async def open(self, *, without_lease: bool = False) -> None:
        try:
            self._connect()
            with translated_errors("open", self._url):
                await self._check_server()
                await self._create_missing()
            # Before any answer of this process, so that none is ever found without its lease.
            if not without_lease:
                await self.renew_lease({})
        except BaseException:  # a caller that was cancelled while it was opened does not close it
            await self.close()
            raise

    async def report(self) -> StoreReport:
        try:
            self._connect()
            with translated_errors("examination", self._url):
                # First, so that connecting does not count in the clock's difference.
                build = await self._database.command("buildInfo")
                asked = datetime.now(UTC)
                hello = await self._check_server()
                middle = asked + (datetime.now(UTC) - asked) / 2
                existing = await self._existing_schema()
                _check_rules(existing)
        finally:
            await self.close()
        hosts = hello.get("hosts", ())
        shape = f"replica set {hello.get('setName')} of {len(hosts)} at {', '.join(hosts)}"
        return StoreReport(
            name="MongoDB",
            version=tuple(build["versionArray"][:3]),
            shape=shape if hosts else "sharded cluster",
            missing=tuple(migration.missing(existing)),
            due=migration.due(existing),
            ahead_seconds=(hello["localTime"].replace(tzinfo=UTC) - middle).total_seconds(),
        )

    async def migrate(self, write_line: Callable[[str], None]) -> bool:
        try:
            self._connect()
            with translated_errors("migration", self._url):
                await self._check_server()
                existing = await self._existing_schema()
                if existing.version > SCHEMA_VERSION:
                    raise StorageError("a newer version of Headrace has migrated this database")
                for step in migration.steps(existing):
                    await self._apply(step)
                    write_line(f"changed: {step.what}")
                # Last, so that its presence guarantees the rest.
                if not migration.is_fresh(existing) and existing.version < SCHEMA_VERSION:
                    await self._note_version()
                    write_line(f"changed: {migration.version_step(existing)}")
        finally:
            await self.close()
        return bool(migration.due(existing))

    async def close(self) -> None:
        if self._client is None:
            return
        client, self._client = self._client, None
        try:
            for limit in self._limits.values():
                await limit.wait_until_idle()
            if self._since is not None:
                lease = queries.lease_given_back(self.process)
                await best_effort(lambda: self._processes.delete_one(lease))  # else it expires
        finally:  # also if the caller is cancelled: nothing else refers to the client
            # AsyncMongoClient: `await client.close()`. Motor's sends to the servers from this
            # thread, which must not wait for them.
            await asyncio.get_running_loop().run_in_executor(None, client.close)

    @command("ping")
    async def ping(self) -> None:
        await self._database.command("ping")  # finds the primary

    async def _check_server(self) -> Document:
        """What the server reports of itself. Raises StorageError for a standalone server."""
        hello: Document = await self._database.command("hello")
        self._is_sharded = hello.get("msg") == "isdbgrid"
        if "setName" not in hello and not self._is_sharded:
            raise StorageError(
                "MongoDB must run as a replica set (one server will do) or a sharded cluster: "
                "a server without --replSet has no transactions"
            )
        return hello

    async def _existing_schema(self) -> migration.ExistingSchema:
        """The collections, indexes and validators that exist."""
        listed = await self._database.command(
            "listCollections", filter={"name": {"$in": list(VALIDATORS)}}
        )
        validators = {
            each["name"]: each["options"].get("validator")
            for each in listed["cursor"]["firstBatch"]
        }
        indexes = {name: await self._indexes(name) for name in validators}
        noted = await self._store.find_one(queries.VERSION)
        # The first version stored none.
        version = 1 if noted is None else noted["schema"]
        return migration.ExistingSchema(validators, indexes, version)

    async def _indexes(self, name: str) -> frozenset[str]:
        listed = await self._database.command("listIndexes", name)
        return frozenset(each["name"] for each in listed["cursor"]["firstBatch"])

    async def _create_missing(self) -> None:
        existing = await self._existing_schema()
        _check_rules(existing)
        if migration.is_fresh(existing):
            await self._note_version()
        self._lists_protocols = migration.will_have(existing, "messages", PROTOCOL_INDEX)
        with pymongo.timeout(_OPEN_SECONDS):
            for name in migration.unmade(existing):
                await self._create(name)

    async def _create(self, name: str) -> None:
        """Create a collection, or what it lacks; for the order see `migration.py`."""
        try:
            await self._database.command("create", name)
        except OperationFailure as error:
            if error.code != _NAMESPACE_EXISTS:  # else another process creates it at the same time
                raise
        await self._database.command("createIndexes", name, indexes=INDEXES[name])
        await self._database.command("collMod", name, validator=VALIDATORS[name])

    async def _note_version(self) -> None:
        """Store the schema's version, unless a later one was stored in the meantime."""
        with suppress(DuplicateKeyError):  # another process stores it at this moment
            await self._store.update_one(queries.VERSION, queries.VERSION_NOTED, upsert=True)

    async def _apply(self, step: migration.MigrationStep) -> None:
        """Apply a step in attempts so short that writers of the collection are hardly delayed.

        Raises StorageError if the collection was busy all the time.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _BUSY_SECONDS
        patience = _ATTEMPT_SECONDS
        while True:
            await self._database.command("ping")  # else connecting would be part of the attempt
            try:
                with pymongo.timeout(patience):
                    await self._database.command(step.command)
                return
            except PyMongoError as error:
                if not error.timeout or isinstance(error, ServerSelectionTimeoutError):
                    raise
            if loop.time() > deadline:
                raise StorageError(f"{step.what}: the collection is busy; run it again")
            if step.is_long:
                patience *= 2
            await asyncio.sleep(random.uniform(patience, 3 * patience))


def _check_rules(existing: migration.ExistingSchema) -> None:
    """Raise Outdated if a unique index is missing, such as that for one live answer a
    conversation.
    """
    if broken := migration.broken_rules(existing):
        raise Outdated(
            f"unique indexes are missing: {', '.join(broken)}; `server.py migrate` creates them"
        )
