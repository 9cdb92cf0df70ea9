"""The whole of MongoDB's store, made of its parts, each in a module of its own."""

from storage.contract import Storage
from storage.mongo.answer_lists import MongoAnswerLists
from storage.mongo.api_keys import MongoApiKeys
from storage.mongo.asks import MongoAsks
from storage.mongo.counts import MongoCounts
from storage.mongo.deletions import MongoDeletions
from storage.mongo.lifecycle import MongoLifecycle


class MongoStorage(
    MongoLifecycle,
    MongoAsks,
    MongoAnswerLists,
    MongoDeletions,
    MongoApiKeys,
    MongoCounts,
    Storage,
):
    """Conversations in a replica set or a sharded cluster; see the contract for the promises."""
