"""Shows settings as TOML, with secrets masked."""

import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, SecretStr

from settings.tree import Settings

MASK = "**********"


def describe(settings: Settings) -> str:
    """Return the effective settings as TOML text, with secrets masked."""
    return "\n".join(_toml(settings, ())).strip() + "\n"


def masked(url: str) -> str:
    """Return a URL without the password in it."""
    url = re.sub(r"://([^:/?#@]*):.*@", rf"://\1:{MASK}@", url)
    return re.sub(r"(?i)((?:password|properties)=)[^&#]*", rf"\1{MASK}", url)  # of MongoDB


def _toml(table: Any, path: tuple[str, ...]) -> list[str]:
    """Return the lines of one table, with plain values before nested tables, as TOML requires."""
    items = dict(table)
    if isinstance(table, Settings):
        items["default_model"] = table.effective_default_model
    lines = ["", f"[{'.'.join(path)}]"] if path and isinstance(table, BaseModel) else []
    inner: list[str] = []
    for name, value in items.items():
        if isinstance(value, BaseModel | Mapping):
            inner += _toml(value, (*path, name))
        elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
            for each in value:
                _, _, *fields = _toml(each, (name,))
                inner += ["", f"[[{name}]]", *fields]
        elif value is not None:
            lines.append(f"{name} = {_toml_value(value)}")
    return lines + inner


def _toml_value(value: object) -> str:
    if isinstance(value, SecretStr):
        return f'"{MASK}"'
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml_value, value))}]"
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    return json.dumps(masked(str(value)), ensure_ascii=False).replace("\x7f", "\\u007f")
