"""The chat page: what `make web` built into web/dist, from memory.

The built files are a few hundred kilobytes and never change under a running server, so they are
read once, and a request can name nothing but one of them: no path of a client's touches the disk.
They name each other by relative addresses, and so work below any path of somebody's site.

Whatever a model writes ends up in this page. The headers are what holds should its renderer fail:
no script but the built ones, no inline style, no HTML from strings, no frame, no form, no request
to another host but for images, which the page loads only when told to.
"""

import re
from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple

from tornado.web import HTTPError

from handlers.authenticator import Access
from handlers.base import BaseHandler

DIST = Path(__file__).resolve().parent.parent / "web" / "dist"

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' https:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        # HTML may be made from strings by Vue's own static templates only, never by ours.
        "require-trusted-types-for 'script'",
        "trusted-types vue",
    )
)

_NOT_BUILT = (
    "Headrace is running; its API is at /api/v1. The page is not built: that takes Node 20.19 or\n"
    "newer with npm, and `make web`. `make run` does it by itself where it finds them.\n"
)


class Built(NamedTuple):
    """A file of web/dist."""

    content_type: str
    body: bytes
    zipped: bytes | None


class PageHandler(BaseHandler):
    """index.html, for the addresses that the page itself routes: a conversation has one."""

    access = Access.EVERYBODY  # the page asks for a key where one is needed

    async def get(self, *_: str) -> None:
        """Send it; it is asked for anew each time, because it names the other files."""
        self.set_header("Content-Security-Policy", _POLICY)
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cross-Origin-Opener-Policy", "same-origin")
        self.set_header("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
        self.set_header("Cache-Control", "no-cache")
        index = built(DIST).get("index.html")
        if index is None:
            self.set_status(HTTPStatus.NOT_FOUND)
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            self.write(_NOT_BUILT)
            return
        await self.write_built(_at(self.request.path.count("/") - 1, index))

    async def write_built(self, file: Built) -> None:
        """Send `file`, as small as the client takes it."""
        self.set_header("Content-Type", file.content_type)
        self.set_header("Cross-Origin-Resource-Policy", "same-origin")
        if file.zipped is None:
            await self.write_shared(file.body)
            return
        self.add_header("Vary", "Accept-Encoding")  # beside Origin, where origins are listed
        if "gzip" in self.request.headers.get("Accept-Encoding", ""):
            self.set_header("Content-Encoding", "gzip")
            await self.write_shared(file.zipped)
        else:
            await self.write_shared(file.body)


class BasePathRedirectHandler(BaseHandler):
    """The path below which a proxy has us, as people type it: what is relative needs the slash."""

    access = Access.EVERYBODY

    def get(self) -> None:
        """Say where the page is."""
        query = f"?{self.request.query}" if self.request.query else ""
        self.set_header("Location", self.address(f"/{query}"))
        self.set_status(HTTPStatus.PERMANENT_REDIRECT)


class AssetHandler(PageHandler):
    """The files that index.html names. Their names hold a hash of what is in them."""

    async def get(self, *names: str) -> None:
        """Send one, to be kept for as long as anything is."""
        file = built(DIST).get(f"assets/{names[0]}")
        if file is None:
            raise HTTPError(HTTPStatus.NOT_FOUND)
        self.set_header("Cache-Control", "public, max-age=31536000, immutable")
        await self.write_built(file)


@cache
def built(folder: Path) -> Mapping[str, Built]:
    """The files under `folder` by their names in addresses; none if it was not built.

    The build puts a `.gz` beside whatever is smaller so. Of a type that is not named here there is
    nothing to serve.
    """
    return {
        path.relative_to(folder).as_posix(): Built(
            _TYPES[path.suffix], path.read_bytes(), _read(path.with_name(f"{path.name}.gz"))
        )
        for path in sorted(folder.rglob("*"))
        if path.suffix in _TYPES
    }


def _at(depth: int, index: Built) -> Built:
    """index.html for an address so many folders below the page's own."""
    if depth == 0:
        return index
    return index._replace(body=index.body.replace(b'"./', b'"' + depth * b"../"), zipped=None)


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


routes = [
    (r"/", PageHandler),
    (r"/c/[^/]+", PageHandler),
    (r"/assets/([^/]+)", AssetHandler),
]


def base_path_redirect(base_path: str) -> list[tuple[str, type[BaseHandler]]]:
    """The route of a path below which a proxy has us."""
    return [(re.escape(base_path), BasePathRedirectHandler)] if base_path else []
