"""Serves the API's description, as an OpenAPI document and as an HTML page."""

from functools import cache

import msgspec

from handlers.authorization import Access
from handlers.base import BaseHandler
from handlers.openapi.document import document
from handlers.openapi.html_page import STYLE_DIGEST, html_page


class ApiDocumentHandler(BaseHandler):
    """`GET /api/openapi.json`: the document. It needs no key, since the source is public too."""

    access = Access.EVERYBODY

    async def get(self) -> None:
        """Write the document as JSON."""
        self.set_header("Content-Type", "application/json; charset=utf-8")
        services = self.services
        await self.write_shared(_json(services.authenticator.asks_for_keys, services.base_path))


class ApiDocsHandler(BaseHandler):
    """`GET /api/docs`: the document as a page that loads no script and no other site's files."""

    access = Access.EVERYBODY

    async def get(self) -> None:
        """Write the page as HTML, under a policy that permits its own style sheet alone."""
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header(
            "Content-Security-Policy",
            f"default-src 'none'; style-src 'sha256-{STYLE_DIGEST}'; base-uri 'none'; "
            "form-action 'none'; frame-ancestors 'none'",
        )
        services = self.services
        await self.write_shared(_html(services.authenticator.asks_for_keys, services.base_path))


@cache
def _json(asks_for_keys: bool, base_path: str) -> bytes:
    return msgspec.json.encode(document(asks_for_keys=asks_for_keys, base_path=base_path))


@cache
def _html(asks_for_keys: bool, base_path: str) -> bytes:
    return html_page(document(asks_for_keys=asks_for_keys, base_path=base_path), base_path)


routes = [(r"/api/openapi\.json", ApiDocumentHandler), (r"/api/docs", ApiDocsHandler)]
