"""What of a MongoDB `open` makes, and what it leaves to `server.py migrate`.

Knows no driver: it compares what there is with what `schema.py` wants. A collection is made without
a validator, gets its indexes, and its validator last. So whoever finds a validator finds indexes
too, whichever process made them and wherever it was cut off. A collection with one is as this
version wants it, or an older or newer one did, and `open` leaves it alone: a change waits for open
transactions, and whoever writes waits behind it. That is for somebody who meant it.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from storage.mongo.schema import INDEXES, VALIDATORS, Document
from storage.values import SCHEMA_VERSION


class There(NamedTuple):
    """What there is of a store."""

    validators: Mapping[str, Document | None]  # of the collections there are; None: it has none
    indexes: Mapping[str, frozenset[str]]  # their names
    version: int  # what it was made for, or migrated to


class Step(NamedTuple):
    """One change of a collection: in words, and as the server's command."""

    what: str
    command: Document
    is_long: bool  # it takes the longer the more is in the collection


def unmade(there: There) -> list[str]:
    """The collections that `open` makes, or completes: made by hand, to be sharded, say."""
    return [name for name in VALIDATORS if there.validators.get(name) is None]


def is_fresh(there: There) -> bool:
    """Whether no version has made anything of the store yet."""
    return len(unmade(there)) == len(VALIDATORS)


def missing(there: There) -> Iterator[str]:
    """The indexes that `open` makes, as collection.index."""
    for name in unmade(there):
        for index in _lacking(there, name):
            yield f"{name}.{index['name']}"


def broken_rules(there: There) -> list[str]:
    """The unique indexes that are not there, and that `open` does not make: rules nobody keeps."""
    return [
        f"{name}.{index['name']}"
        for name in _made(there)
        for index in _lacking(there, name)
        if index.get("unique")
    ]


def steps(there: There) -> list[Step]:
    """What leads the collections to this version; nothing if a later one migrated them."""
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
    """That the store is said to be of this version, in words."""
    return f"schema from version {there.version} to {SCHEMA_VERSION}"


def _made(there: There) -> list[str]:
    return [name for name in VALIDATORS if there.validators.get(name) is not None]


def _lacking(there: There, name: str) -> list[Document]:
    has = there.indexes.get(name, frozenset())
    return [index for index in INDEXES[name] if index["name"] not in has]
