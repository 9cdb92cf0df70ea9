"""What goes upstream with a question: as much of its branch as fits, the newest of it."""

from typing import NamedTuple

from model.messages import Role
from model.prompt import Turn, said
from relay.errors import UnknownParent
from storage.contract import Storage
from storage.errors import NotFound

# One read of the store serves most questions: what fits is rarely more than ten exchanges. More at
# once would be looked at for the sake of long answers that do not fit.
_FIRST_PAGE = 20

# Where those were short there may be many more, and each read costs several looks.
_NEXT_PAGE = 100

# Characters. No read is for less: reasoning is read too, and messages may have nothing else.
_LEAST_ROOM = 20_000


class History(NamedTuple):
    """The answer that a question goes on from, if there is any, and the turns that led there."""

    parent_id: str | None = None
    turns: tuple[Turn, ...] = ()


async def history(
    storage: Storage,
    user: str,
    conversation_id: str,
    parent_id: str | None,
    *,
    room: int,
    messages: int,
) -> History:
    """The branch up to the answer `parent_id`, or else up to the newest answer.

    Its turns come oldest first: of its newest `messages` those whose texts fit into `room`
    characters. Only text goes upstream again, not reasoning, which providers ask to leave out. A
    message without text is passed over. The first turn is the user's: some providers insist.

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
                turns.append(said(message.role, text))
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
