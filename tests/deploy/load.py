"""People who ask one question after the other, each on a new connection, and what they got."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.readers import Reader


class Load:
    """Counts of what came of each question."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self._stopping = False

    @classmethod
    @asynccontextmanager
    async def of(cls, people: int, url: str, **fields: object) -> AsyncIterator["Load"]:
        """Have so many ask while the block runs; each ends the question that is open then."""
        load = cls()
        asking = [asyncio.create_task(load._ask_on(url, fields)) for _ in range(people)]
        try:
            yield load
        finally:
            load._stopping = True
            await asyncio.gather(*asking)

    async def _ask_on(self, url: str, fields: dict[str, object]) -> None:
        while not self._stopping:
            try:
                outcome = await _ask(url, fields)
            except OSError as error:  # refused or reset
                outcome = type(error).__name__
            except asyncio.IncompleteReadError:
                outcome = "cut off"
            self.outcomes[outcome] += 1


async def _ask(url: str, fields: dict[str, object]) -> str:
    """The status of the answer; of the response, if there is none."""
    reader = await Reader.ask(url, **fields)
    try:
        if reader.status != 200:
            return str(reader.status)
        status: str = (await reader.end())["status"]
        return status
    finally:
        reader.close()
