"""Headrace's server, which also says what its process holds: for soaks.

It takes the arguments of server.py. Each line on its standard input is answered by one of JSON on
its standard output: how many objects there are of each class of ours, of asyncio's and of
Tornado's. Objects made before the server was ready are not counted, since it has set them aside.
"""

import gc
import json
import sys
import threading
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[0] = str(ROOT)

from server import main  # noqa: E402 -- needs the path above

# Tasks, handles and futures are of asyncio's; sockets are counted wherever they are used.
_LIBRARIES = {"asyncio", "_asyncio", "tornado", "socket", "ssl"}


def held() -> dict[str, int]:
    """How many objects there are of each class, after garbage was collected."""
    gc.collect()
    ours = {path.name for path in ROOT.iterdir() if path.is_dir()} | _LIBRARIES
    counts: Counter[str] = Counter()
    for each in gc.get_objects():
        cls = type(each)
        if cls.__module__.partition(".")[0] in ours:
            counts[f"{cls.__module__}.{cls.__qualname__}"] += 1
    return counts


def _answer_lines() -> None:
    for _ in sys.stdin:
        print(json.dumps(held()), flush=True)


if __name__ == "__main__":
    threading.Thread(target=_answer_lines, daemon=True).start()
    sys.exit(main(sys.argv[1:]))
