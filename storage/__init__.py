"""Where conversations live. `base.py` is the contract; `sqlite.py` and `mongo.py` keep it.

`mongo.py` is the only module of the project that imports motor or pymongo.
"""
