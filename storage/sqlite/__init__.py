"""The embedded store: one file, one process, no server to install.

`store.py` puts its parts together: `connection.py` runs commands in the threads that have the file,
`lifecycle.py` opens, migrates and closes the store; each other part of the contract has a module of
its name. Below that, `writer.py` and `readers.py` have the threads, and `command_queues.py` is what
they take commands from; `file.py` is the file as a whole, `lock.py` keeps a second server out of
it, and `lock_owner.py` tells who has it.

The tables are in `tables.py`, their rows in `rows.py`; `error_hints.py` tells why SQLite failed,
`errors.py` puts what is wrong with the file into words, `vacuum.py` gives room back, and
`migration_copy.py` keeps the file as it was before a migration. `backup.py` copies the file beside
a server, `restore.py` puts a copy in its place, `inspection.py` looks for damage, and
`integrity_monitor.py` does so while the server runs.
"""
