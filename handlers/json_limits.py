"""Checks of JSON objects that clients send and this server does not interpret.

Messages name no value and no field of the client's.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from model.embedded_json import check_depth, values_within

# Bytes and depth of `extra`, and the number of its fields: they are switches, and lists of some
# dozens of words at most, such as the domains that a search may look in.
_MAX_EXTRA_BYTES = 16_384
_MAX_EXTRA_DEPTH = 16
_MAX_EXTRA_FIELDS = 32

# Fields by which proxies let a request choose where it goes to and as whom. Letters only, in lower
# case, so that all spellings are one.
_ADDRESS = re.compile(r"(url|uri|apibase|endpoint|proxy|proxies|host)\Z")
_CREDENTIAL = re.compile(
    r"(apikeys?|secretkey|accesskey|accesskeyid|privatekey|clientsecret|secret|password|"
    r"authorization|credentials?|accesstoken|authtoken|bearertoken|headers|extraheaders|cookies?)\Z"
)

# An address of any kind, `data:` and protocol-relative ones included.
_URL = re.compile(r"\s*([A-Za-z][A-Za-z0-9+.-]*:)?//|\s*data:", re.IGNORECASE)


def check_extra(extra: Mapping[str, Any]) -> None:
    """Raise ValueError unless `extra` is small, and has no addresses and credentials in it.

    It becomes a part of the request to a provider, which may be a proxy that takes such fields for
    its own: nobody but the operator may choose where a question goes to, and who pays for it.
    """
    if len(extra) > _MAX_EXTRA_FIELDS:
        raise ValueError(f"`extra` has more than {_MAX_EXTRA_FIELDS} fields")
    check_depth(extra, _MAX_EXTRA_DEPTH)
    if len(msgspec.json.encode(extra)) > _MAX_EXTRA_BYTES:
        raise ValueError(f"`extra` is longer than {_MAX_EXTRA_BYTES:,} bytes as JSON")
    level: list[Any] = [extra]
    while level:
        for value in level:
            if isinstance(value, dict):
                _check_names(value)
            elif isinstance(value, str) and _URL.match(value):
                raise ValueError("`extra` may not have a URL in it")
        level = [inner for outer in level for inner in values_within(outer)]


def _check_names(fields: dict[str, Any]) -> None:
    for name in fields:
        letters = re.sub(r"[^a-z]", "", name.lower())
        if _ADDRESS.search(letters):
            raise ValueError("`extra` may not have fields for addresses in it")
        if _CREDENTIAL.search(letters):
            raise ValueError("`extra` may not have fields for credentials in it")
