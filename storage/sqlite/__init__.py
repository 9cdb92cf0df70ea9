"""The embedded store: one file, used by one server process, without a database server.

`store.py` assembles the parts: `connection.py` runs commands in the threads that use the file, and
`lifecycle.py` opens, migrates and closes the store; each other part of the contract has a module of
its name. Below that, `writer.py` and `readers.py` are the threads, which take commands from the
queues of `command_queues.py`; `file.py` opens, migrates and tidies the file, `lock.py` keeps a
second server from using it, and `lock_owner.py` finds out which process does.

The tables are defined in `tables.py`, and their rows in `rows.py`; `error_hints.py` and `errors.py`
turn SQLite's errors into messages for the operator, `vacuum.py` returns free pages to the file
system, and `migration_copy.py` keeps a copy of the file from before a migration. `backup.py` copies
the file of a running server, `restore.py` puts a copy in its place, `inspection.py` opens a
file outside of a server, `integrity_check.py` checks it for damage, and `integrity_monitor.py` does
so while the server runs.
"""
