"""Takes the images and files out of a question: decoded, their type found in their content.

A client sends them as `data:` URIs. What type a file has is decided by its first bytes; the type
that the client states and the file's name are not believed. This is work for a thread
(`relay/file_threads.py`): five megabytes take a twentieth of a second.
"""

import hashlib
import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import NamedTuple

import msgspec

from handlers.errors import ApiError
from model.blocks import Block, FileBlock, ImageBlock
from relay.file_threads import decode_base64, decode_percent, encode_base64, standard_base64
from relay.question_files import NewFile

DATA = "data:"

# How the files begin that questions may bring. WebP has its length between the two words.
_SIGNATURES = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), "image/webp"),
    (re.compile(rb"%PDF-"), "application/pdf"),
)

# The types of all files that questions may bring.
FILE_TYPES = (*(media_type for _, media_type in _SIGNATURES), "text/plain")

# Text has no control characters besides white space.
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")

# A parameter in the head of a `data:` URI, which browsers read in any case and with white space.
_BASE64 = re.compile(r";\s*base64\s*(;|\Z)", re.IGNORECASE)


class FileLimits(NamedTuple):
    """What one question may bring."""

    max_file_bytes: int
    max_files: int


def take_files(
    blocks: Sequence[Block], limits: FileLimits
) -> tuple[tuple[Block, ...], tuple[NewFile, ...]]:
    """The blocks with references in place of `data:` URIs, and the files that these refer to.

    Raises ApiError.
    """
    if not any(map(data_length, blocks)):
        return tuple(blocks), ()
    files: dict[str, NewFile] = {}
    taken: list[Block] = []
    for block in blocks:
        if not isinstance(block, ImageBlock | FileBlock) or not data_length(block):
            taken.append(block)
            continue
        file = _file_in(block, limits.max_file_bytes)
        files.setdefault(file.digest, file)
        size = len(file.data)
        taken.append(
            msgspec.structs.replace(
                block, url=None, file_id=file.digest, media_type=file.media_type, size=size
            )
        )
    return tuple(taken), tuple(files.values())


def check_file_count(question: Sequence[Block], limits: FileLimits) -> None:
    """Raises ApiError if the question has too many images and files with their content."""
    if sum(bool(data_length(block)) for block in question) > limits.max_files:
        raise ApiError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "too_many_files",
            f"The question has more than {limits.max_files:,} images and files (limits.max_files).",
        )


def data_length(block: Block) -> int:
    """The length of the content that the block has with it, as a `data:` URI; 0 if it has none."""
    if not isinstance(block, ImageBlock | FileBlock) or block.url is None:
        return 0
    return len(block.url) if block.url.startswith(DATA) else 0


def _file_in(block: ImageBlock | FileBlock, max_bytes: int) -> NewFile:
    head, comma, text = (block.url or "").partition(",")
    if not comma:
        raise _invalid("has a data: URI without a comma")
    try:
        if _BASE64.search(head):
            base64 = standard_base64(text)
            if len(base64) * 3 // 4 > max_bytes + 2:
                raise _too_large(max_bytes)
            data = decode_base64(base64)
        else:
            data = decode_percent(text)
            base64 = encode_base64(data)
    except ValueError:
        raise _invalid("is not valid base64") from None
    if not data:
        raise _invalid("is empty")
    if len(data) > max_bytes:
        raise _too_large(max_bytes)
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    name = block.name if isinstance(block, FileBlock) else None
    return NewFile(digest, _media_type(data, block), data, base64, name)


def _media_type(data: bytes, block: ImageBlock | FileBlock) -> str:
    """The type of the content. Raises ApiError if the block may not have it."""
    found = next((name for begin, name in _SIGNATURES if begin.match(data)), None)
    if found is None and _is_text(data):
        found = "text/plain"
    if isinstance(block, ImageBlock):
        if found is None or not found.startswith("image/"):
            raise _unsupported("An image has to be PNG, JPEG, GIF or WebP, by its content.")
    elif found not in ("application/pdf", "text/plain"):
        raise _unsupported(
            "A file has to be PDF or UTF-8 text, by its content; send images as parts of type "
            "`image`."
        )
    return found


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return _CONTROL.search(data) is None


def _invalid(what: str) -> ApiError:
    return ApiError(HTTPStatus.BAD_REQUEST, "invalid_file", f"A file of the question {what}.")


def _unsupported(message: str) -> ApiError:
    return ApiError(HTTPStatus.BAD_REQUEST, "unsupported_file_type", message)


def _too_large(max_bytes: int) -> ApiError:
    return ApiError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "file_too_large",
        f"A file of the question is larger than {max_bytes:,} bytes (limits.max_file_bytes).",
    )
