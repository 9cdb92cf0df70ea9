"""Transactions: several writes that are stored together or not at all.

A transaction that conflicts with another one fails, and is retried until its time is over.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pymongo
from motor.motor_tornado import MotorClient, MotorClientSession
from pymongo.errors import PyMongoError

from storage.mongo.documents import Document
from storage.mongo.errors import DUPLICATE_KEY, code_of

# Seconds for one command, or one transaction with its retries, including finding a server. A person
# waits for a question to be stored: after longer than this a 503 is better.
COMMAND_SECONDS = 5.0

# Seconds for cleanup that only saves others time: to end a failed transaction (the server does it
# after 60 s, and its conversation is locked until then), or to give a lease back.
_CLEANUP_SECONDS = 1.0

_UNKNOWN_COMMIT = "UnknownTransactionCommitResult"


async def transact(
    client: MotorClient[Document],
    work: Callable[[MotorClientSession], Awaitable[None]],
    is_done: Callable[[], Awaitable[bool]],
    *,
    deadline: float | None = None,
) -> None:
    """Run `work` in one transaction, and again after a conflict with another one.

    Before each retry `is_done` finds out whether it is still needed; it may raise instead. It ends
    at `deadline`, a time of the event loop, or after 5 seconds.
    """
    loop = asyncio.get_running_loop()
    if deadline is None:
        deadline = loop.time() + COMMAND_SECONDS
    pause = 0.005  # seconds: about two transactions; random and doubled, to avoid further conflicts
    committing = False
    session = await client.start_session()  # AsyncMongoClient: not awaited
    try:
        while True:
            try:
                with pymongo.timeout(max(deadline - loop.time(), 0.01)):
                    if not committing:
                        session.start_transaction()  # AsyncMongoClient: awaited
                        await work(session)
                        committing = True
                    return await session.commit_transaction()
            except PyMongoError as error:
                if not _is_worth_retrying(error) or loop.time() + pause > deadline:
                    raise
                # With an unknown outcome the same commit is sent again: it may be half done and
                # block a new transaction.
                committing = committing and error.has_error_label(_UNKNOWN_COMMIT)
            if not committing:
                await best_effort(session.abort_transaction)
                if await is_done():
                    return
            await asyncio.sleep(random.uniform(0, pause))
            pause = min(2 * pause, 0.2)
    finally:
        # This also ends an open transaction. It is not left to `async with`, where Motor does it in
        # the event loop's thread.
        await best_effort(session.end_session)


async def best_effort(cleanup: Callable[[], Awaitable[object]]) -> None:
    """Run `cleanup`, which only saves others time; its failure is ignored."""
    with suppress(PyMongoError), pymongo.timeout(_CLEANUP_SECONDS):
        await cleanup()


def _is_worth_retrying(error: PyMongoError) -> bool:
    """Whether a transaction conflicted with another one, or may have been stored."""
    return (
        error.has_error_label("TransientTransactionError")
        or error.has_error_label(_UNKNOWN_COMMIT)
        or code_of(error) == DUPLICATE_KEY
    )
