"""Where conversations live. `base.py` is the contract; `sqlite.py` and `mongo.py` keep it.

`opening.py` chooses between them by `storage.url`, and `pages.py` cuts lists alike for both.
`rows.py` is SQLite's tables. MongoDB's documents are in `documents.py`, what it is asked in
`queries.py`, what it is told about its collections in `schema.py`, and what an operator is told of
its errors in `remedies.py`; `lanes.py` bounds the commands in flight. Only `mongo.py` imports motor
or pymongo.
"""
