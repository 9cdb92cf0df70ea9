"""The parts of a question that are images and files, in this API's spelling and in others'.

An image or a file has an https address, which only the model's provider fetches, or a `data:` URI
with its content. Clients that have parts as OpenAI, Anthropic or Gemini spell them can send those
as they are. Docstrings and descriptions of fields are part of the OpenAPI document.
"""

import re
from typing import Annotated, Any, Literal

from msgspec import Meta

from handlers.attached_files import DATA
from handlers.body import Body
from model.blocks import Block, FileBlock, ImageBlock

# Browsers and servers take addresses of about 2,000 characters.
_MAX_URL_CHARS = 2048
# User names and passwords do not belong into an address.
_HTTPS = re.compile(r"https://[^/?#@\s\\]+([/?#][!-~]*)?")

# As long as file systems allow, and printable: it is shown in a header.
_Name = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]+\Z")]

_URL = Meta(
    description="An https address, which the model's provider fetches and this server does not, or "
    "a `data:` URI with the content in base64.",
    examples=["data:image/png;base64,iVBORw0KGgo="],
)
_NAME = Meta(description="The file's name.", examples=["report.pdf"])


def check_address(url: str) -> None:
    """Return if `url` is an https address or a `data:` URI. Raises ValueError."""
    if url.startswith(DATA):
        return
    if len(url) > _MAX_URL_CHARS or _HTTPS.fullmatch(url) is None:
        raise ValueError("Expected an https address without a password, or a data: URI")


class Base64Source(Body, frozen=True, kw_only=True, tag_field="type", tag="base64"):
    """Content in base64, as Anthropic spells it."""

    media_type: Annotated[
        str,
        Meta(description="Not believed: the content shows its type.", examples=["image/png"]),
    ]
    data: Annotated[str, Meta(description="The content in base64.", examples=["iVBORw0KGgo="])]

    @property
    def address(self) -> str:
        """The content as a `data:` URI."""
        return f"{DATA}{self.media_type};base64,{self.data}"


class UrlSource(Body, frozen=True, kw_only=True, tag_field="type", tag="url"):
    """An address, as Anthropic spells it."""

    url: Annotated[str, _URL]

    def __post_init__(self) -> None:
        check_address(self.url)

    @property
    def address(self) -> str:
        """The address."""
        return self.url


Source = Base64Source | UrlSource

_SOURCE = Meta(description="The content as Anthropic spells it, in place of `url`.")


class ImagePart(Body, frozen=True, kw_only=True, tag_field="type", tag="image"):
    """A part of a question that is an image: PNG, JPEG, GIF or WebP."""

    url: Annotated[str | None, _URL] = None
    source: Annotated[Source | None, _SOURCE] = None

    def __post_init__(self) -> None:
        if (self.url is None) == (self.source is None):
            raise ValueError("Expected either `url` or `source`")
        if self.url is not None:
            check_address(self.url)

    def block(self) -> Block:
        """The block that is stored, its content still as a `data:` URI."""
        return ImageBlock(url=self.url if self.source is None else self.source.address)


class OpenAIFile(Body, frozen=True, kw_only=True):
    """A file as OpenAI spells it."""

    file_data: Annotated[str, Meta(description="A `data:` URI with the content in base64.")]
    filename: Annotated[_Name | None, _NAME] = None

    def __post_init__(self) -> None:
        if not self.file_data.startswith(DATA):
            raise ValueError("Expected a data: URI")


class FilePart(Body, frozen=True, kw_only=True, tag_field="type", tag="file"):
    """A part of a question that is a file: PDF or UTF-8 text."""

    url: Annotated[str | None, _URL] = None
    name: Annotated[_Name | None, _NAME] = None
    file: Annotated[
        OpenAIFile | None,
        Meta(description="The file as OpenAI spells it, in place of `url` and `name`."),
    ] = None

    def __post_init__(self) -> None:
        if (self.url is None) == (self.file is None) or (self.file and self.name is not None):
            raise ValueError("Expected either `url`, perhaps with `name`, or `file`")
        if self.url is not None:
            check_address(self.url)

    def block(self) -> Block:
        """The block that is stored, its content still as a `data:` URI."""
        if self.file is not None:
            return FileBlock(url=self.file.file_data, name=self.file.filename)
        return FileBlock(url=self.url, name=self.name)


class ImageUrl(Body, frozen=True, kw_only=True):
    """An image as OpenAI spells it."""

    url: Annotated[str, _URL]
    detail: Annotated[Literal["auto"], Meta(description="Only `auto`: the provider decides.")] = (
        "auto"
    )

    def __post_init__(self) -> None:
        check_address(self.url)


class ImageUrlPart(Body, frozen=True, kw_only=True, tag_field="type", tag="image_url"):
    """An image as OpenAI spells it; it is stored as an `image`."""

    image_url: Annotated[ImageUrl, Meta(description="The image.")]

    def block(self) -> Block:
        """The block that is stored, its content still as a `data:` URI."""
        return ImageBlock(url=self.image_url.url)


class DocumentPart(Body, frozen=True, kw_only=True, tag_field="type", tag="document"):
    """A file as Anthropic spells it; it is stored as a `file`."""

    source: Annotated[Source, Meta(description="The content or its address.")]
    title: Annotated[_Name | None, _NAME] = None

    def block(self) -> Block:
        """The block that is stored, its content still as a `data:` URI."""
        return FileBlock(url=self.source.address, name=self.title)


def with_types(body: Any) -> Any:
    """A body whose parts in Gemini's spelling, which has no `type`, are replaced by this API's.

    `body` is plain JSON of any shape; what is no such part is left as it is.
    """
    if not isinstance(body, dict) or not isinstance(body.get("content"), list):
        return body
    return {**body, "content": [_with_type(part) for part in body["content"]]}


def _with_type(part: Any) -> Any:
    if not isinstance(part, dict) or "type" in part:
        return part
    if part.keys() == {"text"}:
        return {"type": "text", **part}
    found = [part[name] for name in ("inlineData", "inline_data") if name in part]
    if len(found) != len(part) or len(found) != 1 or not isinstance(found[0], dict):
        return part
    fields = dict(found[0])
    media_type = fields.pop("mimeType", fields.pop("mime_type", None))
    data, name = fields.pop("data", None), fields.pop("displayName", None)
    if fields or not isinstance(media_type, str) or not isinstance(data, str):
        return part
    url = f"{DATA}{media_type};base64,{data}"
    if media_type.startswith("image/"):
        return {"type": "image", "url": url}
    return {"type": "file", "url": url} | ({} if name is None else {"name": name})
