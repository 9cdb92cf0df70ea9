"""The OpenAPI 3.1 document, made of the table of operations and of the types of their bodies."""

import inspect
import re
from functools import cache
from typing import Any

import msgspec

from handlers.event_data import DeltaEvent, EndEvent, ResetEvent, StartEvent
from handlers.file_parts import UNTYPED_PARTS
from handlers.openapi.components import (
    JSON,
    REFUSALS,
    REQUEST_ID,
    Header,
    Operation,
    Parameter,
    Reply,
)
from handlers.openapi.operations import OPERATIONS
from handlers.response_bodies import Refusal

_REF = "#/components/schemas/{name}"

# The types of the events' data, by the events' names.
_EVENTS = {"start": StartEvent, "delta": DeltaEvent, "reset": ResetEvent, "end": EndEvent}

# The ids of events: a position in the answer, with `-end` on the last event. `start` has no id.
_EVENT_IDS = {"delta": "^[0-9]+$", "reset": "^[0-9]+$", "end": "^[0-9]+-end$"}

_ABOUT = (
    "Headrace relays the answers of LLM providers as streams of server-sent events, stores "
    "conversations, and lets readers resume a stream after their connection was lost. Bodies are "
    "JSON in UTF-8. Ids are opaque strings; times are RFC 3339 in UTC. Every response carries "
    "`X-Request-Id`. A method that a path does not support is answered with 405, and `Allow` lists "
    "the supported ones. Every path that supports GET supports HEAD."
)

# The ending by which the code distinguishes what clients get from what is stored.
_VIEW = re.compile(r"View(?=$|_|\])")

# Only Python's patterns need `\Z`: in other languages `$` matches at the very end of the text,
# unless a flag says otherwise.
_PYTHON_END = re.compile(r"\\Z$")

_KEY = {
    "type": "http",
    "scheme": "bearer",
    "description": 'An API key (`auth.mode = "keys"`) or a JSON Web Token (`auth.mode = "jwt"`).',
}
_TICKET = {
    "type": "apiKey",
    "in": "query",
    "name": "ticket",
    "description": (
        "A ticket from `POST /api/v1/answers/{answer_id}/ticket`, in place of a key. For "
        "EventSource, which cannot send headers."
    ),
}


@cache
def document(*, asks_for_keys: bool, base_path: str = "") -> dict[str, Any]:
    """The OpenAPI 3.1 document of a server that asks for keys, or of one that does not."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        described = _operation(operation)
        described["security"] = _security(operation) if asks_for_keys else []
        paths.setdefault(operation.path, {})[operation.method] = described
    _, schemas = msgspec.json.schema_components(_types(), ref_template=_REF)
    schemas["Event"] = _event()
    for question in ("Question", "Chat"):
        # Parts without a `type` become the others before the types of the bodies see them.
        _, parts = schemas[question]["properties"]["content"]["anyOf"]
        parts["items"] = {"anyOf": [parts["items"], *map(_schema, UNTYPED_PARTS.values())]}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Headrace", "version": "1", "description": _ABOUT},
        "servers": [{"url": base_path or "/"}],
        "paths": paths,
        "components": {
            "schemas": {
                _VIEW.sub("", name): _tidied(_public(schema)) for name, schema in schemas.items()
            },
            "responses": {_refusal(status): _reply(reply) for status, reply in REFUSALS.items()},
            "securitySchemes": {"key": _KEY, "ticket": _TICKET},
        },
    }


def _types() -> list[Any]:
    """The types of all bodies and events."""
    found: list[Any] = [Refusal, *_EVENTS.values(), *UNTYPED_PARTS.values()]
    for operation in OPERATIONS:
        found += [operation.body] if operation.body else []
        contents = [reply.content for reply in operation.replies.values()]
        for content in [*contents, operation.error or {}]:
            for what in content.values():
                kinds = what if isinstance(what, tuple) else (what,)
                found += [kind for kind in kinds if not isinstance(kind, dict)]
    return found


def _operation(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": _name(operation),
        "summary": operation.summary,
        "description": operation.description,
        "parameters": [*_in_path(operation.path), *map(_parameter, operation.parameters)],
        "responses": {
            **{str(status): _reply(reply) for status, reply in operation.replies.items()},
            **{str(status): _refused(status, operation) for status in operation.refusals},
        },
    }
    if operation.body is not None:
        described["requestBody"] = {
            "required": operation.needs_body,
            "content": {JSON: {"schema": _schema(operation.body)}},
        }
    return described


def _refused(status: int, operation: Operation) -> dict[str, Any]:
    if operation.error is None:
        return {"$ref": f"#/components/responses/{_refusal(status)}"}
    return _reply(REFUSALS[status]._replace(content=operation.error))


def _name(operation: Operation) -> str:
    """The operationId, which generated clients use as a function's name: `get_api_v1_models`."""
    return "_".join(re.findall(r"\w+", f"{operation.method} {operation.path}"))


def _security(operation: Operation) -> list[dict[str, list[str]]]:
    """The security schemes of an operation, any one of which is enough."""
    if not operation.needs_key:
        return []
    return [{"key": []}, {"ticket": []}] if operation.takes_ticket else [{"key": []}]


def _refusal(status: int) -> str:
    """The name of an error response. Not the status' phrase: it differs between Python versions."""
    return f"Refused{status}"


# What each event says, and what a client does with it.
_EVENT_WORDS = {
    "start": "The first event of every stream, also of a resumed one: which answer this is.",
    "delta": "The text, reasoning or tool call grew: append `data` to what was received.",
    "reset": "The answer's blocks from its beginning: they replace everything that was received.",
    "end": "The last event: the answer has ended, with this status.",
}


def _event() -> dict[str, Any]:
    """The schema of one event of a stream; `contentSchema` is that of the JSON in its `data`."""
    kinds = []
    for name, kind in _EVENTS.items():
        data = {
            "type": "string",
            "description": "One line of JSON.",
            "contentMediaType": "application/json",
            "contentSchema": _schema(kind),
        }
        fields: dict[str, Any] = {
            "event": {"const": name, "description": "The event's name."},
            "data": data,
        }
        if name in _EVENT_IDS:
            fields["id"] = {
                "type": "string",
                "pattern": _EVENT_IDS[name],
                "description": "The position after this event: send it as `Last-Event-ID` to go "
                "on from here.",
            }
        needed = list(fields)
        fields["retry"] = {
            "type": "integer",
            "description": "Milliseconds to wait before reconnecting if the stream is cut off.",
        }
        kinds.append(
            {
                "type": "object",
                "description": _EVENT_WORDS[name],
                "properties": fields,
                "required": needed,
            }
        )
    return {
        "description": "One event. A stream is a sequence of events with comments in between.",
        "oneOf": kinds,
    }


# What the ids in paths name.
_PATH_WORDS = {
    "response_id": "The response's id.",
    "conversation_id": "The id of a conversation, as a response gave it.",
    "answer_id": "The id of an answer, as a response or the `start` event gave it.",
    "chat_id": "The id of a chat, as its client chose it.",
    "file_id": "The id of an image or a file, as a block of a question has it.",
    "completion_id": "The id of a stored completion.",
    "item_id": "The id of an item, as a list of items or a response gave it.",
    "model": "The model, as `<provider>/<model>`.",
}


def _in_path(path: str) -> list[dict[str, Any]]:
    return [
        {
            "in": "path",
            "name": name,
            "required": True,
            "description": _PATH_WORDS[name],
            "schema": {"type": "string", "pattern": "^[^/]+$"},
            "example": "0f2c9a4b7d1e4c3f8a6b5d2e1c0f9a8b",
        }
        for name in re.findall(r"{(\w+)}", path)
    ]


def _parameter(parameter: Parameter) -> dict[str, Any]:
    described: dict[str, Any] = {
        "in": parameter.location,
        "required": parameter.required,
        "name": parameter.name,
        "description": parameter.description,
        "schema": dict(parameter.schema),
    }
    if parameter.example is not None:
        described["example"] = parameter.example
    return described


def _reply(reply: Reply) -> dict[str, Any]:
    described: dict[str, Any] = {
        "description": reply.description,
        "headers": {header.name: _header(header) for header in (REQUEST_ID, *reply.headers)},
    }
    if reply.content:
        described["content"] = {
            kind: {"schema": _schema(what)} for kind, what in reply.content.items()
        }
    return described


def _header(header: Header) -> dict[str, Any]:
    described: dict[str, Any] = {
        "description": header.description,
        "required": header.always,
        "schema": dict(header.schema),
    }
    if header.example is not None:
        described["example"] = header.example
    return described


def _schema(what: Any) -> Any:
    """The schema of a body: `what` itself if it is one, else references to the types' schemas."""
    if isinstance(what, dict):
        return what
    if isinstance(what, tuple):
        return {"anyOf": [_schema(each) for each in what]}
    (schema,), _ = msgspec.json.schema_components([what], ref_template=_REF)
    return _public(schema)


def _public(schema: Any) -> Any:
    """The schema with the types' public names, and with patterns that every language can read."""
    if isinstance(schema, list):
        return [_public(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {}
    for name, value in schema.items():
        if name in ("$ref", "title") and isinstance(value, str):
            found[name] = _VIEW.sub("", value)
        elif name == "pattern" and isinstance(value, str):
            found[name] = _PYTHON_END.sub("$", value)
        else:
            found[name] = _public(value)
    return found


def _tidied(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a type, its description without the indents that a docstring has in the code.

    A tag, such as a block's `type`, gets a description: msgspec makes the field without one.
    """
    schema["description"] = inspect.cleandoc(schema["description"])
    for field in schema.get("properties", {}).values():
        if "description" not in field:
            (tag,) = field["enum"]
            field["description"] = f"Always `{tag}`."
    return schema
