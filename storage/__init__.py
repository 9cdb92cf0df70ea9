"""Stores for conversations.

`contract.py` says what a store promises, `values.py` what it takes and returns, `errors.py` what it
raises. `sqlite/` and `mongo/` implement the contract, and `factory.py` chooses between them by
`storage.url`.

Both use `pages.py`, which bounds pages, `cursors.py`, which leads from one page to the next,
`sizes.py`, which says what counts against a user's quota, `timestamps.py`, and
`tolerant_decoding.py`, which reads what another version wrote.
"""
