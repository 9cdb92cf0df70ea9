"""What a token and a question may cost, and how far a measurement may be off.

The figures are those of `python tests/costs/measuring.py` with CPython 3.11. Lower them when a
change has lowered the costs. Raise one only for something that is worth it to every reader of every
answer, and say in the commit what that is.
"""

import sys

from tests.costs.measuring import Costs

# With one reader, SQLite, a provider of OpenAI's dialect, and both connections kept.
BOUNDS = {
    "token": Costs(calls=144.4, handles=0.0, tasks=0.0, instructions=1156.7, kept_blocks=0.1),
    "question": Costs(calls=3329, handles=43.1, tasks=7.0, instructions=13360, kept_blocks=2.5),
}

# A token is the same each time: less than one call, one task in ten tokens or one literal of a
# dict is seen. A question passes threads, and which of them waits for which is a matter of chance.
SPARE = {
    "token": Costs(calls=0.5, handles=0.05, tasks=0.05, instructions=2, kept_blocks=0.4),
    "question": Costs(calls=70, handles=0.6, tasks=0.4, instructions=60, kept_blocks=4),
}

# System calls, those of the driving sides included: for a token two (it is sent, and its event
# received), for a question four. A question writes to the file, as much as SQLite has to.
SYSTEM_CALLS = {"token": 8.0, "question": 142.0}
SYSTEM_CALLS_SPARE = {"token": 0.3, "question": 12.0}

# Other versions of Python compile to other instructions, and call helpers of their own: there a
# cost may be so many times as high.
TOLERANCE = 1.0 if sys.version_info[:2] == (3, 11) else 1.25
