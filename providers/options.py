"""How a prompt's options become fields of a provider's request: one table for each dialect.

A table names the options that the dialect can express. Whatever it does not name cannot be asked
of that dialect, and the question is refused before it is stored.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from model.prompt import Prompt
from providers.errors import UnsupportedOption


class Field(NamedTuple):
    """Where an option goes in the request's body, and how its value is spelled there.

    `path` has a dot between the names of nested objects. `convert` raises UnsupportedOption for a
    value that the API cannot express, and returns None where nothing needs to be sent.
    """

    path: str
    convert: Callable[[Any], Any] | None = None


OptionTable = Mapping[str, Field]


def write_options(body: dict[str, Any], prompt: Prompt, table: OptionTable) -> None:
    """Write the options of `prompt` into the request's `body`, `extra` last.

    Raises UnsupportedOption for an option that `table` does not name, and for a field of `extra`
    that is in `body` already or that `table` may write.
    """
    for name, value in prompt.options():
        if name == "extra":
            continue
        field = table.get(name)
        if field is None:
            raise UnsupportedOption(name)
        if field.convert is not None and (value := field.convert(value)) is None:
            continue
        *parents, last = field.path.split(".")
        target = body
        for parent in parents:
            target = target.setdefault(parent, {})
        target[last] = value
    own = {field.path.partition(".")[0] for field in table.values()} if prompt.extra else ()
    for name, value in prompt.extra.items():
        if name in body or name in own:
            raise UnsupportedOption(f"extra.{name}")
        body[name] = value
