"""The store for many processes on many machines: MongoDB, through Motor.

This is the only folder that imports motor or pymongo. `store.py` puts its parts together:
`connection.py` has the client and runs commands within the limits of `concurrency_limit.py`,
`transactions.py` runs several as one, `batches.py` gathers what comes at the same time, as
`ask_batches.py` does with questions, `lifecycle.py` opens, migrates and closes the store, and each
part of the contract has a module: `conversations.py`, `messages.py`, `files.py`, `asks.py`,
`idempotency_keys.py`, `live_answers.py`, `outbox.py`, `coordination.py`, `deletions.py`,
`api_keys.py`, `counts.py`.

Pure functions beside them define what MongoDB stores (`documents.py`), filters and updates
(`queries.py`), collections (`schema.py`) and their migration (`migration.py`). `errors.py`
translates the driver's errors, with messages for the operator from `error_hints.py`.
"""

import os

# Motor uses one pool of threads for the whole process, by default 5 per core, whose size is set
# before Motor is imported, hence here. 30 hanging commands delayed an unrelated healthy one by 3 s:
# so the number is explicit, and the limits on commands in `connection.py` are lower together. More
# threads would only wait for the same interpreter.
MOTOR_THREADS = 43

os.environ["MOTOR_MAX_WORKERS"] = str(MOTOR_THREADS)
