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


class There(NamedTuple):
    """What exists of a store."""

    validators: Mapping[
        str, Document | None
    ]  # the validators of existing collections; None: without one
    indexes: Mapping[str, frozenset[str]]  # their names
    version: int  # the version it was created for or migrated to


class Step(NamedTuple):
    """One change of a collection: in words, and as the server's command."""

    what: str
    command: Document
    is_long: bool  # its time grows with the collection


def unmade(there: There) -> list[str]:
    """The collections that `open` creates or completes; they may be created by hand, for
    sharding.
    """
    return [name for name in VALIDATORS if there.validators.get(name) is None]


def is_fresh(there: There) -> bool:
    """Whether no version has created anything of the store yet."""
    return len(unmade(there)) == len(VALIDATORS)


def missing(there: There) -> Iterator[str]:
    """The indexes that `open` creates, as collection.index."""
    for name in unmade(there):
        for index in _lacking(there, name):
            yield f"{name}.{index['name']}"


def broken_rules(there: There) -> list[str]:
    """The missing unique indexes that `open` does not create, so that their rules are not
    enforced.
    """
    return [
        f"{name}.{index['name']}"
        for name in _made(there)
        for index in _lacking(there, name)
        if index.get("unique")
    ]


def steps(there: There) -> list[Step]:
    """The steps that migrate the collections to this version; none if a later version did."""
    if there.version > SCHEMA_VERSION:
        return []
    found: list[Step] = []
    for name in _made(there):
        for index in _lacking(there, name):
            made: Document = {"createIndexes": name, "indexes": [index]}
            found.append(Step(f"index {index['name']} of {name}", made, is_long=True))
        if there.validators[name] != VALIDATORS[name]:
            changed: Document = {"collMod": name, "validator": VALIDATORS[name]}
            found.append(Step(f"validator of {name}", changed, is_long=False))
    return found


def due(there: There) -> tuple[str, ...]:
    """What `migrate` would change, in words."""
    words = [step.what for step in steps(there)]
    if not is_fresh(there) and there.version < SCHEMA_VERSION:
        words.append(version_step(there))
    return tuple(words)


def version_step(there: There) -> str:
    """The step that stores this version, in words."""
    return f"schema from version {there.version} to {SCHEMA_VERSION}"


def _made(there: There) -> list[str]:
    return [name for name in VALIDATORS if there.validators.get(name) is not None]


def _lacking(there: There, name: str) -> list[Document]:
    has = there.indexes.get(name, frozenset())
    return [index for index in INDEXES[name] if index["name"] not in has]
