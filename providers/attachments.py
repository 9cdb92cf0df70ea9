"""The images and files of a prompt, as APIs take them."""

from model.blocks import FileBlock, ImageBlock
from model.prompt import FileContent, Prompt


def content_of(part: ImageBlock | FileBlock, prompt: Prompt) -> FileContent | None:
    """The content of an image or a file that is stored here; None if it has an address instead."""
    return None if part.file_id is None else prompt.files[part.file_id]


def data_uri(content: FileContent) -> str:
    """The content as a `data:` URI."""
    return f"data:{content.media_type};base64,{content.base64}"


def address_of(part: ImageBlock | FileBlock, prompt: Prompt) -> str:
    """The content's address: that of the part, or else a `data:` URI."""
    content = content_of(part, prompt)
    return (part.url or "") if content is None else data_uri(content)
