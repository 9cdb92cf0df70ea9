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
from handlers.operations import JSON, OPERATIONS, Operation, Parameter, Reply
from handlers.views import DeltaEvent, EndEvent, Refusal, ResetEvent, StartEvent

_REF = "#/components/schemas/{name}"

# The data of a stream's events: no body of any request, so no operation names them.
_EVENTS = (StartEvent, DeltaEvent, ResetEvent, EndEvent)

_ABOUT = (
    "Streams of LLM answers that outlive the connections of their readers. Ids are opaque, times "
    "are RFC 3339 in UTC. Every response carries `X-Request-Id`: the one that the request carried, "
    "or one of ours."
)

# `\Z` is Python's; everybody else's `$` is as strict, for without a flag it does not pass over a
# line end.
_PYTHON_END = re.compile(r"\\Z$")

_KEY = {
    "type": "http",
    "scheme": "bearer",
    "description": 'An API key or a token; nothing with `auth.mode = "none"`.',
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
<h2><code>{{ method.upper() }} {{ path }}</code></h2>
<p>{{ operation["summary"] }}</p>
<table>
{% for each in operation.get("parameters", []) %}
<tr><td>{{ each["in"] }}</td><td><code>{{ each["name"] }}</code></td>
<td>{{ each["description"] }}</td></tr>
{% end %}
{% if "requestBody" in operation %}
<tr><td>body</td><td>{{ named(operation["requestBody"]["content"]) }}</td><td></td></tr>
{% end %}
{% for status, reply in operation["responses"].items() %}
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

    def get(self) -> None:
        """Write it."""
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.write(_encoded())


class PageHandler(BaseHandler):
    """The document as a page, without a script and without anybody else's files."""

    access = Access.EVERYBODY

    def get(self) -> None:
        """Write it."""
        digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header(
            "Content-Security-Policy",
            f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; "
            "form-action 'none'; frame-ancestors 'none'",
        )
        self.write(_page())


@cache
def document() -> dict[str, Any]:
    """The API as OpenAPI 3.1 has it."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation)
    _, schemas = msgspec.json.schema_components(_types(), ref_template=_REF)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Headrace", "version": "1", "description": _ABOUT},
        "paths": paths,
        "components": {"schemas": _portable(schemas), "securitySchemes": {"key": _KEY}},
        "security": [{"key": []}],
    }


def _types() -> list[Any]:
    """Every type that the document names."""
    found: list[Any] = [Refusal, *_EVENTS]
    for operation in OPERATIONS:
        found += [operation.body] if operation.body else []
        for reply in operation.replies.values():
            found += [kind for kind in reply.content.values() if not isinstance(kind, dict)]
    return found


def _operation(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": _name(operation),
        "summary": operation.words,
        "parameters": [*_in_path(operation.path), *map(_parameter, operation.parameters)],
        "responses": {str(status): _reply(reply) for status, reply in operation.replies.items()},
    }
    described["responses"]["default"] = _reply(
        Reply("Refused; the code in it says why.", {JSON: Refusal})
    )
    if not operation.needs_key:
        described["security"] = []
    if operation.body is not None:
        described["requestBody"] = {
            "required": operation.needs_body,
            "content": {JSON: {"schema": _schema(operation.body)}},
        }
    return described


def _name(operation: Operation) -> str:
    """What a program that is made of the document may call it: `get_api_v1_models`."""
    return "_".join(re.findall(r"\w+", f"{operation.method} {operation.path}"))


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
    content = {kind: {"schema": _schema(what)} for kind, what in reply.content.items()}
    return {"description": reply.words} | ({"content": content} if content else {})


def _schema(what: Any) -> Any:
    """A schema as it is, or the reference to a type's."""
    if isinstance(what, dict):
        return what
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
def _encoded() -> bytes:
    return msgspec.json.encode(document())


@cache
def _page() -> bytes:
    return _PAGE.generate(document=document(), style=_STYLE, named=_named, shown=_shown)


def _named(content: dict[str, Any]) -> str:
    """What a body is, in words: its kind, and the name of its schema if it has one."""
    return ", ".join(
        f"{kind} {each['schema'].get('$ref', '').rpartition('/')[2]}".strip()
        for kind, each in content.items()
    )


def _shown(schema: dict[str, Any]) -> str:
    return msgspec.json.format(msgspec.json.encode(schema), indent=2).decode()


routes = [(r"/api/openapi\.json", DocumentHandler), (r"/api/docs", PageHandler)]
