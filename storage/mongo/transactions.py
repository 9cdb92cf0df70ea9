"""Transactions: several writes that are kept together or not at all.

A transaction that meets another one fails, and is tried again until its time is over.
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

# Seconds for one command, or one transaction with its retries; finding a server is part of it. A
# person waits for a question to be kept: longer than this, and a 503 serves them better.
COMMAND_SECONDS = 5.0

# Seconds, for what only saves others time: to end a transaction that failed (the server does it
# after 60 s, and its conversation is locked until then), to give a lease back.
_CLEANUP_SECONDS = 1.0

_UNKNOWN_COMMIT = "UnknownTransactionCommitResult"


async def transact(
    client: MotorClient[Document],
    work: Callable[[MotorClientSession], Awaitable[None]],
    is_done: Callable[[], Awaitable[bool]],
) -> None:
    """Do `work` in one transaction, and again if it met another one.

    In between `is_done` looks whether that is still needed; it may raise instead.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + COMMAND_SECONDS
    pause = 0.005  # seconds: about two transactions; random and doubled, to come apart
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
                # Its outcome unknown, the same commit is sent again: it may stand half done,
                # and lock out a new transaction.
                committing = committing and error.has_error_label(_UNKNOWN_COMMIT)
            if not committing:
                await best_effort(session.abort_transaction)
                if await is_done():
                    return
            await asyncio.sleep(random.uniform(0, pause))
            pause = min(2 * pause, 0.2)
    finally:
        # Ends the transaction too, if it is still open. Not left to `async with`: there Motor
        # does it in the event loop's own thread.
        await best_effort(session.end_session)


async def best_effort(cleanup: Callable[[], Awaitable[object]]) -> None:
    """Run `cleanup`, which only saves others time, and let it fail."""
    with suppress(PyMongoError), pymongo.timeout(_CLEANUP_SECONDS):
        await cleanup()


def _is_worth_retrying(error: PyMongoError) -> bool:
    """Whether a transaction met another one, or may have been kept for all we know."""
    return (
        error.has_error_label("TransientTransactionError")
        or error.has_error_label(_UNKNOWN_COMMIT)
        or code_of(error) == DUPLICATE_KEY
    )
