"""Which models one who asks may have: patterns such as `openai/*`, and None for any.

A star stands for anything, slashes included, since providers' own names have them. Nothing else is
special in a pattern, and a name is held against one in time that grows with its length alone:
clients choose names.
"""

from collections.abc import Collection, Iterable

AllowedModels = tuple[str, ...] | None


def is_allowed(model: str, allowed: AllowedModels) -> bool:
    """Whether somebody to whom these are allowed may ask this model."""
    return allowed is None or any(_fits(model, pattern) for pattern in allowed)


def allowed_choices(models: Iterable[str], allowed: AllowedModels) -> list[str]:
    """Those of `models` that are allowed, and whatever else is allowed by its whole name."""
    if allowed is None:
        return list(models)
    listed = [model for model in models if is_allowed(model, allowed)]
    return list(dict.fromkeys([*listed, *_whole_names(allowed)]))


def _whole_names(allowed: Collection[str]) -> Iterable[str]:
    return (pattern for pattern in allowed if "*" not in pattern)


def _fits(model: str, pattern: str) -> bool:
    first, *rest = pattern.split("*")
    if not rest:
        return model == pattern
    *middle, last = rest
    if not model.startswith(first):
        return False
    at = len(first)
    for part in middle:
        found = model.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return len(model) - at >= len(last) and model.endswith(last)
