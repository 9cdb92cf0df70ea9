"""Measures what a token and a question cost: `python tests/costs/measuring.py` prints it.

With `--calls` it prints also which functions are called for one.
"""

import asyncio
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[2])

from tests.costs import driven
from tests.costs.counting import Calls, instructions, kept_blocks, system_calls
from tests.costs.faults import Work, line_added

# Two are enough where more is to be seen, rather than no more.
_WINDOWS_WITH_FAULT = 2
# Then something has not come, and nothing goes on.
_MOST_SECONDS = 300


class Costs(NamedTuple):
    """What one token or one question costs the server."""

    calls: float  # of functions in Python and in C, in all threads
    handles: float  # that the event loop runs: callbacks, steps of tasks, timers
    tasks: float
    instructions: float  # of the server's own bytecode, in the loop's thread
    kept_blocks: float  # of memory, that are not freed when it is over

    def items(self) -> Iterable[tuple[str, float]]:
        """The costs with their names."""
        return self._asdict().items()

    def __str__(self) -> str:
        return ", ".join(f"{name}={value:.2f}" for name, value in self.items())


def measure(work: Work, faults: Iterable[str] = ()) -> list[Costs]:
    """The costs without a fault, and with each of these lines as one."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_measure(work, Path(folder), faults))


async def _measure(work: Work, folder: Path, faults: Iterable[str]) -> list[Costs]:
    costs = []
    with Calls() as calls:
        async with asyncio.timeout(_MOST_SECONDS), driven.warm(folder, work) as window:
            for fault in (None, *faults):
                each = driven.PER_WINDOW[work]
                if fault is None:
                    costs.append(await _costs(calls, window, driven.WINDOWS, each))
                else:
                    with line_added(work, fault):
                        costs.append(await _costs(calls, window, _WINDOWS_WITH_FAULT, each))
    return costs


async def _costs(calls: Calls, window: driven.Window, windows: int, each: int) -> Costs:
    counted = [await calls.of(window) for _ in range(windows)]
    executed = [await instructions(window) for _ in range(windows)]
    # Not the least: what one window frees another one may have made.
    kept = sum([await kept_blocks(window) for _ in range(windows)]) / windows
    return Costs(
        calls=min(counts.total() for counts in counted) / each,
        handles=min(_count(counts, "Handle.__init__") for counts in counted) / each,
        tasks=min(_count(counts, "BaseEventLoop.create_task") for counts in counted) / each,
        instructions=min(executed) / each,
        kept_blocks=kept / each,
    )


def _count(counts: Counter[tuple[str, str]], function: str) -> int:
    return sum(count for (_, name), count in counts.items() if name == function)


def measure_system_calls(strace: str, work: Work, fault: str | None = None) -> Counter[str]:
    """The system calls of the window that has the fewest, by name, for all of the window."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        command = [strace, "-f", "-qq", "-o", str(log), sys.executable, driven.__file__]
        subprocess.run([*command, work, folder, *([fault] if fault else [])], check=True)
        return min(system_calls(log.read_text()), key=Counter.total)


async def _functions(work: Work, folder: Path) -> Counter[tuple[str, str]]:
    with Calls() as calls:
        async with driven.warm(folder, work) as window:
            return await calls.of(window)


def main() -> None:
    """Print the costs of each."""
    for work in driven.PER_WINDOW:
        print(work, *measure(work))
        if "--calls" in sys.argv:
            with tempfile.TemporaryDirectory() as folder:
                counts = asyncio.run(_functions(work, Path(folder)))
            for (file, function), count in counts.most_common():
                each = count / driven.PER_WINDOW[work]
                print(f"{each:8.2f}  {file.rpartition('/')[2]} {function}")


if __name__ == "__main__":
    main()
