"""Headrace's server, which also says what its process holds: for soaks.

It takes the arguments of server.py. Each line on its standard input is answered by one of JSON on
its standard output: how many objects there are of each class. Objects made before the server was
ready are not counted, since it has set them aside.
"""

import asyncio
import contextvars
import gc
import json
import sys
import threading
import weakref
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[0] = str(ROOT)

from server import main  # noqa: E402 -- needs the path above


def held() -> dict[str, int]:
    """How many objects there are of each class, after garbage was collected."""
    gc.collect()
    counts: Counter[str] = Counter()
    for each in gc.get_objects():
        if not _is_spent(each):
            counts[f"{type(each).__module__}.{type(each).__qualname__}"] += 1
    return counts


def _is_spent(each: object) -> bool:
    """Whether it holds nothing, and is dropped by its library together with a hundred others.

    asyncio does so with cancelled handles, which have contexts still, and sqlite3 with references
    to cursors.
    """
    if isinstance(each, asyncio.Handle):
        return each.cancelled()
    if type(each) is weakref.ReferenceType:
        return each() is None
    return isinstance(each, contextvars.Context)


def _answer_lines() -> None:
    for _ in sys.stdin:
        print(json.dumps(held()), flush=True)


if __name__ == "__main__":
    threading.Thread(target=_answer_lines, daemon=True).start()
    sys.exit(main(sys.argv[1:]))
