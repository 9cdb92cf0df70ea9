"""Random ids, of which a question takes four, made many at a time.

A call to the system for random bytes gives up the interpreter, which a thread of the store may take
then, and that costs more than the rest of a new id. Secrets, such as API keys, are not made here.
"""

import os

# Ids that are made at once. They are 8 KB.
_COUNT = 256

_BYTES = 16
ID_DIGITS = 2 * _BYTES

_ids: list[str] = []


def random_id() -> str:
    """Return a new id: 128 random bits as hexadecimal digits.

    May be called in any thread, since taking an id out of a list is one step.
    """
    while True:
        try:
            return _ids.pop()
        except IndexError:
            digits = os.urandom(_COUNT * _BYTES).hex()
            _ids.extend(digits[at : at + ID_DIGITS] for at in range(0, len(digits), ID_DIGITS))


# A child process would return the same ids as its parent.
os.register_at_fork(after_in_child=_ids.clear)
