"""What goes upstream with a question: as much of the conversation as fits, the newest of it."""

from providers.dialect import Turn
from storage.base import Message, Storage, TextBlock

# One read of the store serves most questions: what fits is rarely more than ten exchanges. More at
# a time would be held in memory for the sake of long answers that do not fit.
_PAGE = 20


async def history(
    storage: Storage, user: str, conversation_id: str, *, room: int, without: str | None = None
) -> tuple[Turn, ...]:
    """The conversation's turns, oldest first: the newest whose texts fit into `room` characters.

    The message with the id `without` is left out.

    Only text goes upstream again, not reasoning, which providers ask to leave out. A message
    without text is passed over. The first turn is the user's: some providers insist.
    """
    turns: list[Turn] = []
    before = None
    while True:
        page = await storage.messages(user, conversation_id, limit=_PAGE, before=before)
        for message in reversed(page.data):
            if message.id == without:
                continue
            text = _text(message)
            room -= len(text)
            if room < 0:
                return _from_question(turns)
            if text:
                turns.append(Turn(message.role, text))
        before = page.next
        if before is None:
            return _from_question(turns)


def _from_question(newest_first: list[Turn]) -> tuple[Turn, ...]:
    turns = newest_first[::-1]
    while turns and turns[0].role != "user":
        turns.pop(0)
    return tuple(turns)


def _text(message: Message) -> str:
    return "".join(block.text for block in message.blocks if isinstance(block, TextBlock))
