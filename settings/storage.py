"""The store of conversations."""

import re

from pydantic import Field, field_validator

from settings.values import Section


class StorageSettings(Section):
    """The store of conversations.

    Its URL may contain a password: `masked` removes that for display.
    """

    url: str = Field("sqlite:///data/headrace.db", repr=False)

    @field_validator("url")
    @classmethod
    def _known_kind(cls, url: str) -> str:
        if not re.match(r"sqlite:///.|mongodb(\+srv)?://.", url) or "\0" in url:
            raise ValueError("should be sqlite:///path, mongodb://… or mongodb+srv://…")
        if url != url.strip():  # such as the CR of a file from Windows
            raise ValueError("begins or ends with white space, which would name another file")
        return url
