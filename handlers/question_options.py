"""How a question is to be answered, as clients say it: its model, its limits, its tools.

Docstrings and descriptions of fields are part of the OpenAPI document.
"""

from operator import attrgetter
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from handlers.body import Body
from handlers.json_limits import check_extra
from handlers.tool_definitions import (
    MAX_TOOLS,
    JsonObjectFormat,
    JsonSchemaFormat,
    ToolChoiceBody,
    ToolDefinition,
    check_tools,
    choice_of,
    tools_of,
)
from handlers.whole_numbers import Count, TopK, Whole, whole
from model.prompt import ReasoningEffort
from relay.ask_request import LATER_OPTION_NAMES, AskRequest, Caller
from relay.model_access import AllowedModels

# Printable ASCII, as every provider's names are: the log has them on one line.
ModelName = Annotated[str, Meta(max_length=200, pattern=r"^[!-~]+\Z")]
# A client that is away for longer than an hour asks again.
_Seconds = Annotated[float, Meta(ge=0, le=3600)]
_Penalty = Annotated[float, Meta(ge=-2, le=2)]


class Grace(Body, frozen=True, kw_only=True):
    """For `on_disconnect`: the answer goes on for some time after its last reader disconnected."""

    grace: Annotated[
        _Seconds,
        Meta(
            description="Seconds to wait for a reader before cancelling, 0 to 3600.", examples=[30]
        ),
    ]


class Options(Body, frozen=True, kw_only=True):
    """How a question is to be answered; every field is optional."""

    model: Annotated[
        ModelName | None,
        Meta(
            description="The model to ask, as `<provider>/<model>`. Null: the conversation's model "
            "(to regenerate, that of the answer), else the server's default.",
            examples=["openai/gpt-4o-mini"],
        ),
    ] = None
    system: Annotated[
        str | None,
        Meta(
            description="The system prompt. Null: the conversation's system prompt.",
            examples=["You are a patient teacher. Answer briefly."],
        ),
    ] = None
    on_disconnect: Annotated[
        Literal["cancel", "finish"] | Grace | None,
        Meta(
            description="What happens when the last reader disconnects: `cancel` stops the answer "
            'at once, `finish` lets it run to its end, `{"grace": seconds}` stops it if no reader '
            "comes back in time. Null: as the server is configured.",
            examples=["finish", {"grace": 30}],
        ),
    ] = None
    temperature: Annotated[
        Annotated[float, Meta(ge=0, le=2)] | None,
        Meta(
            description="The sampling temperature, 0 to 2. A provider whose range is smaller gets "
            "the nearest value in its range. Null: the provider's default.",
            examples=[0.7],
        ),
    ] = None
    top_p: Annotated[
        Annotated[float, Meta(gt=0, le=1)] | None,
        Meta(
            description="The probability mass for nucleus sampling, above 0, up to 1. Null: the "
            "provider's default.",
            examples=[0.9],
        ),
    ] = None
    max_tokens: Annotated[
        Count | None,
        Meta(
            description="The largest number of tokens to generate, a whole number of at least 1. "
            "Null: the provider's default.",
            examples=[1024],
        ),
    ] = None
    stop: Annotated[
        Annotated[list[Annotated[str, Meta(min_length=1)]], Meta(max_length=4)] | None,
        Meta(
            description="Up to four strings at which the model stops generating.",
            examples=[["\n\n"]],
        ),
    ] = None
    top_k: Annotated[
        TopK | None,
        Meta(
            description="From how many of the likeliest tokens each one is sampled, a whole number "
            "of at least 1. Null: the provider's default.",
            examples=[40],
        ),
    ] = None
    seed: Annotated[
        Whole | None,
        Meta(
            description="A number for sampling, below 2^31: the same one gives similar answers. "
            "Null: the provider chooses.",
            examples=[7],
        ),
    ] = None
    presence_penalty: Annotated[
        _Penalty | None,
        Meta(
            description="How much to disfavour tokens that occurred already, -2 to 2. Null: the "
            "provider's default.",
            examples=[0.5],
        ),
    ] = None
    frequency_penalty: Annotated[
        _Penalty | None,
        Meta(
            description="How much to disfavour tokens by how often they occurred already, -2 to 2. "
            "Null: the provider's default.",
            examples=[0.5],
        ),
    ] = None
    reasoning_effort: Annotated[
        ReasoningEffort | None,
        Meta(
            description="How much the model reasons before it answers. Null: the provider's "
            "default.",
            examples=["low"],
        ),
    ] = None
    reasoning_budget: Annotated[
        Whole | None,
        Meta(
            description="The largest number of tokens to spend on reasoning, a whole number. Null: "
            "the provider's default.",
            examples=[2048],
        ),
    ] = None
    response_format: Annotated[
        JsonObjectFormat | JsonSchemaFormat | None,
        Meta(
            description="What the answer's text has to be. Null: any text.",
            examples=[{"type": "json_object"}],
        ),
    ] = None
    tools: Annotated[
        Annotated[list[ToolDefinition], Meta(max_length=MAX_TOOLS)] | None,
        Meta(
            description="Up to 128 functions that the model may call, with different names. An "
            "answer that calls some has `tool_call` blocks; send their results as the next "
            "question's `tool_result` parts, with the tools again.",
            examples=[[{"name": "weather", "description": "The weather in a city."}]],
        ),
    ] = None
    tool_choice: Annotated[
        ToolChoiceBody | None,
        Meta(
            description="Whether the model calls tools: `auto` as it sees fit, `none` not at all, "
            '`required` at least one, `{"name": …}` that one. Only with `tools`. Null: the '
            "provider's default.",
            examples=["auto", {"name": "weather"}],
        ),
    ] = None
    parallel_tool_calls: Annotated[
        bool | None,
        Meta(
            description="False: the model calls one tool at a time. Only with `tools`. Null: the "
            "provider's default."
        ),
    ] = None
    extra: Annotated[
        dict[str, Any] | None,
        Meta(
            description="Up to 32 fields that the provider's API has and this one has not, up to "
            "16,384 bytes as JSON. They are added to the request to the provider and do not "
            "replace what this server sends. Addresses and credentials are refused.",
            examples=[{"service_tier": "flex"}],
        ),
    ] = None

    def __post_init__(self) -> None:
        if _LATER_OPTIONS(self) != _UNSET:
            check_tools(self.tools, self.tool_choice, self.parallel_tool_calls)
            check_extra(self.extra or {})

    def of(
        self,
        ask_request: AskRequest,
        *,
        idempotency_key: str | None,
        caller: Caller,
        allowed: AllowedModels,
    ) -> AskRequest:
        """`ask_request` with these options; without a `model` it keeps its own."""
        values = _LATER_OPTIONS(self)
        return msgspec.structs.replace(
            ask_request,
            model=self.model or ask_request.model,
            system=self.system,
            temperature=self.temperature,
            top_p=self.top_p,
            max_tokens=None if self.max_tokens is None else int(self.max_tokens),
            stop=tuple(self.stop or ()),
            grace_seconds=grace_seconds_of(self.on_disconnect),
            idempotency_key=idempotency_key,
            caller=caller,
            allowed=allowed,
            **(self._later_options() if values != _UNSET else {}),
        )

    def _later_options(self) -> dict[str, Any]:
        return {
            "top_k": whole(self.top_k),
            "seed": whole(self.seed),
            "presence_penalty": self.presence_penalty,
            "frequency_penalty": self.frequency_penalty,
            "reasoning_effort": self.reasoning_effort,
            "reasoning_budget": whole(self.reasoning_budget),
            "response_format": self.response_format and self.response_format.format(),
            "tools": tools_of(self.tools or []),
            "tool_choice": self.tool_choice and choice_of(self.tool_choice),
            "parallel_tool_calls": self.parallel_tool_calls,
            "extra": self.extra or {},
        }


# One call for the values of all options that few questions set.
_LATER_OPTIONS = attrgetter(*LATER_OPTION_NAMES)
_UNSET = (None,) * len(LATER_OPTION_NAMES)


def grace_seconds_of(
    on_disconnect: Literal["cancel", "finish"] | Grace | None,
) -> float | msgspec.UnsetType | None:
    """Seconds for which an answer goes on without a reader; None: to its end.

    UNSET where the question does not say: the server's setting applies then.
    """
    match on_disconnect:
        case None:
            return msgspec.UNSET
        case Grace():
            return on_disconnect.grace
        case "finish":
            return None
        case "cancel":
            return 0.0
