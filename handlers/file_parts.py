"""The parts of a question that are images and files, in this API's spelling and in others'.

An image or a file has an https address, which only the model's provider fetches, or a `data:` URI
with its content. Clients that have parts as OpenAI, Anthropic, Gemini or Qwen-VL spell them can
send those as they are. Docstrings and descriptions of fields are part of the OpenAPI document.
"""

import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from handlers.attached_files import DATA
from handlers.body import Body
from model.blocks import Block, FileBlock, ImageBlock

# Browsers and servers take addresses of about 2,000 characters.
_MAX_URL_CHARS = 2048
# User names and passwords do not belong into an address. The page of the documentation shows the
# pattern: `/{2}` keeps it from looking like an address there.
_HTTPS = r"https:/{2}[^/?#@\s\\]+([/?#][!-~]*)?"
DATA_PATTERN = {"pattern": f"^{DATA}"}

# `check_address` holds strings to it, and says what was expected in words.
Url = Annotated[
    str,
    Meta(
        extra_json_schema={
            "anyOf": [
                DATA_PATTERN,
                {"pattern": rf"^{_HTTPS}\Z", "maxLength": _MAX_URL_CHARS},
            ]
        }
    ),
]

# As long as file systems allow, and printable: it is shown in a header.
_Name = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]+\Z")]

_URL = Meta(
    description="An https address, which the model's provider fetches and this server does not, or "
    "a `data:` URI with the content in base64.",
    examples=["data:image/png;base64,iVBORw0KGgo="],
)
_NAME = Meta(description="The file's name.", examples=["report.pdf"])

# It becomes the head of a `data:` URI, which ends with the first comma.
_MediaType = Annotated[str, Meta(pattern=r"^[^,]*\Z")]
_MEDIA_TYPE = Meta(description="Not believed: the content shows its type.", examples=["image/png"])
_BASE64 = Meta(description="The content in base64.", examples=["iVBORw0KGgo="])


def check_address(url: str) -> None:
    """Return if `url` is an https address or a `data:` URI. Raises ValueError, which says what to
    do and does not quote it.
    """
    if url.startswith(DATA):
        return
    if url.startswith("http:"):
        raise ValueError("Expected an https address, not http; or send the content as a data: URI")
    if len(url) > _MAX_URL_CHARS:
        raise ValueError(
            f"Expected an address of at most {_MAX_URL_CHARS:,} characters; or send the content as "
            "a data: URI"
        )
    if re.fullmatch(_HTTPS, url) is None:
        raise ValueError(
            "Expected an https address in ASCII, without a space or a password; or send the "
            "content as a data: URI"
        )


class Base64Source(Body, frozen=True, kw_only=True, tag_field="type", tag="base64"):
    """Content in base64, as Anthropic spells it."""

    media_type: Annotated[_MediaType, _MEDIA_TYPE]
    data: Annotated[str, _BASE64]

    @property
    def address(self) -> str:
        """The content as a `data:` URI."""
        return f"{DATA}{self.media_type};base64,{self.data}"


class UrlSource(Body, frozen=True, kw_only=True, tag_field="type", tag="url"):
    """An address, as Anthropic spells it."""

    url: Annotated[Url, _URL]

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

    url: Annotated[Url | None, _URL] = None
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

    file_data: Annotated[
        str,
        Meta(
            description="A `data:` URI with the content in base64.",
            examples=["data:application/pdf;base64,JVBERi0xLjc="],
            extra_json_schema=DATA_PATTERN,
        ),
    ]
    filename: Annotated[_Name | None, _NAME] = None

    def __post_init__(self) -> None:
        if not self.file_data.startswith(DATA):
            raise ValueError("Expected a data: URI")


class FilePart(Body, frozen=True, kw_only=True, tag_field="type", tag="file"):
    """A part of a question that is a file: PDF or UTF-8 text."""

    url: Annotated[Url | None, _URL] = None
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


# By OpenAI's SDK. Which of them a model knows, its provider says.
ImageDetail = Literal["auto", "low", "high", "original"]

IMAGE_DETAIL = Meta(
    description="How closely the model looks at it: providers with OpenAI's API are sent this, "
    "others decide themselves, as with `auto`."
)


def stored_detail(detail: ImageDetail | None) -> str | None:
    """A detail as it is stored: None if the provider decides."""
    return None if detail == "auto" else detail


class ImageUrl(Body, frozen=True, kw_only=True):
    """An image as OpenAI spells it."""

    url: Annotated[Url, _URL]
    detail: Annotated[ImageDetail, IMAGE_DETAIL] = "auto"

    def __post_init__(self) -> None:
        check_address(self.url)


class ImageUrlPart(Body, frozen=True, kw_only=True, tag_field="type", tag="image_url"):
    """An image as OpenAI spells it; it is stored as an `image`."""

    image_url: Annotated[ImageUrl, Meta(description="The image.")]

    def block(self) -> Block:
        """The block that is stored, its content still as a `data:` URI."""
        return ImageBlock(url=self.image_url.url, detail=stored_detail(self.image_url.detail))


class DocumentPart(Body, frozen=True, kw_only=True, tag_field="type", tag="document"):
    """A file as Anthropic spells it; it is stored as a `file`."""

    source: Annotated[Source, Meta(description="The content or its address.")]
    title: Annotated[_Name | None, _NAME] = None

    def block(self) -> Block:
        """The block that is stored, its content still as a `data:` URI."""
        return FileBlock(url=self.source.address, name=self.title)


class GeminiTextPart(Body, frozen=True, kw_only=True):
    """Text as Gemini and Qwen-VL spell it, without a `type`; it is stored as a `text`."""

    text: Annotated[str, Meta(description="The text.", examples=["What is a headrace?"])]

    @property
    def typed(self) -> dict[str, str]:
        """The part in this API's spelling."""
        return {"type": "text", "text": self.text}


_GEMINI_TYPE = Meta(
    description="An image if it begins with `image/`, else a file. The rest is not believed: the "
    "content shows its type.",
    examples=["image/png"],
)


class GeminiData(Body, frozen=True, kw_only=True, rename="camel"):
    """Content as Gemini spells it. Images have no name."""

    mime_type: Annotated[_MediaType, _GEMINI_TYPE]
    data: Annotated[str, _BASE64]
    display_name: Annotated[_Name | None, _NAME] = None


class GeminiSnakeData(Body, frozen=True, kw_only=True):
    """Content as Gemini's clients in Python spell it. Images have no name."""

    mime_type: Annotated[_MediaType, _GEMINI_TYPE]
    data: Annotated[str, _BASE64]
    display_name: Annotated[_Name | None, _NAME] = None


_INLINE = Meta(description="The content.")


class GeminiDataPart(Body, frozen=True, kw_only=True, rename="camel"):
    """An image or a file as Gemini spells it, without a `type`; stored as `image` or `file`."""

    inline_data: Annotated[GeminiData, _INLINE]

    @property
    def typed(self) -> dict[str, str]:
        """The part in this API's spelling."""
        return _typed(self.inline_data)


class GeminiSnakeDataPart(Body, frozen=True, kw_only=True):
    """An image or a file as Gemini's clients in Python spell it; stored as `image` or `file`."""

    inline_data: Annotated[GeminiSnakeData, _INLINE]

    @property
    def typed(self) -> dict[str, str]:
        """The part in this API's spelling."""
        return _typed(self.inline_data)


class GeminiFile(Body, frozen=True, kw_only=True, rename="camel"):
    """An address as Gemini spells it. Images have no name."""

    mime_type: Annotated[_MediaType, _GEMINI_TYPE]
    file_uri: Annotated[Url, _URL]
    display_name: Annotated[_Name | None, _NAME] = None


class GeminiSnakeFile(Body, frozen=True, kw_only=True):
    """An address as Gemini's clients in Python spell it. Images have no name."""

    mime_type: Annotated[_MediaType, _GEMINI_TYPE]
    file_uri: Annotated[Url, _URL]
    display_name: Annotated[_Name | None, _NAME] = None


_FILE_DATA = Meta(description="The address.")


class GeminiFilePart(Body, frozen=True, kw_only=True, rename="camel"):
    """An image or a file by its address as Gemini spells it; stored as `image` or `file`."""

    file_data: Annotated[GeminiFile, _FILE_DATA]

    @property
    def typed(self) -> dict[str, str]:
        """The part in this API's spelling."""
        return _typed(self.file_data)


class GeminiSnakeFilePart(Body, frozen=True, kw_only=True):
    """An image or a file by its address as Gemini's clients in Python spell it; stored as `image`
    or `file`.
    """

    file_data: Annotated[GeminiSnakeFile, _FILE_DATA]

    @property
    def typed(self) -> dict[str, str]:
        """The part in this API's spelling."""
        return _typed(self.file_data)


class QwenImagePart(Body, frozen=True, kw_only=True):
    """An image as Qwen-VL spells it, without a `type`; it is stored as an `image`."""

    image: Annotated[Url, _URL]

    @property
    def typed(self) -> dict[str, str]:
        """The part in this API's spelling."""
        return {"type": "image", "url": self.image}


def _typed(data: GeminiData | GeminiSnakeData | GeminiFile | GeminiSnakeFile) -> dict[str, str]:
    if isinstance(data, GeminiFile | GeminiSnakeFile):
        url = data.file_uri
    else:
        url = f"{DATA}{data.mime_type};base64,{data.data}"
    if data.mime_type.startswith("image/"):
        return {"type": "image", "url": url}
    named = {} if data.display_name is None else {"name": data.display_name}
    return {"type": "file", "url": url} | named


# The parts without a `type`, by the field that each has.
UNTYPED_PARTS = {
    "text": GeminiTextPart,
    "inlineData": GeminiDataPart,
    "inline_data": GeminiSnakeDataPart,
    "fileData": GeminiFilePart,
    "file_data": GeminiSnakeFilePart,
    "image": QwenImagePart,
}


def with_types(body: Any) -> Any:
    """A body whose parts that have no `type`, in Gemini's or Qwen-VL's spelling, are replaced by
    this API's.

    `body` is plain JSON of any shape; what is no such part is left as it is.
    """
    if not isinstance(body, dict) or not isinstance(body.get("content"), list):
        return body
    return {**body, "content": [_with_type(part) for part in body["content"]]}


def _with_type(part: Any) -> Any:
    if not isinstance(part, dict) or len(part) != 1:
        return part
    kind = UNTYPED_PARTS.get(*part)
    if kind is None:
        return part
    try:
        return msgspec.convert(part, kind).typed
    except msgspec.ValidationError:
        return part


def ollama_image(base64: str) -> Block:
    """The block of an image as Ollama spells it: its content in base64, beside the text."""
    return ImageBlock(url=f"{DATA};base64,{base64}")
