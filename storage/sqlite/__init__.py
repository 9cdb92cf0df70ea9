"""The embedded store: one file, one process, no server to install.

`store.py` has what it keeps, `answers.py` and `keys.py` are parts of it, and `connection.py` is
what they stand on. Below that, `file.py` is the file as a whole, `lock.py` keeps a second server out of
it, and `holders.py` tells who has it; `writer.py` and `readers.py` have the threads, and
`commands.py` is what waits for them. Its tables are in `tables.py`, their rows in `rows.py`;
`copies.py` keeps the file as it was ahead of a migration, `space.py` gives room back, and
`reasons.py` tells why it failed. `backups.py` copies it beside a server, `restoring.py` puts a copy
in its place, and `inspection.py` looks whether it is whole; `integrity_monitor.py` does, behind a start.
"""
