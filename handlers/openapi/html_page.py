"""The OpenAPI document as an HTML page, without scripts or files from other hosts."""

import base64
import hashlib
from typing import Any

import msgspec
from tornado.template import Template

_STYLE = """
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; font: 1rem/1.5 system-ui, sans-serif }
h2 { margin-top: 2.5rem; font-size: 1.1rem } code, pre { font-size: .9em }
pre { overflow-x: auto; padding: .75rem; background: #8881 } td { padding-right: 1.5rem }
"""

# Names the style sheet in the page's Content-Security-Policy, so that no other one applies.
STYLE_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

_PAGE = Template(
    """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{{ document["info"]["title"] }}</title>
<style>{% raw style %}</style>
<h1>{{ document["info"]["title"] }}</h1>
<p>{{ document["info"]["description"] }}</p>
<p>The same as an OpenAPI document: <a href="openapi.json">openapi.json</a></p>
{% for path, methods in document["paths"].items() %}{% for method, operation in methods.items() %}
<h2><code>{{ method.upper() }} {{ base_path }}{{ path }}</code></h2>
<p>{{ operation["summary"] }} {{ operation["description"] }}</p>
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


def html_page(document: dict[str, Any], base_path: str) -> bytes:
    """The document as HTML, whose only style is that of STYLE_DIGEST."""
    return _PAGE.generate(
        document=document,
        base_path=base_path,
        style=_STYLE,
        named=_named,
        reply_of=_reply_of,
        shown=_shown,
    )


def _reply_of(described: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
    """The response itself, or the shared one that it refers to."""
    _, _, name = reply.get("$ref", "").rpartition("/")
    found: dict[str, Any] = described["components"]["responses"][name] if name else reply
    return found


def _named(content: dict[str, Any]) -> str:
    """A body as the page shows it: its media type, and the names of its schemas if it has any."""
    return ", ".join(
        f"{kind} {' or '.join(_names(each['schema']))}".strip() for kind, each in content.items()
    )


def _names(schema: dict[str, Any]) -> list[str]:
    parts = schema.get("anyOf", [schema])
    return [part["$ref"].rpartition("/")[2] for part in parts if "$ref" in part]


def _shown(schema: dict[str, Any]) -> str:
    return msgspec.json.format(msgspec.json.encode(schema), indent=2).decode()
