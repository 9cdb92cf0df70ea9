"""Configures the memory management of Python and the C library for a process that runs for
weeks.
"""

import gc
from contextlib import suppress

# Collection took a tenth of the CPU with Python's first threshold of 700: a stream's objects are
# freed by their counts, and cycles are few.
_GC_FIRST_THRESHOLD = 50_000


# From glibc's malloc.h, and what it begins with itself: bytes.
_M_MMAP_THRESHOLD = -3
_MMAP_THRESHOLD = 128 * 1024


def tune_garbage_collector() -> None:
    """Run the garbage collector rarely, and not over the objects that the start has made."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GC_FIRST_THRESHOLD)


def return_freed_memory() -> None:
    """Have glibc return large freed blocks to the system.

    By default it learns to keep such blocks after the first was freed, and 35 of a megabyte each,
    between other freed ones, take 117 MB. This costs half a millisecond a megabyte.
    """
    # Another C library has no such function; and where memory cannot be made executable, ctypes
    # may not load.
    with suppress(ImportError, AttributeError, OSError, MemoryError):
        import ctypes

        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _MMAP_THRESHOLD)
