"""The body of a run: AG-UI's `RunAgentInput`, and the question that it is."""

import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from handlers.ag_ui.input_messages import (
    AssistantMessage,
    Id,
    InputMessage,
    ToolMessage,
    UserMessage,
    system_of,
    turns_of,
)
from handlers.errors import ApiError
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


class InputTool(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A tool of the client's."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None

    @property
    def definition(self) -> dict[str, Any]:
        """The tool in this server's spelling."""
        parameters = self.parameters or None
        return {"name": self.name, "description": self.description, "parameters": parameters}


class InputContext(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Something that the model should know."""

    value: str
    description: str = ""


class RunInput(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a client sends to start a run. Unknown fields are skipped."""

    thread_id: Id
    run_id: Id
    messages: Annotated[list[InputMessage], Meta(min_length=1, max_length=_MAX_MESSAGES)]
    parent_run_id: Id | None = None
    tools: list[InputTool] | None = None
    context: list[InputContext] | None = None
    state: Any = None
    forwarded_props: Any = None
    resume: list[Any] | None = None

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
        return turns_of(self.messages)

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
            raise ApiError(
                HTTPStatus.BAD_REQUEST, "invalid_body", f"{error} of `forwardedProps` and `tools`."
            ) from None

    def ask_request(
        self,
        user: str,
        conversation_id: str,
        turns: tuple[Turn, ...],
        files: tuple[NewFile, ...],
    ) -> AskRequest:
        """The question, without its options.

        It follows the last answer of the thread that is in the messages. If they have no other
        answers than those of the thread, its history is what is stored of it, and else what was
        sent.
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
            parent_id=next((each for each in reversed(answers) if each is not None), None),
            history=turns[:-1] if None in answers else None,
            client=ClientData(protocol=PROTOCOL, request=self._kept()),
        )

    def _system(self, given: Any) -> Iterator[str]:
        if isinstance(given, str):
            yield given
        yield system_of(self.messages)
        for item in self.context or ():
            yield f"{item.description}:\n{item.value}" if item.description else item.value
        if self.state:
            yield f"The application's state:\n{msgspec.json.encode(self.state).decode()}"

    def _answers(self, conversation_id: str) -> Iterator[str | None]:
        """The answers among the messages: their ids, None for those that are not the thread's."""
        for message in self.messages:
            if isinstance(message, AssistantMessage):
                match = _ANSWER_ID.match(message.id)
                yield match[0] if match is not None and match[1] == conversation_id else None

    def _kept(self) -> dict[str, Any]:
        """What is stored with the answer, so that the client's own ids can be shown again."""
        kept: dict[str, Any] = {"threadId": self.thread_id, "runId": self.run_id}
        if self.parent_run_id is not None:
            kept["parentRunId"] = self.parent_run_id
        asked: list[str] = []
        for message in reversed(self.messages):
            if isinstance(message, AssistantMessage):
                break
            if isinstance(message, UserMessage | ToolMessage):
                asked.insert(0, message.id)
        kept["messageIds"] = asked
        return kept


def run_key(run_id: str) -> str:
    """The idempotency key of a run; no key in a header is like it."""
    return f"{PROTOCOL}\0{run_id}"
