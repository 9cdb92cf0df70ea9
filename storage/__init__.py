"""Where conversations live.

`contract.py` says what a store promises, `values.py` what it takes and returns, `errors.py` what it
raises. `sqlite/` and `mongo/` keep the contract, each with a module for each of its parts, and
`factory.py` chooses between them by `storage.url`.

Both share `pages.py`, which cuts lists alike, `cursors.py`, which leads from one page to the next,
`sizes.py`, which says what counts as somebody's, and `tolerant_decoding.py`, which copes with what
this version cannot read.
"""
