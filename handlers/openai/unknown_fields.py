"""The fields of a body that this server has no name for.

A provider with OpenAI's API may know them: they go on to it as `AskRequest.extra`. Everywhere else
they are refused by name, so that nothing a client asks for is lost without a word.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec

from handlers.errors import ApiError
from handlers.json_body import UNREADABLE, decoded, unreadable
from handlers.json_limits import check_extra
from handlers.openai.field_errors import unsupported_field

# Fields that name the asker or a cache and cannot change an answer: they are never refused.
_HARMLESS: Final = frozenset(
    {
        *("user", "safety_identifier"),
        *("prompt_cache_key", "prompt_cache_options", "prompt_cache_retention"),
    }
)

# Values of fields that ask for nothing but what happens without them.
_DEFAULTS: Final = (("service_tier", "auto"), ("service_tier", "default"), ("verbosity", "medium"))


# The fields of OpenAI's own with a word, by their paths in Responses, that chat completions have.
_OPENAI: Final = {"verbosity": "text.verbosity", "service_tier": "service_tier"}

# A wish that changes no answer: it is never refused.
_WISH: Final = "reasoning.summary"

# An empty object or list asks for nothing, but this one asks for a search.
_SEARCH: Final = "web_search_options"


def unknown_fields(data: bytes, kind: type[msgspec.Struct]) -> dict[str, Any]:
    """The fields in the JSON object `data` that `kind` lacks, without those that are null.

    Raises ApiError for one that is not valid: who decoded `data` as a `kind` has skipped it.
    """
    known = set(kind.__struct_encode_fields__)
    try:
        values = {
            name: msgspec.json.decode(value)
            for name, value in decoded(data, dict[str, msgspec.Raw]).items()
            if name not in known
        }
    except UNREADABLE as error:
        raise unreadable(error) from None
    return {name: value for name, value in values.items() if value is not None}


# How the client calls the options that `thinking_options` returns.
THINKING_NAMES: Final = {
    "reasoning_effort": "enable_thinking",
    "reasoning_budget": "thinking_budget",
}


def thinking_options(fields: dict[str, Any]) -> dict[str, Any]:
    """The options of an `AskRequest` that Qwen's switches for thinking are, which are taken out.

    Apps send these by a model's name. With OpenAI's API they go on as they are.
    """
    options: dict[str, Any] = {}
    if isinstance(is_on := fields.get("enable_thinking"), bool):
        options["reasoning_effort"] = "medium" if is_on else "none"
        del fields["enable_thinking"]
    budget = fields.get("thinking_budget")
    if type(budget) is int and 0 <= budget < 2**31:
        del fields["thinking_budget"]
        if is_on is not False:
            options["reasoning_budget"] = budget
    return options


def openai_options(fields: dict[str, Any], known: Mapping[str, str]) -> dict[str, Any]:
    """The `extra` for OpenAI's own fields that a provider without chat completions has; they are
    taken out. `known` tells where it has them.
    """
    extra: dict[str, Any] = {}
    for name, path in _OPENAI.items():
        value = fields.get(name)
        if path in known and isinstance(value, str) and (name, value) not in _DEFAULTS:
            extra |= _within(known[path], value)
            del fields[name]
    return extra


def openai_extra(asked: Mapping[str, str], known: Mapping[str, str]) -> dict[str, Any]:
    """The `extra` for OpenAI's own fields, by their paths in Responses.

    Raises ApiError 400 for one that the provider has not.
    """
    extra: dict[str, Any] = {}
    for path, value in asked.items():
        if path in known:
            extra |= _within(known[path], value)
        elif path != _WISH:
            raise _unknown_to_model(path)
    return extra


def _within(path: str, value: Any) -> dict[str, Any]:
    *parents, last = path.split(".")
    found = {last: value}
    for parent in reversed(parents):
        found = {parent: found}
    return found


def _unknown_to_model(name: str) -> ApiError:
    return unsupported_field(
        name,
        f"This model cannot be asked with the given `{name}`. Leave it out, or choose another "
        "model.",
    )


def check_unknown(fields: dict[str, Any], *, are_taken: bool) -> dict[str, Any]:
    """The fields that go on to the provider, which takes unknown fields or does not.

    Raises ApiError 400.
    """
    if not are_taken:
        for name, value in fields.items():
            is_empty = value in ({}, []) and name != _SEARCH
            if not is_empty and name not in _HARMLESS and (name, value) not in _DEFAULTS:
                raise _unknown_to_model(name)
        return {}
    try:
        check_extra(fields)
    except ValueError as error:
        words = str(error).replace("`extra`", "What is sent on to the provider")
        raise ApiError(HTTPStatus.BAD_REQUEST, "invalid_body", f"{words}.") from None
    return fields
