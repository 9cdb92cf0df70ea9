"""Where conversations live. `base.py` is the contract; `sqlite/` and `mongo/` keep it.

`opening.py` chooses between them by `storage.url`; `pages.py` cuts lists alike for both, `sizes.py`
says what counts as somebody's, and `reading.py` copes with what this version cannot read.
"""
