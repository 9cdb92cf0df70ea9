"""HTTP out: calling providers as a streaming client and reading what they send.

`client.py` owns sockets and parses nothing; `sse.py` and the dialects parse and own no socket;
`provider.py` joins the two under four named timeouts.
"""
