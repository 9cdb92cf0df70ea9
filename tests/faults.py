"""A store that fails or hangs where a test says: faults that no socket can produce.

It stands between the relay and the real store of every server that `serve` starts:

    store.fail("end_answer")                # every call raises StorageError, and nothing is kept
    store.fail("ask", kept=True, times=1)   # one call does its work, and then raises
    gate = store.hold("ask")                # the next call waits for `gate.open.set()`
    await gate.reached.wait()
    store.heal()                            # from now on nothing fails
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from math import inf
from typing import Any, NamedTuple

import pytest

from app import composition
from storage.contract import Storage
from storage.errors import StorageError


class Gate(NamedTuple):
    """A call that waits: `reached` says that it was made, `open` lets it go on, `over` that it
    returned.
    """

    reached: asyncio.Event
    open: asyncio.Event
    over: asyncio.Event
    done: bool  # the work is done before the wait, not after it


class _Fault(NamedTuple):
    error: Exception
    kept: bool
    when: Callable[..., bool]


class FaultyStorage:
    """Passes every call on to the wrapped store, except those that a test lets fail or wait."""

    def __init__(self) -> None:
        self.wrapped: Storage | None = None
        self.calls: list[str] = []
        self._faults: dict[str, tuple[_Fault, float]] = {}
        self._gates: dict[str, list[Gate]] = {}
        self._waiting: list[Gate] = []
        self._called = asyncio.Event()

    def fail(
        self,
        name: str,
        *,
        error: Exception | None = None,
        kept: bool = False,
        times: float = inf,
        when: Callable[..., bool] = lambda *_, **__: True,
    ) -> None:
        """Let calls of `name` raise; with `kept`, only after their work is done.

        `when` gets a call's arguments and returns whether the call fails.
        """
        fault = _Fault(error or StorageError("the test says so"), kept, when)
        self._faults[name] = (fault, times)

    def heal(self) -> None:
        """Let no call fail or wait any more."""
        self._faults.clear()
        self._gates.clear()
        for gate in self._waiting:
            gate.open.set()

    def hold(self, name: str, *, done: bool = False) -> Gate:
        """Let the next call of `name` wait, before its work or, with `done`, after it."""
        gate = Gate(asyncio.Event(), asyncio.Event(), asyncio.Event(), done)
        self._gates.setdefault(name, []).append(gate)
        return gate

    async def called(self, name: str, times: int = 1) -> None:
        """Wait until `name` was called so often."""
        while self.calls.count(name) < times:
            self._called.clear()
            await self._called.wait()

    def __getattr__(self, name: str) -> Any:
        real = getattr(self.wrapped, name)
        if not asyncio.iscoroutinefunction(real):
            return real

        async def call(*arguments: Any, **named: Any) -> Any:
            return await self._call(name, real, *arguments, **named)

        return call

    async def _call(
        self, name: str, real: Callable[..., Awaitable[Any]], *arguments: Any, **named: Any
    ) -> Any:
        self.calls.append(name)
        self._called.set()
        gate = self._gates[name].pop(0) if self._gates.get(name) else None
        try:
            return await self._do(gate, name, real, *arguments, **named)
        finally:
            if gate is not None:
                gate.over.set()

    async def _do(
        self,
        gate: Gate | None,
        name: str,
        real: Callable[..., Awaitable[Any]],
        *arguments: Any,
        **named: Any,
    ) -> Any:
        if gate is not None and not gate.done:
            await self._pass(gate)
        fault, times = self._faults.get(name, (None, 0))
        if fault is not None and times > 0 and fault.when(*arguments, **named):
            self._faults[name] = (fault, times - 1)
            if fault.kept:
                await real(*arguments, **named)
            raise fault.error
        result = await real(*arguments, **named)
        if gate is not None and gate.done:
            await self._pass(gate)
        return result

    async def _pass(self, gate: Gate) -> None:
        self._waiting.append(gate)
        gate.reached.set()
        await gate.open.wait()


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyStorage]:
    """What stands before the store of every server that this test starts."""
    faulty = FaultyStorage()
    real = composition.from_url

    def opened(*arguments: Any, **named: Any) -> Any:
        faulty.wrapped = real(*arguments, **named)
        return faulty

    monkeypatch.setattr(composition, "from_url", opened)
    yield faulty
    faulty.heal()
