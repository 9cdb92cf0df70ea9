"""Tools and response formats as clients send them.

Docstrings and descriptions of fields are part of the OpenAPI document.
"""

from typing import Annotated, Any, Literal

from msgspec import Meta

from handlers.body import Body
from model.embedded_json import check_depth
from model.prompt import NamedTool, ResponseFormat, Tool, ToolChoice

# OpenAI takes so many tools in a request, and models choose worse among dozens already. Their size
# counts in `limits.max_question_chars`.
MAX_TOOLS = 128

# Objects and lists within each other in a schema. Providers that enforce schemas take some ten
# levels of properties, each of which is two or three deep.
MAX_SCHEMA_DEPTH = 64

# What OpenAI, Anthropic and Qwen permit; Gemini and Ollama permit more.
ToolName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z")]

_STRICT = Meta(
    description="True: the provider ensures that the model keeps to the schema exactly, which not "
    "every schema permits. Null: the provider's default."
)


class ToolDefinition(Body, frozen=True, kw_only=True):
    """A function that the model may call. The client carries the call out and sends its result."""

    name: Annotated[
        ToolName,
        Meta(
            description="The tool's name: 1 to 64 letters, digits, `_` or `-`.",
            examples=["weather"],
        ),
    ]
    description: Annotated[
        str | None,
        Meta(
            description="What the tool does and when to call it, for the model.",
            examples=["The weather in a city."],
        ),
    ] = None
    parameters: Annotated[
        dict[str, Any] | None,
        Meta(
            description="The arguments as a JSON Schema, whose type is an object. Null: the tool "
            "takes none.",
            examples=[{"type": "object", "properties": {"city": {"type": "string"}}}],
        ),
    ] = None
    strict: Annotated[bool | None, _STRICT] = None

    def __post_init__(self) -> None:
        if self.parameters is not None:
            check_depth(self.parameters, MAX_SCHEMA_DEPTH)

    def tool(self) -> Tool:
        """The tool as a prompt has it."""
        return Tool(self.name, self.description, self.parameters, self.strict)


class ChosenTool(Body, frozen=True, kw_only=True):
    """For `tool_choice`: the model has to call this tool."""

    name: Annotated[ToolName, Meta(description="The tool's name.", examples=["weather"])]


ToolChoiceBody = Literal["auto", "none", "required"] | ChosenTool


class JsonObjectFormat(Body, frozen=True, kw_only=True, tag_field="type", tag="json_object"):
    """For `response_format`: the answer's text is a JSON object."""

    def format(self) -> ResponseFormat:
        """The format as a prompt has it."""
        return ResponseFormat()


class JsonSchemaFormat(Body, frozen=True, kw_only=True, tag_field="type", tag="json_schema"):
    """For `response_format`: the answer's text is JSON that matches a schema."""

    schema: Annotated[
        dict[str, Any],
        Meta(
            description="The JSON Schema.",
            examples=[{"type": "object", "properties": {"city": {"type": "string"}}}],
        ),
    ]
    name: Annotated[
        ToolName,
        Meta(description="A name for the schema: 1 to 64 letters, digits, `_` or `-`."),
    ] = "answer"
    strict: Annotated[bool | None, _STRICT] = None

    def __post_init__(self) -> None:
        check_depth(self.schema, MAX_SCHEMA_DEPTH)

    def format(self) -> ResponseFormat:
        """The format as a prompt has it."""
        return ResponseFormat(self.schema, self.name, self.strict)


def tools_of(definitions: list[ToolDefinition]) -> tuple[Tool, ...]:
    """The tools of a question, as a prompt has them."""
    return tuple(definition.tool() for definition in definitions)


def choice_of(choice: ToolChoiceBody) -> ToolChoice:
    """The choice among tools, as a prompt has it."""
    return NamedTool(choice.name) if isinstance(choice, ChosenTool) else choice


def check_tools(
    definitions: list[ToolDefinition] | None,
    choice: ToolChoiceBody | None,
    parallel: bool | None,
) -> None:
    """Raise ValueError unless the names differ, and the choice is one of them."""
    names = [definition.name for definition in definitions or ()]
    if len(set(names)) < len(names):
        raise ValueError("Two `tools` have the same name")
    if isinstance(choice, ChosenTool) and choice.name not in names:
        raise ValueError("`tool_choice` names none of the `tools`")
    if not names and (choice is not None or parallel is not None):
        raise ValueError("`tool_choice` and `parallel_tool_calls` need `tools`")
