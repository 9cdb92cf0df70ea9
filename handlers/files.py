"""The images and files of questions, for the user who sent them.

What a user sent may be hostile to whoever opens it, so a browser is told to run nothing of it: the
type is the one that the content shows, only images are shown in place, and the policy puts the
response in a sandbox without scripts.
"""

from urllib.parse import quote

from handlers.base import BaseHandler
from storage.values import StoredFile

# Seconds for which the user's own browser need not ask again. A file never changes, but it may be
# deleted with its conversation.
_MAX_AGE = 3600

_POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'"


class FileHandler(BaseHandler):
    """`GET /files/{id}`: an image or a file of a question."""

    async def get(self, file_id: str) -> None:
        """Write the content."""
        budget = self.services.relay.unsent_budget
        async with budget.loading(self.user):
            file = await self.services.storage.file(self.user, file_id)
            self.hold_unsent(len(file.data))
        is_text = file.media_type.startswith("text/")
        self.set_header("Content-Type", f"{file.media_type}{'; charset=utf-8' if is_text else ''}")
        self.set_header("Content-Disposition", _disposition(file))
        self.set_header("Content-Security-Policy", _POLICY)
        self.set_header("Cross-Origin-Resource-Policy", "same-origin")
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cache-Control", f"private, max-age={_MAX_AGE}")
        self.add_header("Vary", "Authorization, Headrace-User")
        await self.write_shared(file.data)


def _disposition(file: StoredFile) -> str:
    """How a browser is to treat the file: it shows images, and saves all others."""
    kind = "inline" if file.media_type.startswith("image/") else "attachment"
    if file.name is None:
        return kind
    # RFC 6266: the second form, which browsers prefer, has the name as it is.
    plain = "".join(char if char.isalnum() and char.isascii() else "_" for char in file.name)
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(file.name, safe='')}"


routes = [(r"/api/v1/files/([^/]+)", FileHandler)]
