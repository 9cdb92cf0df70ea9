"""What a token and a question may cost, and how far a measurement may be off.

The figures are those of `python tests/costs/measuring.py` with CPython 3.11. Lower them when a
change has lowered the costs. Raise one only for something that is worth it to every reader of every
answer, and say in the commit what that is.
"""

import sys

from tests.costs.faults import Work
from tests.costs.measuring import Costs

# With SQLite, a provider of OpenAI's dialect, and both connections kept. A token has one reader, a
# shared token nine. A chat token is one of a chat completion, which is stored like the others.
BOUNDS: dict[Work, Costs] = {
    "token": Costs(calls=143.4, handles=0.0, tasks=0.0, instructions=1153.7, kept_blocks=0.1),
    "shared token": Costs(
        calls=583.3, handles=0.0, tasks=0.0, instructions=5137.8, kept_blocks=0.1
    ),
    "chat token": Costs(calls=140.4, handles=0.0, tasks=0.0, instructions=1121.7, kept_blocks=0.1),
    "question": Costs(calls=3016, handles=33.3, tasks=5.0, instructions=13810, kept_blocks=2.9),
}

# A token is the same each time: less than one call, one task in ten tokens or one literal of a
# dict is seen. A question passes threads, and which of them waits for which is a matter of chance.
_SPARE_OF_TOKENS = Costs(calls=0.5, handles=0.05, tasks=0.05, instructions=2, kept_blocks=0.4)
SPARE: dict[Work, Costs] = {
    "token": _SPARE_OF_TOKENS,
    "shared token": _SPARE_OF_TOKENS,
    "chat token": _SPARE_OF_TOKENS,
    "question": Costs(calls=100, handles=2.0, tasks=1.0, instructions=100, kept_blocks=4),
}

# System calls, those of the driving sides included: for a token one to send it, and one for each
# reader to receive its event; for a question four. A question also writes to SQLite's file.
SYSTEM_CALLS: dict[Work, float] = {
    "token": 7.0,
    "shared token": 23.0,
    "chat token": 7.0,
    "question": 142.0,
}
SYSTEM_CALLS_SPARE: dict[Work, float] = {
    "token": 0.3,
    "shared token": 0.3,
    "chat token": 0.3,
    "question": 12.0,
}

# Other versions of Python compile to other instructions, and call helpers of their own: there a
# cost may be so many times as high.
TOLERANCE = 1.0 if sys.version_info[:2] == (3, 11) else 1.25
