"""The base of what clients send."""

import msgspec


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the bodies. Unknown fields are refused, so that a misspelt one is noticed."""
