"""Ids that clients choose, made ours.

Some protocols have the client name its conversation. Of the user and that name a conversation's id
is computed, so that it needs no index and cannot name another user's conversation.
"""

import hashlib

from model.random_ids import ID_DIGITS


def conversation_id_of(user: str, protocol: str, client_id: str) -> str:
    """The id of the conversation that a client of `protocol` calls `client_id`.

    It has the form of a random id.
    """
    named = "\0".join((user, protocol, client_id)).encode()
    return hashlib.sha256(named).hexdigest()[:ID_DIGITS]
