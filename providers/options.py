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
    value that the API cannot express, and returns None where nothing needs to be sent. A shared
    field has other members too: `extra` may bring it where the option is unset.
    """

    path: str
    convert: Callable[[Any], Any] | None = None
    is_shared: bool = False

    @property
    def name(self) -> str:
        """The field's outermost name in the body."""
        return self.path.partition(".")[0]


# Few options take more than one field.
OptionTable = Mapping[str, Field | tuple[Field, ...]]


def write_options(body: dict[str, Any], prompt: Prompt, table: OptionTable) -> None:
    """Write the options of `prompt` into the request's `body`, `extra` last.

    Raises UnsupportedOption for an option that `table` does not name, and for a field of `extra`
    that is in `body` already or that `table` may write.
    """
    for name, value in prompt.options():
        if name == "extra":
            continue
        fields = table.get(name)
        if fields is None:
            raise UnsupportedOption(name)
        for field in _each(fields):
            _write(body, field, value)
    if prompt.extra:
        own = {
            field.name
            for fields in table.values()
            for field in _each(fields)
            if not field.is_shared
        }
        for name, value in prompt.extra.items():
            if name in body or name in own:
                raise UnsupportedOption(f"extra.{name}")
            body[name] = value


def _each(fields: Field | tuple[Field, ...]) -> tuple[Field, ...]:
    return (fields,) if isinstance(fields, Field) else fields


def _write(body: dict[str, Any], field: Field, value: Any) -> None:
    if field.convert is not None and (value := field.convert(value)) is None:
        return
    *parents, last = field.path.split(".")
    for parent in parents:
        body = body.setdefault(parent, {})
    body[last] = value
