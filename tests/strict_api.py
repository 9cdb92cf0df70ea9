"""What the strict scripted APIs have in common: how each refuses a request that is not valid."""

from typing import Any


class Refused(Exception):
    """The request is invalid, for the reason that this says."""


def need(holds: object, what: str) -> None:
    """Raises Refused unless `holds`."""
    if not holds:
        raise Refused(what)


def need_fields(value: Any, required: set[str], optional: set[str], where: str) -> None:
    """Raises Refused unless `value` is an object with all `required` fields and no unknown ones."""
    need(isinstance(value, dict), f"{where}: should be an object")
    need(required <= value.keys(), f"{where}: {required - value.keys()}: field required")
    extra = value.keys() - required - optional
    need(not extra, f"{where}: {extra}: extra inputs are not permitted")
