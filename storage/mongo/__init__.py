"""The store for many processes on many machines: MongoDB, through Motor.

The only folder of the project that imports motor or pymongo. `store.py` puts its parts together:
`connection.py` has the client and runs commands on it, `transactions.py` several of them as one,
`lifecycle.py` opens, migrates and closes the store; each other part of the contract has a module
of its name.

Pure functions beside them say what MongoDB holds (`documents.py`), what it is asked (`queries.py`),
what it is told about its collections (`schema.py`) and when (`migration.py`), and what an operator
is told of its errors (`error_hints.py`).
"""

import os

# Motor works in one pool of threads for the whole process, which has 5 for each core unless it is
# told otherwise before it is imported, hence here. 30 hung commands were seen to hold up an
# unrelated healthy one for 3 s: so the number is ours, and the limits on commands in
# `connection.py` are lower together. More threads would only wait for the same interpreter.
MOTOR_THREADS = 39

os.environ["MOTOR_MAX_WORKERS"] = str(MOTOR_THREADS)
