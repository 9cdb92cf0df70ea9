"""The body of a run: AG-UI's `RunAgentInput`, and the question that it is.

Docstrings and descriptions of fields are part of the OpenAPI document.
"""

import hashlib
import re
from collections.abc import Iterator
from functools import cached_property
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from handlers.ag_ui.input_messages import (
    AgUiAssistantMessage,
    AgUiMessage,
    AgUiToolMessage,
    AgUiUserMessage,
    Id,
    system_of,
    turns_of,
)
from handlers.errors import ApiError
from handlers.json_body import invalid_body
from handlers.question_options import Options
from handlers.wires.ag_ui import PROTOCOL, Run
from model.messages import ClientData
from model.prompt import Turn
from model.random_ids import ID_DIGITS
from relay.ask_request import AskRequest, text_and_parts
from relay.question_files import NewFile

# The messages of a thread come with every run; long threads have some hundreds.
_MAX_MESSAGES = 10_000

# What `forwardedProps` may have: the options of a question. Anything else there is the client's.
_OPTIONS = frozenset(Options.__struct_fields__) - {"tools"}

_ANSWER_ID = re.compile(rf"([0-9a-f]{{{ID_DIGITS}}})-[0-9a-f]{{{ID_DIGITS}}}")


class AgUiTool(msgspec.Struct, frozen=True, kw_only=True):
    """A tool of the client, which carries its calls out and sends their results as messages."""

    name: Annotated[str, Meta(description="The tool's name.", examples=["weather"])]
    description: Annotated[str | None, Meta(description="What the tool does, for the model.")] = (
        None
    )
    parameters: Annotated[
        dict[str, Any] | None, Meta(description="The arguments as a JSON Schema.")
    ] = None

    @property
    def definition(self) -> dict[str, Any]:
        """The tool in this server's spelling."""
        parameters = self.parameters or None
        return {"name": self.name, "description": self.description, "parameters": parameters}


class AgUiContext(msgspec.Struct, frozen=True, kw_only=True):
    """Something that the model should know; it becomes a part of the system prompt."""

    value: Annotated[str, Meta(description="What the model should know.")]
    description: Annotated[str, Meta(description="What this context is about.")] = ""


class RunInput(msgspec.Struct, frozen=True, kw_only=True, rename="camel", dict=True):
    """AG-UI's `RunAgentInput`. Fields that are not described here are ignored."""

    thread_id: Annotated[
        Id,
        Meta(
            description="The thread: an id of the client's own, or the id of a conversation.",
            examples=["thread-1"],
        ),
    ]
    run_id: Annotated[
        Id, Meta(description="The run, by an id that no other run has.", examples=["run-1"])
    ]
    messages: Annotated[
        list[dict[str, Any]],
        Meta(
            min_length=1,
            max_length=_MAX_MESSAGES,
            description="The thread's messages as AG-UI spells them. What a user or a tool says "
            "after the last answer is asked.",
            examples=[[{"id": "m1", "role": "user", "content": "What is a headrace?"}]],
        ),
    ]
    parent_run_id: Annotated[
        Id | None, Meta(description="The run that this one follows; it is repeated and not used.")
    ] = None
    tools: Annotated[list[AgUiTool] | None, Meta(description="Tools that the model may call.")] = (
        None
    )
    context: Annotated[
        list[AgUiContext] | None, Meta(description="What the model should know.")
    ] = None
    state: Annotated[
        Any,
        Meta(
            description="The application's state. Unless it is empty, it becomes a part of the "
            "system prompt; runs do not change it."
        ),
    ] = None
    forwarded_props: Annotated[
        Any,
        Meta(
            description="As an object: options of a question, such as `model`. Other fields are "
            "the client's own and ignored.",
            examples=[{"model": "openai/gpt-4o-mini"}],
        ),
    ] = None
    resume: Annotated[
        list[Any] | None,
        Meta(description="Must be empty: runs of this server are never interrupted."),
    ] = None

    @cached_property
    def decoded_messages(self) -> list[AgUiMessage]:
        """`messages`, by their roles. Raises ApiError."""
        try:
            return msgspec.convert(self.messages, list[AgUiMessage])
        except msgspec.ValidationError as error:
            raise invalid_body(f"{error}, of `messages`") from None

    @property
    def run(self) -> Run:
        """The run as its client names it."""
        return Run(self.thread_id, self.run_id, self.parent_run_id)

    def turns(self) -> tuple[Turn, ...]:
        """The turns, the last of which is the question. Raises ApiError."""
        if self.resume:
            raise ApiError(
                HTTPStatus.BAD_REQUEST,
                "unsupported_parameter",
                "No run of this server is interrupted, so there is nothing to `resume`.",
            )
        turns = turns_of(self.decoded_messages)
        assert self.digest  # computed here, since this may be another thread than the loop's
        return turns

    def options(self) -> Options:
        """How the question is to be answered. Raises ApiError."""
        given = self.forwarded_props if isinstance(self.forwarded_props, dict) else {}
        options = {name: given[name] for name in given.keys() & _OPTIONS}
        if self.tools:
            options["tools"] = [tool.definition for tool in self.tools]
        options["system"] = "\n\n".join(filter(None, self._system(options.get("system"))))
        try:
            return msgspec.convert(options, Options)
        except msgspec.ValidationError as error:
            raise invalid_body(f"{error}, of `forwardedProps` or `tools`") from None

    def ask_request(
        self,
        user: str,
        conversation_id: str,
        turns: tuple[Turn, ...],
        files: tuple[NewFile, ...],
    ) -> AskRequest:
        """The question, without its options.

        It follows the last answer of the thread that is in the messages; if there is none, the
        thread's newest answer. If the messages have other answers than those of the thread, its
        history is what was sent, and else what is stored.
        """
        answers = list(self._answers(conversation_id))
        content, parts = text_and_parts(turns[-1].blocks)
        return AskRequest(
            user=user,
            content=content,
            parts=parts,
            files=files,
            conversation_id=conversation_id,
            creates_conversation=True,
            parent_id=next(filter(None, reversed(answers)), None if answers else msgspec.UNSET),
            history=turns[:-1] if None in answers else None,
            client=ClientData(protocol=PROTOCOL, request=self._kept()),
            identity=self.digest,
        )

    @cached_property
    def digest(self) -> str:
        """A hash of the input, by which a run that is sent again is recognised."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()

    @property
    def asked_ids(self) -> list[str]:
        """The client's ids of the messages that ask."""
        asked: list[str] = []
        for message in reversed(self.decoded_messages):
            if isinstance(message, AgUiAssistantMessage):
                break
            if isinstance(message, AgUiUserMessage | AgUiToolMessage):
                asked.insert(0, message.id)
        return asked

    def _system(self, given: Any) -> Iterator[str]:
        if isinstance(given, str):
            yield given
        yield system_of(self.decoded_messages)
        for item in self.context or ():
            yield f"{item.description}:\n{item.value}" if item.description else item.value
        if self.state:
            yield f"The application's state:\n{msgspec.json.encode(self.state).decode()}"

    def _answers(self, conversation_id: str) -> Iterator[str | None]:
        """The answers among the messages: their ids, None for those that are not the thread's."""
        for message in self.decoded_messages:
            if isinstance(message, AgUiAssistantMessage):
                match = _ANSWER_ID.match(message.id)
                yield match[0] if match is not None and match[1] == conversation_id else None

    def _kept(self) -> dict[str, Any]:
        """What is stored with the answer, so that the client's own ids can be shown again."""
        kept: dict[str, Any] = {"threadId": self.thread_id, "runId": self.run_id}
        if self.parent_run_id is not None:
            kept["parentRunId"] = self.parent_run_id
        kept["messageIds"] = self.asked_ids
        return kept


def run_key(run_id: str) -> str:
    """The idempotency key of a run; no key in a header is like it."""
    return f"{PROTOCOL}\0{run_id}"
