"""The store as a whole: opened, reported on, migrated and closed.

What there is of it, and what is to be done, `migration.py` says; here it is looked up and done.
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
from storage.mongo.schema import INDEXES, VALIDATORS
from storage.mongo.transactions import best_effort
from storage.values import SCHEMA_VERSION, StoreReport

# Seconds. An index on a collection that somebody else filled takes longer than a command may.
_OPEN_SECONDS = 60.0

# Seconds that a change of a collection may wait at the server for the transactions in it, with all
# who write there behind it: 3.7 were seen without this, and a person notices half a second. Between
# two tries there are pauses of once to thrice as long, for those writes.
_ATTEMPT_SECONDS = 0.1

# Seconds of trying. Transactions of ours last for 5 at most, and the server ends any after 60.
_BUSY_SECONDS = 60.0

# The server's code for a collection that is there.
_NAMESPACE_EXISTS = 48


class MongoLifecycle(MongoCoordination, StoreLifecycle):
    """What happens to the store before and after all its other operations."""

    async def open(self, *, beside: bool = False) -> None:
        try:
            self._connect()
            with translated_errors("open", self._url):
                await self._check_server()
                await self._create_missing()
            # Before any answer of ours, so that nobody ever finds one without its lease.
            if not beside:
                await self.renew_lease({})
        except BaseException:  # whoever left while it was opened closes nothing
            await self.close()
            raise

    async def report(self) -> StoreReport:
        try:
            self._connect()
            with translated_errors("examination", self._url):
                # First, so that connecting is no part of what is timed behind it.
                build = await self._database.command("buildInfo")
                asked = datetime.now(UTC)
                hello = await self._check_server()
                middle = asked + (datetime.now(UTC) - asked) / 2
                there = await self._existing_schema()
                _check_rules(there)
        finally:
            await self.close()
        hosts = hello.get("hosts", ())
        shape = f"replica set {hello.get('setName')} of {len(hosts)} at {', '.join(hosts)}"
        return StoreReport(
            name="MongoDB",
            version=tuple(build["versionArray"][:3]),
            shape=shape if hosts else "sharded cluster",
            missing=tuple(migration.missing(there)),
            due=migration.due(there),
            ahead_seconds=(hello["localTime"].replace(tzinfo=UTC) - middle).total_seconds(),
        )

    async def migrate(self, say: Callable[[str], None]) -> bool:
        try:
            self._connect()
            with translated_errors("migration", self._url):
                await self._check_server()
                there = await self._existing_schema()
                if there.version > SCHEMA_VERSION:
                    raise StorageError("a newer version of Headrace has migrated this database")
                for step in migration.steps(there):
                    await self._apply(step)
                    say(f"changed: {step.what}")
                # Last: whoever reads it may rely on the rest.
                if not migration.is_fresh(there) and there.version < SCHEMA_VERSION:
                    await self._note_version()
                    say(f"changed: {migration.version_step(there)}")
        finally:
            await self.close()
        return bool(migration.due(there))

    async def close(self) -> None:
        if self._client is None:
            return
        client, self._client = self._client, None
        try:
            for limit in self._limits.values():
                await limit.wait_until_idle()
            if self._since is not None:
                lease = queries.lease_given_back(self.process)
                await best_effort(lambda: self._processes.delete_one(lease))  # or it runs out
        finally:  # also if whoever closes it leaves: nobody else has the client by now
            # AsyncMongoClient: `await client.close()`. Motor's says goodbye to the servers in this
            # thread, which must not wait for them.
            await asyncio.get_running_loop().run_in_executor(None, client.close)

    @command("ping")
    async def ping(self) -> None:
        await self._database.command("ping")  # finds the server that takes writes

    async def _check_server(self) -> Document:
        """What the server says of itself. Raises StorageError if it stands alone."""
        hello: Document = await self._database.command("hello")
        if "setName" not in hello and hello.get("msg") != "isdbgrid":
            raise StorageError(
                "MongoDB must run as a replica set (one server will do) or a sharded cluster: "
                "a server without --replSet has no transactions"
            )
        return hello

    async def _existing_schema(self) -> migration.There:
        """What there is of the store."""
        listed = await self._database.command(
            "listCollections", filter={"name": {"$in": list(VALIDATORS)}}
        )
        validators = {
            each["name"]: each["options"].get("validator")
            for each in listed["cursor"]["firstBatch"]
        }
        indexes = {name: await self._indexes(name) for name in validators}
        noted = await self._store.find_one(queries.VERSION)
        # The first stage noted none.
        version = 1 if noted is None else noted["schema"]
        return migration.There(validators, indexes, version)

    async def _indexes(self, name: str) -> frozenset[str]:
        listed = await self._database.command("listIndexes", name)
        return frozenset(each["name"] for each in listed["cursor"]["firstBatch"])

    async def _create_missing(self) -> None:
        there = await self._existing_schema()
        _check_rules(there)
        if migration.is_fresh(there):
            await self._note_version()
        with pymongo.timeout(_OPEN_SECONDS):
            for name in migration.unmade(there):
                await self._create(name)

    async def _create(self, name: str) -> None:
        """Make a collection, or what it lacks; in this order, see `migration.py`."""
        try:
            await self._database.command("create", name)
        except OperationFailure as error:
            if error.code != _NAMESPACE_EXISTS:  # else another process opens as well
                raise
        await self._database.command("createIndexes", name, indexes=INDEXES[name])
        await self._database.command("collMod", name, validator=VALIDATORS[name])

    async def _note_version(self) -> None:
        """Say that the store is of this version, or of a later one that said so meanwhile."""
        with suppress(DuplicateKeyError):  # another process says so in this moment
            await self._store.update_one(queries.VERSION, queries.VERSION_NOTED, upsert=True)

    async def _apply(self, step: migration.Step) -> None:
        """Do it in tries so short that nobody is held up for long who writes to the collection.

        Raises StorageError if the collection never was free in time.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _BUSY_SECONDS
        patience = _ATTEMPT_SECONDS
        while True:
            await self._database.command("ping")  # or making a connection would be part of the try
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


def _check_rules(there: migration.There) -> None:
    """Raises Outdated if nothing would keep a rule, such as one live answer to a conversation."""
    if broken := migration.broken_rules(there):
        raise Outdated(
            f"unique indexes are not there: {', '.join(broken)}; `server.py migrate` makes them"
        )
