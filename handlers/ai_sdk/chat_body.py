"""The body of a request of `DefaultChatTransport`, also of one that has the last message only.

Docstrings and descriptions of fields are part of the OpenAPI document.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from handlers.ai_sdk.ui_messages import UIMessage
from handlers.question_options import Options

# Ids of `useChat` have 16 characters, UUIDs 36.
ChatId = Annotated[str, Meta(min_length=1, max_length=255)]


class UIChat(Options, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """What `useChat` sends, and options of this server's own from its `body`.

    Fields that are not described here are the app's own and ignored.
    """

    id: Annotated[ChatId, Meta(description="The chat's id.", examples=["iX9Qm2c4rT7vB1nZ"])]
    messages: Annotated[
        Annotated[list[UIMessage], Meta(min_length=1)] | None,
        Meta(description="The chat's messages; the last one asks."),
    ] = None
    message: Annotated[
        UIMessage | None,
        Meta(
            description="In place of `messages`: the last message alone, for apps that send it by "
            "`prepareSendMessagesRequest`. It follows the newest answer of the chat."
        ),
    ] = None
    trigger: Annotated[
        Literal["submit-message", "regenerate-message"],
        Meta(description="Whether the last message asks, or another answer to it is wanted."),
    ] = "submit-message"
    message_id: Annotated[
        str | None,
        Meta(
            description="With `regenerate-message` the assistant's message to be replaced, else "
            "the user's message that was edited, or the assistant's message that goes on."
        ),
    ] = msgspec.field(default=None, name="messageId")

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.messages is None) == (self.message is None):
            raise ValueError("Expected either `messages` or `message`")

    @property
    def last(self) -> UIMessage:
        """The message that asks."""
        if self.message is not None:
            return self.message
        assert self.messages is not None
        return self.messages[-1]

    @property
    def before(self) -> tuple[UIMessage, ...]:
        """The messages before it, as far as they were sent."""
        return tuple(self.messages[:-1]) if self.messages is not None else ()
