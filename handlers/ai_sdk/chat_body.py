"""The body of a request of `DefaultChatTransport`, also of one that has the last message only.

Docstrings and descriptions of fields are part of the OpenAPI document.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from handlers.ai_sdk.ui_messages import UIMessage
from handlers.question_options import Options
from handlers.tool_definitions import MAX_TOOLS, ToolDefinition, ToolName

# Ids of `useChat` have 16 characters, UUIDs 36.
ChatId = Annotated[str, Meta(min_length=1, max_length=255)]


class UITool(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A tool of the page, under its name. Fields that are not described here are ignored."""

    description: Annotated[str | None, Meta(description="What it does and when to call it.")] = None
    parameters: Annotated[
        dict[str, Any] | None, Meta(description="The arguments as a JSON Schema of an object.")
    ] = None
    input_schema: Annotated[
        dict[str, Any] | None, Meta(description="In place of `parameters`, as the SDK names it.")
    ] = None

    def definition(self, name: str) -> ToolDefinition:
        """The tool in this server's spelling."""
        parameters = self.parameters or self.input_schema or None
        return ToolDefinition(name=name, description=self.description, parameters=parameters)


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
    # Once it is made it has a list, as any options have.
    tools: Annotated[
        Annotated[list[ToolDefinition], Meta(max_length=MAX_TOOLS)]
        | Annotated[dict[ToolName, UITool], Meta(max_length=MAX_TOOLS)]
        | None,
        Meta(
            description="Tools that the model may call: a list as in `POST /api/v1/chat`, or an "
            "object of tools by their names, as assistant-ui sends them.",
            examples=[{"weather": {"parameters": {"type": "object", "properties": {}}}}],
        ),
    ] = None  # type: ignore[assignment]
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
        if isinstance(self.tools, dict):
            tools = [tool.definition(name) for name, tool in self.tools.items()]
            msgspec.structs.force_setattr(self, "tools", tools or None)
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
