"""How a prompt's options become fields of a provider's request: one table for each dialect.

A table names the options that the dialect can express. Whatever it does not name cannot be asked
of that dialect, and the question is refused before it is stored, unless it asks for nothing.
"""

from collections.abc import Callable, Mapping, Set
from typing import Any, Final, NamedTuple

from model.prompt import Prompt
from providers.errors import UnsupportedOption


class Field(NamedTuple):
    """Where an option goes in the request's body, and how its value is spelled there.

    `path` has a dot between the names of nested objects. `convert` raises UnsupportedOption for a
    value that the API cannot express, and returns None where nothing needs to be sent.
    """

    path: str
    convert: Callable[[Any], Any] | None = None


# Values that ask for nothing but what happens without them. Many apps send them with each question.
_NEUTRAL: Final = (
    *(("presence_penalty", 0), ("frequency_penalty", 0)),
    *(("top_p", 1), ("parallel_tool_calls", True)),
)

# Few options take more than one field.
OptionTable = Mapping[str, Field | tuple[Field, ...]]


def write_options(
    body: dict[str, Any],
    prompt: Prompt,
    table: OptionTable,
    own_fields: frozenset[str] = frozenset(),
) -> None:
    """Write the options of `prompt` into the request's `body`, `extra` last.

    Objects of `extra` are merged into those of `body`. Raises UnsupportedOption for an option that
    `table` does not name, unless its value asks for nothing, and for a field of `extra` that is in
    `body` already, that `table` may write, or whose path is one of `own_fields`.
    """
    for name, value in prompt.options():
        if name == "extra":
            continue
        fields = table.get(name)
        if fields is None:
            if (name, value) in _NEUTRAL:
                continue
            raise UnsupportedOption(name)
        for field in _each(fields):
            _write(body, field, value)
    if prompt.extra:
        fields_of_table = {field.path for fields in table.values() for field in _each(fields)}
        ours = fields_of_table | own_fields
        parents = {path[:place] for path in ours for place, each in enumerate(path) if each == "."}
        _merge(body, prompt.extra, ours, parents, "")


def _each(fields: Field | tuple[Field, ...]) -> tuple[Field, ...]:
    return (fields,) if isinstance(fields, Field) else fields


def _write(body: dict[str, Any], field: Field, value: Any) -> None:
    if field.convert is not None and (value := field.convert(value)) is None:
        return
    *parents, last = field.path.split(".")
    for parent in parents:
        body = body.setdefault(parent, {})
    body[last] = value


def _merge(
    body: dict[str, Any],
    extra: Mapping[str, Any],
    ours: Set[str],
    parents: Set[str],
    above: str,
) -> None:
    for name, value in extra.items():
        path = above + name
        is_object = path in parents or type(body.get(name)) is dict
        if is_object and path not in ours and isinstance(value, Mapping):
            _merge(body.setdefault(name, {}), value, ours, parents, f"{path}.")
        elif is_object or path in ours or name in body:
            raise UnsupportedOption(f"extra.{path}")
        else:
            body[name] = value
