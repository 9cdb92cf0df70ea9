"""Words pydantic's errors for operators: the setting, by the name that they gave it, and the
reason.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic_core import ErrorDetails


class WrittenFile(NamedTuple):
    """The settings file and its content."""

    file: Path
    tree: Mapping[str, Any]

    def has(self, path: tuple[str, ...]) -> bool:
        """Whether the file has a value or a table at `path`."""
        found: Any = self.tree
        for part in path:
            if isinstance(found, list) and part.isdecimal():
                return True
            if not isinstance(found, Mapping) or part not in found:
                return False
            found = found[part]
        return True


def error_message(
    details: ErrorDetails, origins: Mapping[tuple[str, ...], str], written: WrittenFile
) -> str:
    """Return the message for one of pydantic's errors: the setting and what is wrong with it.

    The setting has the name under which it was set, such as that of an environment variable. If it
    was set in the file, the message names the file, because the operator may be looking at another
    one.
    """
    path = tuple(str(part) for part in details["loc"] if part != "[key]")
    match details["type"]:
        case "value_error":  # from a validator of ours, for this path or for a table as a whole
            problem = str(details["ctx"]["error"])
            of_its_table = (*path, *problem.split(" ")[0].split("."))
            listed = path[:-1] if path and path[-1].isdecimal() else path  # a variable has the list
            name = origins.get(path) or origins.get(of_its_table) or origins.get(listed)
            if name is None and (written.has(of_its_table) or (path and written.has(path))):
                problem = f"{problem} (in {written.file})"
            return _named(name or ".".join(path), problem)
        case "extra_forbidden":
            problem = "unknown setting"
        case "missing":
            problem = "is required"
        case "model_type" | "model_attributes_type" | "dict_type":
            problem = "is a table of settings, not a value"
        case _:
            problem = details["msg"].removeprefix("Input ")
    # A variable may name a setting within the table that is wrong, or the table around it.
    near = (name for known, name in origins.items() if known[: len(path)] == path[: len(known)])
    name = next(near, None)
    table = path[:-1] if details["type"] == "missing" else path
    if name is None and table and written.has(table):
        problem = f"{problem} (in {written.file})"
    return _named(name or ".".join(path), problem)


def _named(name: str, problem: str) -> str:
    return f"{name}: {problem}" if name else problem
