"""An HTTP client with Tornado's interface whose fetches can be cancelled.

The package knows nothing of providers. `client.py` is its public interface; `connecting.py` opens
connections, `poller.py` watches them, `connection.py` sends requests on them and reads responses,
`connection_pool.py` keeps the idle ones, and `http1.py` encodes requests and parses responses
without a socket.
"""
