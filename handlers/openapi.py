"""The API's own description: an OpenAPI document made of the handlers' types, and a page of it."""

import base64
import hashlib
import re
from functools import cache
from typing import Any

import msgspec
from tornado.template import Template

from handlers.admission import Access
from handlers.base import BaseHandler
from handlers.operations import (
    JSON,
    OPERATIONS,
    REFUSALS,
    REQUEST_ID,
    Header,
    Operation,
    Parameter,
    Reply,
)
from handlers.views import DeltaEvent, EndEvent, Refusal, ResetEvent, StartEvent

_REF = "#/components/schemas/{name}"

# The data of a stream's events, by their names.
_EVENTS = {"start": StartEvent, "delta": DeltaEvent, "reset": ResetEvent, "end": EndEvent}

# The id of an event: where to go on, and whether that was the end. `start` has none.
_EVENT_IDS = {"delta": "^[0-9]+$", "reset": "^[0-9]+$", "end": "^[0-9]+-end$"}

_ABOUT = (
    "Streams of LLM answers that outlive the connections of their readers. Ids are opaque, times "
    "are RFC 3339 in UTC. Every response carries `X-Request-Id`: the one that the request carried, "
    "or one of ours. A method that a path does not take is 405, and `Allow` names those it takes. "
    "Whatever takes GET takes HEAD."
)

# `\Z` is Python's; everybody else's `$` is as strict, for without a flag it does not pass over a
# line end.
_PYTHON_END = re.compile(r"\\Z$")

_KEY = {"type": "http", "scheme": "bearer", "description": "An API key or a token."}
_TICKET = {
    "type": "apiKey",
    "in": "query",
    "name": "ticket",
    "description": "In place of a key, for an EventSource, which can send no headers.",
}

_STYLE = """
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; font: 1rem/1.5 system-ui, sans-serif }
h2 { margin-top: 2.5rem; font-size: 1.1rem } code, pre { font-size: .9em }
pre { overflow-x: auto; padding: .75rem; background: #8881 } td { padding-right: 1.5rem }
"""

_PAGE = Template(
    """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{{ document["info"]["title"] }}</title>
<style>{% raw style %}</style>
<h1>{{ document["info"]["title"] }}</h1>
<p>{{ document["info"]["description"] }}</p>
<p><a href="openapi.json">openapi.json</a> is this page for programs.</p>
{% for path, methods in document["paths"].items() %}{% for method, operation in methods.items() %}
<h2><code>{{ method.upper() }} {{ base_path }}{{ path }}</code></h2>
<p>{{ operation["summary"] }}</p>
<table>
{% for each in operation.get("parameters", []) %}
<tr><td>{{ each["in"] }}</td><td><code>{{ each["name"] }}</code></td>
<td>{{ each["description"] }}</td></tr>
{% end %}
{% if "requestBody" in operation %}
<tr><td>body</td><td>{{ named(operation["requestBody"]["content"]) }}</td><td></td></tr>
{% end %}
{% for status, described in operation["responses"].items() %}
{% set reply = reply_of(document, described) %}
<tr><td>{{ status }}</td><td>{{ named(reply.get("content", {})) }}</td>
<td>{{ reply["description"] }}</td></tr>
{% end %}
</table>
{% end %}{% end %}
<h1>Schemas</h1>
{% for name, schema in document["components"]["schemas"].items() %}
<h2 id="{{ name }}"><code>{{ name }}</code></h2>
<pre>{{ shown(schema) }}</pre>
{% end %}
</html>
""",
    whitespace="oneline",
)


class DocumentHandler(BaseHandler):
    """The document. It is as public as this source."""

    access = Access.EVERYBODY

    async def get(self) -> None:
        """Write it."""
        self.set_header("Content-Type", "application/json; charset=utf-8")
        services = self.services
        await self.write_shared(_encoded(services.admission.asks_for_keys, services.base_path))


class PageHandler(BaseHandler):
    """The document as a page, without a script and without anybody else's files."""

    access = Access.EVERYBODY

    async def get(self) -> None:
        """Write it."""
        digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header(
            "Content-Security-Policy",
            f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; "
            "form-action 'none'; frame-ancestors 'none'",
        )
        services = self.services
        await self.write_shared(_page(services.admission.asks_for_keys, services.base_path))


@cache
def document(*, asks_for_keys: bool, base_path: str = "") -> dict[str, Any]:
    """The API as OpenAPI 3.1 has it, of a server that asks for keys or of one that does not."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        described = _operation(operation)
        described["security"] = _security(operation) if asks_for_keys else []
        paths.setdefault(operation.path, {})[operation.method] = described
    _, schemas = msgspec.json.schema_components(_types(), ref_template=_REF)
    schemas["Event"] = _event()
    return {
        "openapi": "3.1.0",
        "info": {"title": "Headrace", "version": "1", "description": _ABOUT},
        "servers": [{"url": base_path or "/"}],
        "paths": paths,
        "components": {
            "schemas": _portable(schemas),
            "responses": {_refusal(status): _reply(reply) for status, reply in REFUSALS.items()},
            "securitySchemes": {"key": _KEY, "ticket": _TICKET},
        },
    }


def _types() -> list[Any]:
    """Every type that the document names."""
    found: list[Any] = [Refusal, *_EVENTS.values()]
    for operation in OPERATIONS:
        found += [operation.body] if operation.body else []
        for reply in operation.replies.values():
            for what in reply.content.values():
                kinds = what if isinstance(what, tuple) else (what,)
                found += [kind for kind in kinds if not isinstance(kind, dict)]
    return found


def _operation(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": _name(operation),
        "summary": operation.words,
        "parameters": [*_in_path(operation.path), *map(_parameter, operation.parameters)],
        "responses": {
            **{str(status): _reply(reply) for status, reply in operation.replies.items()},
            **{
                str(status): {"$ref": f"#/components/responses/{_refusal(status)}"}
                for status in operation.refusals
            },
        },
    }
    if operation.body is not None:
        described["requestBody"] = {
            "required": operation.needs_body,
            "content": {JSON: {"schema": _schema(operation.body)}},
        }
    return described


def _name(operation: Operation) -> str:
    """What a program that is made of the document may call it: `get_api_v1_models`."""
    return "_".join(re.findall(r"\w+", f"{operation.method} {operation.path}"))


def _security(operation: Operation) -> list[dict[str, list[str]]]:
    """What lets a request in: one of these."""
    if not operation.needs_key:
        return []
    return [{"key": []}, {"ticket": []}] if operation.takes_ticket else [{"key": []}]


def _refusal(status: int) -> str:
    """A refusal's name among the document's responses. Not the phrase: Pythons differ in those."""
    return f"Refused{status}"


def _event() -> dict[str, Any]:
    """One event of a stream. Its data is JSON, whose schema `contentSchema` names."""
    kinds = []
    for name, kind in _EVENTS.items():
        data = {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": _schema(kind),
        }
        fields: dict[str, Any] = {"event": {"const": name}, "data": data}
        if name in _EVENT_IDS:
            fields["id"] = {"type": "string", "pattern": _EVENT_IDS[name]}
        needed = list(fields)
        fields["retry"] = {"type": "integer", "description": "In milliseconds."}
        kinds.append({"type": "object", "properties": fields, "required": needed})
    return {
        "description": "One event; a stream is many of them, and comments between.",
        "oneOf": kinds,
    }


def _in_path(path: str) -> list[dict[str, Any]]:
    return [
        {
            "in": "path",
            "name": name,
            "required": True,
            "description": "As the API gave it.",
            "schema": {"type": "string", "pattern": "^[^/]+$"},
        }
        for name in re.findall(r"{(\w+)}", path)
    ]


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "in": parameter.place,
        "name": parameter.name,
        "description": parameter.words,
        "schema": dict(parameter.schema),
    }


def _reply(reply: Reply) -> dict[str, Any]:
    described: dict[str, Any] = {
        "description": reply.words,
        "headers": {header.name: _header(header) for header in (REQUEST_ID, *reply.headers)},
    }
    if reply.content:
        described["content"] = {
            kind: {"schema": _schema(what)} for kind, what in reply.content.items()
        }
    return described


def _header(header: Header) -> dict[str, Any]:
    return {
        "description": header.words,
        "required": header.always,
        "schema": dict(header.schema),
    }


def _schema(what: Any) -> Any:
    """A schema as it is, or the reference to a type's, or to one of several."""
    if isinstance(what, dict):
        return what
    if isinstance(what, tuple):
        return {"anyOf": [_schema(each) for each in what]}
    (schema,), _ = msgspec.json.schema_components([what], ref_template=_REF)
    return schema


def _portable(schema: Any) -> Any:
    """The schema with patterns that are not Python's alone."""
    if isinstance(schema, dict):
        return {
            name: _PYTHON_END.sub("$", value)
            if name == "pattern" and isinstance(value, str)
            else _portable(value)
            for name, value in schema.items()
        }
    return [_portable(each) for each in schema] if isinstance(schema, list) else schema


@cache
def _encoded(asks_for_keys: bool, base_path: str) -> bytes:
    return msgspec.json.encode(document(asks_for_keys=asks_for_keys, base_path=base_path))


@cache
def _page(asks_for_keys: bool, base_path: str) -> bytes:
    said = document(asks_for_keys=asks_for_keys, base_path=base_path)
    return _PAGE.generate(
        document=said,
        base_path=base_path,
        style=_STYLE,
        named=_named,
        reply_of=_reply_of,
        shown=_shown,
    )


def _reply_of(said: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
    """A reply, or the one that it refers to."""
    _, _, name = reply.get("$ref", "").rpartition("/")
    found: dict[str, Any] = said["components"]["responses"][name] if name else reply
    return found


def _named(content: dict[str, Any]) -> str:
    """What a body is, in words: its kind, and the names of its schemas if they have any."""
    return ", ".join(
        f"{kind} {' or '.join(_names(each['schema']))}".strip() for kind, each in content.items()
    )


def _names(schema: dict[str, Any]) -> list[str]:
    parts = schema.get("anyOf", [schema])
    return [part["$ref"].rpartition("/")[2] for part in parts if "$ref" in part]


def _shown(schema: dict[str, Any]) -> str:
    return msgspec.json.format(msgspec.json.encode(schema), indent=2).decode()


routes = [(r"/api/openapi\.json", DocumentHandler), (r"/api/docs", PageHandler)]
