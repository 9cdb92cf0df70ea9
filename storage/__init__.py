"""Where conversations live. `base.py` is the contract; `sqlite.py` and `mongo.py` keep it.

`opening.py` chooses between them by `storage.url`; `pages.py` cuts lists alike for both, `sizes.py`
says what counts as somebody's, and `reading.py` copes with what this version cannot read.

Of SQLite, `sqlite_answers.py` and `sqlite_keys.py` are parts of the store, and `sqlite_threads.py`
is what they stand on. Below it, `sqlite_file.py` is the file as a whole, `file_lock.py` keeps a
second server out of it, and `file_holders.py` tells who has it; `writer.py` and `readers.py` have
the threads, and `commands.py` is what waits for them. Its tables are in `tables.py`, their rows in
`rows.py`; `copies.py` keeps the file as it was ahead of a migration, `space.py` gives room back,
and `sqlite_reasons.py` tells why it failed. `backups.py` copies it beside a server, `restoring.py`
puts a copy in its place, and `inspection.py` looks whether it is whole; `looking.py` does, behind a
start.

What MongoDB holds is in `documents.py`, what it is asked in `queries.py`, what it is told about its
collections in `schema.py`, when in `migration.py`, and what an operator is told of its errors in
`remedies.py`; `lanes.py` bounds the commands in flight. Only `mongo.py` imports motor or pymongo.
"""
