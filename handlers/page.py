"""Serves the chat page that `make web` built into web/dist, from memory.

The built files are a few hundred kilobytes and do not change while a server runs, so they are read
once, and no path that a client sends touches the disk. They refer to each other by relative
addresses, so that the page works below any path of a site.

What models write is shown in this page. Its headers protect users if the renderer has a bug: no
scripts but the built ones, no inline styles, no HTML made of strings, no frames, no forms, and no
requests to other hosts except for images, which the page loads on a click only.
"""

import re
from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple

from tornado.web import HTTPError

from handlers.authorization import Access
from handlers.base import BaseHandler

DIST = Path(__file__).resolve().parent.parent / "web" / "dist"

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: https:",  # blob: a stored image, which the page has fetched
        "connect-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        # HTML may be made of strings by Vue's static templates only.
        "require-trusted-types-for 'script'",
        "trusted-types vue",
    )
)

# The headers of index.html, at whichever address.
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-cache",
}

_NOT_BUILT = (
    "Headrace is running; its API is at /api/v1. The page is not built: that takes Node 20.19 or\n"
    "newer with npm, and `make web`. `make run` does it by itself where it finds them.\n"
)


class BuiltFile(NamedTuple):
    """A file of web/dist."""

    content_type: str
    body: bytes
    zipped: bytes | None


class PageHandler(BaseHandler):
    """index.html, at every address that the page routes by itself, such as a conversation's."""

    access = Access.EVERYBODY  # the page itself asks for a key if one is needed

    async def get(self, *_: str) -> None:
        """Write index.html, uncached, since it names the other files."""
        for name, value in HEADERS.items():
            self.set_header(name, value)
        index = index_at(self.request.path)
        if index is None:
            self.set_status(HTTPStatus.NOT_FOUND)
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            self.write(_NOT_BUILT)
            return
        await self.write_file(index)

    async def write_file(self, file: BuiltFile) -> None:
        """Write `file`, compressed if the client accepts that."""
        self.set_header("Content-Type", file.content_type)
        self.set_header("Cross-Origin-Resource-Policy", "same-origin")
        if file.zipped is None:
            await self.write_shared(file.body)
            return
        self.add_header("Vary", "Accept-Encoding")  # in addition to Origin, if origins are listed
        if "gzip" in self.request.headers.get("Accept-Encoding", ""):
            self.set_header("Content-Encoding", "gzip")
            await self.write_shared(file.zipped)
        else:
            await self.write_shared(file.body)


class BasePathRedirectHandler(BaseHandler):
    """Redirects from `base_path` without a slash, since relative addresses need the slash."""

    access = Access.EVERYBODY

    def get(self) -> None:
        """Redirect to the page."""
        query = f"?{self.request.query}" if self.request.query else ""
        self.set_header("Location", self.address(f"/{query}"))
        self.set_status(HTTPStatus.PERMANENT_REDIRECT)


class AssetHandler(PageHandler):
    """The files that index.html names; their names contain a hash of their content."""

    async def get(self, *names: str) -> None:
        """Write a file, to be cached for ever."""
        file = built_files(DIST).get(f"assets/{names[0]}")
        if file is None:
            raise HTTPError(HTTPStatus.NOT_FOUND)
        self.set_header("Cache-Control", "public, max-age=31536000, immutable")
        await self.write_file(file)


@cache
def built_files(folder: Path) -> Mapping[str, BuiltFile]:
    """The files below `folder` by their addresses; none if the page was not built.

    The build puts a `.gz` beside each file that it makes smaller. Files of other types than those
    named here are not served.
    """
    return {
        path.relative_to(folder).as_posix(): BuiltFile(
            _TYPES[path.suffix], path.read_bytes(), _read(path.with_name(f"{path.name}.gz"))
        )
        for path in sorted(folder.rglob("*"))
        if path.suffix in _TYPES
    }


def index_at(path: str) -> BuiltFile | None:
    """index.html for an address, perhaps folders below the page's own; None if it was not built."""
    index = built_files(DIST).get("index.html")
    depth = path.count("/") - 1
    if index is None or depth == 0:
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
    """The route of `base_path` without its slash."""
    return [(re.escape(base_path), BasePathRedirectHandler)] if base_path else []
