"""Decides what `open` creates in MongoDB, and what it leaves to `server.py migrate`.

It imports no driver: it compares what exists with `schema.py`. A collection is created without a
validator, gets its indexes, and its validator last. So a validator guarantees the indexes,
whichever process created them and wherever it was cut off. A collection with a validator of any
version is not changed by `open`: a change waits for open transactions, and all writers wait behind
it, so that only an operator should start it.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from storage.mongo.schema import INDEXES, VALIDATORS, Document
from storage.values import SCHEMA_VERSION


class ExistingSchema(NamedTuple):
    """What exists of a store."""

    validators: Mapping[
        str, Document | None
    ]  # the validators of existing collections; None: without one
    indexes: Mapping[str, frozenset[str]]  # their names
    version: int  # the version it was created for or migrated to


class MigrationStep(NamedTuple):
    """One change of a collection: in words, and as the server's command."""

    what: str
    command: Document
    is_long: bool  # its time grows with the collection


def unmade(existing: ExistingSchema) -> list[str]:
    """The collections that `open` creates or completes; they may be created by hand, for
    sharding.
    """
    return [name for name in VALIDATORS if existing.validators.get(name) is None]


def is_fresh(existing: ExistingSchema) -> bool:
    """Whether no version has created anything of the store yet."""
    return len(unmade(existing)) == len(VALIDATORS)


def missing(existing: ExistingSchema) -> Iterator[str]:
    """The indexes that `open` creates, as collection.index."""
    for name in unmade(existing):
        for index in _lacking(existing, name):
            yield f"{name}.{index['name']}"


def will_have(existing: ExistingSchema, collection: str, index: str) -> bool:
    """Whether there is the index of a collection once `open` has created what is missing."""
    return collection in unmade(existing) or index in existing.indexes[collection]


def broken_rules(existing: ExistingSchema) -> list[str]:
    """The missing unique indexes that `open` does not create, so that their rules are not
    enforced.
    """
    return [
        f"{name}.{index['name']}"
        for name in _made(existing)
        for index in _lacking(existing, name)
        if index.get("unique")
    ]


def steps(existing: ExistingSchema) -> list[MigrationStep]:
    """The steps that migrate the collections to this version; none if a later version did."""
    if existing.version > SCHEMA_VERSION:
        return []
    found: list[MigrationStep] = []
    for name in _made(existing):
        for index in _lacking(existing, name):
            made: Document = {"createIndexes": name, "indexes": [index]}
            found.append(MigrationStep(f"index {index['name']} of {name}", made, is_long=True))
        if existing.validators[name] != VALIDATORS[name]:
            changed: Document = {"collMod": name, "validator": VALIDATORS[name]}
            found.append(MigrationStep(f"validator of {name}", changed, is_long=False))
    return found


def due(existing: ExistingSchema) -> tuple[str, ...]:
    """What `migrate` would change, in words."""
    words = [step.what for step in steps(existing)]
    if not is_fresh(existing) and existing.version < SCHEMA_VERSION:
        words.append(version_step(existing))
    return tuple(words)


def version_step(existing: ExistingSchema) -> str:
    """The step that stores this version, in words."""
    return f"schema from version {existing.version} to {SCHEMA_VERSION}"


def _made(existing: ExistingSchema) -> list[str]:
    return [name for name in VALIDATORS if existing.validators.get(name) is not None]


def _lacking(existing: ExistingSchema, name: str) -> list[Document]:
    has = existing.indexes.get(name, frozenset())
    return [index for index in INDEXES[name] if index["name"] not in has]
