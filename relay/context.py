"""The history that is sent with a question: the newest messages of its branch that fit."""

from typing import NamedTuple

from model.messages import Role
from model.prompt import Turn, text_turn
from relay.errors import UnknownParent
from storage.contract import MessageStore
from storage.errors import NotFound

# The number of messages in the first read: rarely more than ten exchanges fit. More would be read
# in vain where long answers do not fit.
_FIRST_PAGE = 20

# The number in further reads: short messages may be many, and each read costs several queries.
_NEXT_PAGE = 100

# The least number of characters in a read: reasoning is read too, and some messages have nothing
# else.
_LEAST_ROOM = 20_000


class History(NamedTuple):
    """The answer that a question follows, if there is one, and the turns up to it."""

    parent_id: str | None = None
    turns: tuple[Turn, ...] = ()


async def history(
    storage: MessageStore,
    user: str,
    conversation_id: str,
    parent_id: str | None,
    *,
    room: int,
    messages: int,
) -> History:
    """The branch up to the answer `parent_id`, or up to the newest answer.

    Its turns are oldest first: of the newest `messages` those whose texts fit into `room`
    characters. Only text is sent again, not reasoning, which providers ask to leave out. Messages
    without text are skipped. The first turn is the user's, as some providers require.

    Raises UnknownParent, and NotFound for the conversation.
    """
    try:
        page = await storage.branch(
            user,
            conversation_id,
            limit=min(messages, _FIRST_PAGE),
            last=parent_id,
            max_chars=max(room, _LEAST_ROOM),
        )
    except NotFound:
        if parent_id is None:
            raise
        raise UnknownParent from None
    if not page.data:
        return History()
    parent = page.data[-1]
    if parent.role != Role.ASSISTANT:
        raise UnknownParent
    turns: list[Turn] = []
    while True:
        messages -= len(page.data)
        for message in reversed(page.data):
            text = message.text
            room -= len(text)
            if room < 0:
                return History(parent.id, _from_question(turns))
            if text and message.role in (Role.USER, Role.ASSISTANT):
                turns.append(text_turn(message.role, text))
        if page.next is None or messages <= 0:
            return History(parent.id, _from_question(turns))
        page = await storage.branch(
            user,
            conversation_id,
            limit=min(messages, _NEXT_PAGE),
            last=page.next,
            max_chars=max(room, _LEAST_ROOM),
        )


def _from_question(newest_first: list[Turn]) -> tuple[Turn, ...]:
    turns = newest_first[::-1]
    while turns and turns[0].role != Role.USER:
        turns.pop(0)
    return tuple(turns)
