"""Exchanges: a person's question and all that follows it up to the next one.

That is the answer and, if it called tools, their results and further answers.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from model.messages import Message, Role
from relay.tool_loop import results_in
from storage.contract import MessageStore

# Messages in a read: the first one is nearly always all of an exchange.
_FIRST_PAGE = 2
_NEXT_PAGE = 20

# Messages of the branch among which an edited question is looked for, as many as are sent again.
_EDITED_AMONG = 200


def is_persons(message: Message) -> bool:
    """Whether a person asked it, rather than a program that returns results of tool calls."""
    return message.role == Role.USER and not results_in(message.blocks)


async def newest_exchange(
    storage: MessageStore, user: str, conversation_id: str
) -> tuple[Message, ...]:
    """The newest exchange, from its question to its newest answer.

    It is empty if nothing was asked in the conversation. Raises NotFound and StorageError.
    """
    found: list[Message] = []
    async for message in _newest_branch(storage, user, conversation_id):
        found.append(message)
        if is_persons(message):
            break
    return tuple(reversed(found))


async def edited_question(
    storage: MessageStore, user: str, conversation_id: str, answers: Callable[[Message], bool]
) -> Message | None:
    """The question that a client sends again, changed: the newest one with an answer for which
    `answers` is true. None without one. Raises NotFound and StorageError.
    """
    async with aclosing(
        _newest_branch(storage, user, conversation_id, most=_EDITED_AMONG)
    ) as branch:
        is_answered = False
        async for message in branch:
            if is_answered:
                return message
            is_answered = answers(message)
    return None


async def _newest_branch(
    storage: MessageStore, user: str, conversation_id: str, *, most: int | None = None
) -> AsyncGenerator[Message, None]:
    """The branch of the newest answer, from it to the first question, or its newest `most`.

    Raises NotFound and StorageError.
    """
    last, limit, read = None, _FIRST_PAGE, 0
    while True:
        page = await storage.branch(user, conversation_id, limit=limit, last=last)
        for message in reversed(page.data):
            yield message
        read += len(page.data)
        if page.next is None or (most is not None and read >= most):
            return
        last, limit = page.next, _NEXT_PAGE
