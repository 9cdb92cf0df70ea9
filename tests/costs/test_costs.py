"""What tokens and questions cost, counted: calls, memory, system calls. No clock is read.

A regression of one call for a token fails here, on any machine, however busy it is. `bounds.py` has
the numbers; `python tests/costs/measuring.py` prints those of a working tree.
"""

from collections.abc import Callable

import pytest

from tests.costs import driven
from tests.costs.bounds import BOUNDS, SPARE, SYSTEM_CALLS, SYSTEM_CALLS_SPARE, TOLERANCE
from tests.costs.faults import Work
from tests.costs.measuring import measure, measure_system_calls

pytestmark = pytest.mark.slow

# Lines that each token or question might pass by mistake, and the cost that tells of them.
_TASK = "import asyncio; asyncio.ensure_future(asyncio.sleep(0))"
_TIMER = "import asyncio; asyncio.get_running_loop().call_later(3600, print)"
_KEPT = "globals().setdefault('kept', []).append({'model': self})"
_OF_TOKENS: dict[str, tuple[str, ...]] = {
    "id(self)": ("calls",),
    "{'model': self}": ("instructions",),
    _KEPT: ("kept_blocks",),
    _TASK: ("calls", "handles", "tasks"),
    _TIMER: ("calls", "handles"),
}
_FAULTS: dict[Work, dict[str, tuple[str, ...]]] = {
    "token": _OF_TOKENS,
    "shared token": _OF_TOKENS,
    "chat token": _OF_TOKENS,
    "question": {
        "[repr(n) for n in range(120)]": ("calls", "instructions"),
        # Fewer are within the spare; `tests/test_soak.py` sees one.
        "globals().setdefault('kept', []).extend({n: []} for n in range(10))": ("kept_blocks",),
        f"for _ in range(3): {_TASK}": ("handles", "tasks"),
        f"for _ in range(3): {_TIMER}": ("handles",),
    },
}


@pytest.mark.parametrize("work", driven.PER_WINDOW)
def test_costs_are_within_their_bounds_and_a_fault_shows(work: Work) -> None:
    faults = _FAULTS[work]

    costs, *faulty = measure(work, faults)

    bound, spare = BOUNDS[work], SPARE[work]
    for name, value in costs.items():
        most = getattr(bound, name) * TOLERANCE + getattr(spare, name)
        assert value <= most, f"a {work} costs {value:.2f} {name}, of {most:.2f}: {costs}"
    for (fault, names), with_fault in zip(faults.items(), faulty, strict=True):
        for name in names:
            added = getattr(with_fault, name) - getattr(costs, name)
            assert added > getattr(spare, name), f"{name} do not tell of {fault!r}: {with_fault}"


@pytest.mark.parametrize("work", driven.PER_WINDOW)
def test_system_calls_are_within_their_bounds_and_a_fault_shows(
    work: Work, needs: Callable[[str], str]
) -> None:
    strace = needs("strace")
    spare = SYSTEM_CALLS_SPARE[work]
    more = int(spare) + 2

    calls = measure_system_calls(strace, work)
    faulty = measure_system_calls(strace, work, f"import os; [os.getppid() for _ in range({more})]")

    each = calls.total() / driven.PER_WINDOW[work]
    assert each <= SYSTEM_CALLS[work] + spare, f"of {driven.PER_WINDOW[work]}: {calls}"
    assert faulty.total() / driven.PER_WINDOW[work] - each > spare
