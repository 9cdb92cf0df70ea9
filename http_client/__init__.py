"""The HTTP client: Tornado's interface, and fetches that really end when they are cancelled.

It knows nothing of providers. `client.py` is what others use; `connecting.py` makes connections,
`connection.py` uses and keeps them, `http1.py` reads and writes the protocol without a socket.
"""
