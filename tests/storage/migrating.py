"""Migrates a store as the command does, and tells what is due and kept."""

from typing import Any

from model.messages import Attempt, now
from storage.contract import Storage
from storage.factory import from_url
from tests.storage.samples import begun, ending

Plain = dict[str, Any]


async def migrate(url: str) -> list[str]:
    """Migrate a store as the command does; returns what it says."""
    said: list[str] = []
    storage = from_url(url, process="migration", lease_seconds=1)
    assert await storage.migrate(said.append) == bool(said)
    return said


async def due(url: str) -> tuple[str, ...]:
    """What `migrate` would change, as the doctor reports it."""
    return (await from_url(url, process="doctor", lease_seconds=1).report()).due


async def kept_attempts(storage: Storage) -> tuple[Attempt, ...]:
    """What is kept of the attempts of an answer."""
    answer = await begun(storage)
    attempts = (Attempt(target="demo/demo", started_at=now(), ms=5, code="rate_limited"),)
    end = ending(attempts=attempts)
    for _ in range(2):
        assert await storage.end_answer(answer.id, storage.process, end)
    return (await storage.message("alice", answer.id)).attempts
