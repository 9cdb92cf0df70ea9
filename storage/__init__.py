"""Where conversations live. `base.py` is the contract; `sqlite/` and `mongo.py` keep it.

`opening.py` chooses between them by `storage.url`; `pages.py` cuts lists alike for both, `sizes.py`
says what counts as somebody's, and `reading.py` copes with what this version cannot read.

What MongoDB holds is in `documents.py`, what it is asked in `queries.py`, what it is told about its
collections in `schema.py`, when in `migration.py`, and what an operator is told of its errors in
`remedies.py`; `concurrency_limit.py` bounds the commands in flight. Only `mongo.py` imports motor
or pymongo.
"""
