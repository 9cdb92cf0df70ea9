"""Scenes of the runbook: each makes something go wrong and names the lines that this logs."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import pytest

ANYTHING = "…"

# How often to look for a line that nobody else tells of: 40 seconds, for a machine that is busy.
_TRIES = 800
_PAUSE = 0.05


def pattern(line: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, line.split(ANYTHING))))


class Stage:
    """What a scene may use: servers, what stands around them, and the log so far."""

    def __init__(self, request: pytest.FixtureRequest, log: pytest.LogCaptureFixture) -> None:
        self._request = request
        self._log = log
        self.said: list[str] = []  # by processes of their own

    def __getattr__(self, name: str) -> Any:
        return self._request.getfixturevalue(name)

    @property
    def lines(self) -> list[str]:
        return [*self.said, *(record.getMessage() for record in self._log.records)]

    def has(self, line: str) -> bool:
        return any(pattern(line).match(each) for each in self.lines)

    async def shows(self, *lines: str) -> None:
        """Wait until the log has them."""
        missing = list(lines)
        for _ in range(_TRIES):
            missing = [line for line in missing if not self.has(line)]
            if not missing:
                return
            await asyncio.sleep(_PAUSE)
        pytest.fail(f"not in the log: {missing}")


class Scene(NamedTuple):
    play: Callable[[Stage], Awaitable[None]]
    needs: tuple[str, ...]  # fixtures, which have to be made outside of the loop


SCENES: dict[Scene, list[str]] = {}


def scene(*lines: str, needs: str = "serve") -> Callable[[Any], Any]:
    """This coroutine makes the log have these lines; it is given `needs` by its stage."""

    def register(play: Callable[[Stage], Awaitable[None]]) -> Callable[[Stage], Awaitable[None]]:
        SCENES[Scene(play, tuple(needs.split()))] = list(lines)
        return play

    return register


def lines_of(play: Callable[[Stage], Awaitable[None]]) -> list[str]:
    """The lines that a scene leaves."""
    return next(lines for each, lines in SCENES.items() if each.play is play)
