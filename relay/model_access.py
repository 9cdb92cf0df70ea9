"""Which models a key or token permits: patterns such as `openai/*`, or None for all models.

A star matches anything, slashes included, since providers' own names contain them. Nothing else is
special in a pattern, and matching takes time linear in the length of the name, which clients
choose.
"""

from collections.abc import Collection, Iterable

AllowedModels = tuple[str, ...] | None


def is_allowed(model: str, allowed: AllowedModels) -> bool:
    """Whether these patterns permit the model."""
    return allowed is None or any(_fits(model, pattern) for pattern in allowed)


def allowed_choices(models: Iterable[str], allowed: AllowedModels) -> list[str]:
    """Those of `models` that are permitted, and the permitted names without a star."""
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
