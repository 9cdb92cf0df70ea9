"""Filters for MongoDB that find answers by what clients stored with them, or that are live.

Those of lists have the user and no shard key, since each shard has some of the answers.
"""

from collections.abc import Collection

from storage.cursors import decode_answer_cursor
from storage.mongo import queries
from storage.mongo.documents import Document, pairs
from storage.values import ClientAnswers, conversation_of


def live_answers_after(user: str, cursor: str | None) -> Document:
    """The filter for a user's live answers after a page's end. Raises InvalidCursor."""
    return {"user": user, **queries.LIVE, **_answers_after(cursor, oldest_first=False)}


def live_answers_of(user: str, conversation_ids: Collection[str]) -> Document:
    """The filter for the live answers of a user's conversations."""
    return {"user": user, **queries.live_in(conversation_ids)}


def client_answers_after(user: str, chosen: ClientAnswers, cursor: str | None) -> Document:
    """The filter for answers of a client protocol after a page's end. Raises InvalidCursor."""
    query: Document = {"user": user, "client.protocol": chosen.protocol}
    if chosen.model is not None:
        query["model"] = chosen.model
    if chosen.metadata:
        query["client.metadata"] = {
            "$all": [{"$elemMatch": pair} for pair in pairs(chosen.metadata)]
        }
    return {**query, **_answers_after(cursor, oldest_first=chosen.oldest_first)}


def answers_by_id(user: str, answer_ids: Collection[str]) -> Document:
    """The filter for a user's answers by id."""
    of = sorted({conversation_of(answer_id) for answer_id in answer_ids})
    return {"_id": {"$in": list(answer_ids)}, "conversation": {"$in": of}, "user": user}


def existing_conversations(user: str, conversation_ids: Collection[str]) -> Document:
    """The filter for those of a user's conversations that exist."""
    return queries.conversations_by_id(conversation_ids) | {"user": user}


def client_answer(user: str, answer_id: str) -> Document:
    """The filter for an answer, if a client stored something with it."""
    return queries.message_key(answer_id) | {"user": user, "client.protocol": {"$exists": True}}


def _answers_after(cursor: str | None, *, oldest_first: bool) -> Document:
    if cursor is None:
        return {}
    time, answer_id = decode_answer_cursor(cursor)
    beyond = "$gt" if oldest_first else "$lt"
    return {
        "created_at": {f"{beyond}e": time},  # bounds the index
        "$or": [{"created_at": {beyond: time}}, {"_id": {beyond: answer_id}}],
    }
