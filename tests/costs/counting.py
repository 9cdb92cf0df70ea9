"""Counts what a window of driven work makes the interpreter and the system do."""

import gc
import re
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from types import FrameType
from typing import Any

from tests.costs import driven
from tests.rooms import ROOT

# What drives and what counts is no part of the cost.
_OURS = {driven.__file__, __file__}
_ROOT = f"{ROOT}/"

# Which of these are made, and how many, depends on which thread is quicker, and on how much memory
# the C library has at hand.
_BY_CHANCE = {"futex", "mprotect", "mmap", "munmap", "madvise", "brk", "rt_sigreturn"}


class Calls:
    """Counts calls of functions, in Python and in C, in this thread and in all that begin while it
    is entered.
    """

    def __init__(self) -> None:
        self._is_counting = False
        self._counts: Counter[tuple[str, str]] = Counter()

    def __enter__(self) -> "Calls":
        threading.setprofile(self._profile)
        return self

    def __exit__(self, *_: object) -> None:
        threading.setprofile(None)

    def _profile(self, frame: FrameType, event: str, arg: Any) -> None:
        code = frame.f_code
        if self._is_counting and code.co_filename not in _OURS:
            if event == "call":
                self._counts[code.co_filename, code.co_qualname] += 1
            elif event == "c_call":
                self._counts[code.co_filename, f"{code.co_qualname} → {arg.__name__}"] += 1

    async def of(self, window: driven.Window) -> Counter[tuple[str, str]]:
        """The calls of the window, by file and function; of C functions by that of the caller."""
        self._counts = Counter()
        before = sys.getprofile()
        self._is_counting = True
        sys.setprofile(self._profile)
        try:
            await window()
        finally:
            sys.setprofile(before)
            self._is_counting = False
        return self._counts


async def instructions(window: driven.Window) -> int:
    """How many bytecode instructions of the server the window executes, in the loop's thread.

    Calls do not tell of an object that a literal makes, and that is thrown away; these do.
    """
    count = 0

    def in_frame(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal count
        if event == "opcode":
            count += 1
        return in_frame

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        file = frame.f_code.co_filename
        if not file.startswith(_ROOT) or file in _OURS or "/.venv/" in file:
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        return in_frame

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        await window()
    finally:
        sys.settrace(before)
    return count


async def kept_blocks(window: driven.Window) -> int:
    """How many blocks of memory the window has made and not freed."""
    gc.collect()
    before = sys.getallocatedblocks()
    await window()
    gc.collect()
    return sys.getallocatedblocks() - before


def system_calls(log: str) -> Iterator[Counter[str]]:
    """The system calls of each window by name, of what `strace -f` has written."""
    counts: Counter[str] | None = None
    for line in log.splitlines():
        if driven.BEGIN.decode() in line:
            counts = Counter()
        elif driven.END.decode() in line:
            assert counts is not None
            yield counts
            counts = None
        elif counts is not None and (call := re.match(r"\d+ +(\w+)\(", line)):
            counts[call[1]] += call[1] not in _BY_CHANCE
