"""What an operator is told when MongoDB fails: which servers, what went wrong, what to do about it.

Made of names and numbers alone. The driver's own words may quote a document, which is what people
wrote, or the URL with its password.
"""

from urllib.parse import urlsplit

# By the server's code.
_REMEDIES = {
    13: "the user of storage.url may not do this; it needs readWrite and dbAdmin on the database",
    18: "user name or password of storage.url are wrong",
    20: "transactions need a replica set (one server will do) or a sharded cluster",
    121: "a document is not as the collection's validator wants it: is `server.py migrate` due?",
}


def words(error: str, code: int | None) -> str:
    """An error, by the name of its class and the server's code for it, and its remedy if known."""
    if error == "ServerSelectionTimeoutError":
        return "no server that takes writes was found"
    if code is None:
        return error
    remedy = _REMEDIES.get(code)
    return f"{error} (code {code})" + (f": {remedy}" if remedy else "")


def hosts(url: str) -> str:
    """The servers in a URL, without the user and password that may stand before them."""
    parts = urlsplit(url)
    if "@" in parts.path:  # a slash in the password: who knows where that ends
        return "?"
    return parts.netloc.rpartition("@")[2]
