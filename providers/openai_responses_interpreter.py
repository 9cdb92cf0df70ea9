"""Reads the events of OpenAI's Responses API, or a whole response.

Checked by replaying such streams through OpenAI's SDK (openai 3.54.0), or read in its code. An
answer is a list of items: messages, whose parts are text or a refusal, function calls and
reasoning. Each item is announced, comes in deltas and is repeated as a whole; the last event
repeats all of them. Events of other kinds, such as those of hosted tools, are skipped.

Reasoning is shown as its summary, or as its text by servers that send that. Its encrypted content
is only complete when its item is done; the item is kept then as provider data, to be sent back.

Open Responses, which other servers speak, has `[DONE]` at the end, nests the fields of an `error`
event in `error`, and calls the text of reasoning `response.reasoning.delta`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from model.blocks import ProviderData
from model.messages import FinishReason
from model.usage import Usage
from providers.assembler import Assembler
from providers.error_bodies import ErrorFields, error_fields_in, says_no_error
from providers.error_parsing import error_from
from providers.finish import finish_of
from providers.json_events import JsonInterpreter
from providers.openai_responses_events import (
    ResponsesBody,
    ResponsesEvent,
    ResponsesItem,
    ResponsesPart,
    ResponsesTextDelta,
    ResponsesUsage,
)
from providers.part_texts import PartKey, PartTexts
from providers.sink import Finish, Kind
from providers.sse import Event, StrayLine
from providers.tool_calls import CallFunction, CallPiece

# The name of the dialect in the provider data that it makes.
DIALECT: Final = "openai-responses"

# Of `incomplete_details`, what `finish_of` does not know.
_INCOMPLETE: Final[Mapping[str, FinishReason]] = {"max_messages": FinishReason.LENGTH}

# Between two parts of reasoning, which are paragraphs or more.
_PARAGRAPH: Final = "\n\n"


_DECODER: Final = msgspec.json.Decoder(ResponsesEvent)
_decode_delta: Final = msgspec.json.Decoder(ResponsesTextDelta).decode


class OpenAIResponsesInterpreter(JsonInterpreter[ResponsesEvent]):
    """Reads one response of `model`."""

    def __init__(self, out: Assembler, model: str) -> None:
        super().__init__(out, _DECODER)
        self._model = model
        self._parts = PartTexts(out)
        self._calls: dict[int | str | None, int] = {}  # numbers of the calls, by index or id
        self._call_count = 0
        self._forms: dict[int | str | None, str] = {}  # of each reasoning, by index or id
        self._kept: set[int | str | None] = set()  # the reasoning that was kept as data

    def is_recognized(self, body: ResponsesEvent) -> bool:
        """Whether the body is an event, a response or an error."""
        is_event = body.type in _READ or body.type == "error"
        return is_event or body.output is not None or not says_no_error(body.error)

    def is_end_word(self, data: bytes) -> bool:
        """Whether `data` is the `[DONE]` of Open Responses; OpenAI's own streams have none."""
        return data.strip() == b"[DONE]"

    def plain_texts(self, events: Sequence[Event | StrayLine]) -> int:
        """Read the first events, as many as are pieces of the open text part."""
        key = self._parts.open_key("text")
        if key is None or not self._out.is_passthrough:
            return 0
        texts = []
        try:
            for event in events:
                if type(event) is not Event or event.type == "error":
                    break
                piece = _decode_delta(event.data)
                if (piece.output_index, piece.content_index) != key:
                    break
                texts.append(piece.delta)
        except (ValueError, RecursionError):  # the event says something else, or is malformed
            pass
        if texts:
            self._out.text("".join(texts))
        return len(texts)

    def interpret(self, body: ResponsesEvent) -> bool:
        """Read one event, a whole response, or an error."""
        if body.type is None:
            return self._interpret_whole(body)
        if (read := _READ.get(body.type)) is not None:
            read(self, body)
            return True
        return body.type.startswith("response.")

    def _interpret_whole(self, body: ResponsesEvent) -> bool:
        if body.output is not None or body.object == "response":
            self._end(body, body.status or "")
            return True
        if says_no_error(body.error):
            return False
        raise error_from(error_fields_in({"error": body.error}) or ErrorFields())

    # Text and refusals

    def _text_delta(self, event: ResponsesEvent) -> None:
        self._parts.add("text", _key(event), event.delta or "")

    def _text_done(self, event: ResponsesEvent) -> None:
        self._parts.add_whole("text", _key(event), event.text or "")

    def _refusal_delta(self, event: ResponsesEvent) -> None:
        self._parts.add("refusal", _key(event), event.delta or "")

    def _refusal_done(self, event: ResponsesEvent) -> None:
        self._parts.add_whole("refusal", _key(event), event.refusal or "")

    def _part_done(self, event: ResponsesEvent) -> None:
        if event.part is not None:
            self._whole_part(event.part, event.item_key, event.content_index or 0)

    def _whole_part(self, part: ResponsesPart, item: int | str | None, index: int) -> None:
        if part.type == "reasoning_text":
            self._reasoning("content", item, index, part.text, is_whole=True)
            return
        key = PartKey(item, index)
        self._parts.add_whole("text", key, part.text or "")
        self._parts.add_whole("refusal", key, part.refusal or "")

    # Reasoning

    def _summary_delta(self, event: ResponsesEvent) -> None:
        self._reasoning("summary", event.item_key, event.summary_index, event.delta)

    def _summary_done(self, event: ResponsesEvent) -> None:
        said = event.text if event.part is None else event.part.text
        self._reasoning("summary", event.item_key, event.summary_index, said, is_whole=True)

    def _reasoning_delta(self, event: ResponsesEvent) -> None:
        self._reasoning("content", event.item_key, event.content_index, event.delta)

    def _reasoning_done(self, event: ResponsesEvent) -> None:
        self._reasoning("content", event.item_key, event.content_index, event.text, is_whole=True)

    def _reasoning(
        self,
        form: str,
        item: int | str | None,
        index: int | None,
        said: str | None,
        *,
        is_whole: bool = False,
    ) -> None:
        """Read a piece of reasoning: of its summary or of its text, whichever came first."""
        if not said or self._forms.setdefault(item, form) != form:
            return
        key = PartKey(item, index or 0)
        if self._parts.last == "reasoning" and self._parts.is_new("reasoning", key):
            self._out.reasoning(_PARAGRAPH)
        if is_whole:
            self._parts.add_whole("reasoning", key, said)
        else:
            self._parts.add("reasoning", key, said)

    def _whole_reasoning(self, item: ResponsesItem, index: int | str | None) -> None:
        for place, part in enumerate(item.summary or ()):
            self._reasoning("summary", index, place, part.text, is_whole=True)
        for place, part in enumerate(item.content or ()):
            self._reasoning("content", index, place, part.text, is_whole=True)
        if item.id and item.encrypted_content and item.status != "incomplete":
            self._keep(item, index)

    def _keep(self, item: ResponsesItem, index: int | str | None) -> None:
        """Keep whole reasoning as provider data, in the form in which it is sent back."""
        if index in self._kept:
            return
        self._kept.add(index)
        summary = [{"type": "summary_text", "text": _mended(p.text)} for p in item.summary or ()]
        value: dict[str, Any] = {"type": "reasoning", "id": _mended(item.id), "summary": summary}
        if item.content:
            value["content"] = [
                {"type": "reasoning_text", "text": _mended(part.text)} for part in item.content
            ]
        value["encrypted_content"] = _mended(item.encrypted_content)
        self._out.data(ProviderData(DIALECT, self._model, value))
        self._parts.last = None

    # Function calls

    def _arguments_delta(self, event: ResponsesEvent) -> None:
        number = self._number_of(event.output_index, event.item_id)
        self._out.tool_call(CallPiece(number, None, CallFunction(None, event.delta)), number)

    def _arguments_done(self, event: ResponsesEvent) -> None:
        number = self._number_of(event.output_index, event.item_id)
        function = CallFunction(event.name, event.arguments)
        self._out.whole_call(CallPiece(number, None, function), number)

    def _number_of(self, index: int | None, item_id: str | None) -> int:
        """Return the number of a function call, which is a new one if it was not announced."""
        number = self._calls.get(index) if index is not None else None
        if number is None:
            number = self._calls.get(item_id)
        if number is None:
            number = self._call_count
            self._call_count += 1
            self._parts.last = None
        if index is not None:
            self._calls[index] = number
        if item_id is not None:
            self._calls[item_id] = number
        return number

    # Items

    def _item_added(self, event: ResponsesEvent) -> None:
        item = event.item
        if item is None:
            return
        key = item.id if event.output_index is None else event.output_index
        self._parts.forget(key)
        self._forms.pop(key, None)
        self._kept.discard(key)
        if item.type == "function_call":
            for each in (event.output_index, item.id):
                self._calls.pop(each, None)
            number = self._number_of(event.output_index, item.id)
            self._out.tool_call(_piece(item, number), number)

    def _item_done(self, event: ResponsesEvent) -> None:
        if event.item is not None:
            self._whole_item(event.item, event.output_index)

    def _whole_item(self, item: ResponsesItem, index: int | None) -> None:
        """Read a whole item; of one that came in deltas, only what they lacked."""
        key = item.id if index is None else index
        if item.type == "message":
            for place, part in enumerate(item.content or ()):
                self._whole_part(part, key, place)
        elif item.type == "reasoning":
            self._whole_reasoning(item, key)
        elif item.type == "function_call":
            number = self._number_of(index, item.id)
            self._out.whole_call(_piece(item, number), number)
        else:
            self._out.note_quirk("unknown_item", item.type)

    # Endings

    def _terminal(self, event: ResponsesEvent) -> None:
        assert event.type is not None
        status = event.type.removeprefix("response.")
        response = event.response or ResponsesBody()
        self._end(response, response.status or status)

    def _end(self, response: ResponsesBody, status: str) -> None:
        """Read a response that is over: what was lacking, its usage and why it ended."""
        if self._out.content_count == 0:
            for place, item in enumerate(response.output or ()):
                self._whole_item(item, place)
        else:
            self._repeated(response.output or ())
        if response.usage is not None:
            self._usage(response.usage)
        if status not in ("completed", "incomplete") and not says_no_error(response.error):
            raise error_from(error_fields_in({"error": response.error}) or ErrorFields())
        if (finish := self._finish_of(response, status)) is not None:
            self._out.finish(finish)

    def _repeated(self, items: Sequence[ResponsesItem]) -> None:
        """Read the items of an answer once more: add what the end of it lacked.

        Reasoning is left out, since more of it could only follow the text.
        """
        said: dict[Kind, str] = {}
        calls = []
        for item in items:
            if item.type == "message":
                for part in item.content or ():
                    said["text"] = said.get("text", "") + (part.text or "")
                    said["refusal"] = said.get("refusal", "") + (part.refusal or "")
            elif item.type == "function_call":
                calls.append(item)
        for kind, whole in said.items():
            if whole:
                self._out.whole_text(kind, whole)
        for number, call in enumerate(calls):
            self._call_count = max(self._call_count, number + 1)
            self._out.whole_call(_piece(call, number), number)

    def _finish_of(self, response: ResponsesBody, status: str) -> Finish | None:
        if status == "completed" and self._call_count:
            return Finish(FinishReason.TOOL_CALLS, status)
        if status in ("completed", "failed", "cancelled"):
            return finish_of(status)
        if status != "incomplete":  # it is queued or in progress
            return None
        details = response.incomplete_details
        word = (details.reason if details is not None else None) or status
        if word in _INCOMPLETE:
            return Finish(_INCOMPLETE[word], word)
        finish = finish_of(word)
        if finish is None or finish.reason in (FinishReason.STOP, FinishReason.TOOL_CALLS):
            return Finish(FinishReason.ERROR, word)  # an unknown reason to be incomplete
        return finish

    def _usage(self, usage: ResponsesUsage) -> None:
        if usage.input_tokens is None:
            return
        read, made = usage.input_tokens_details, usage.output_tokens_details
        self._out.usage(
            Usage(
                usage.input_tokens,
                usage.output_tokens or 0,
                cached_tokens=(read.cached_tokens or 0) if read is not None else 0,
                cache_written_tokens=(read.cache_write_tokens or 0) if read is not None else 0,
                reasoning_tokens=(made.reasoning_tokens or 0) if made is not None else 0,
            )
        )

    def _error(self, event: ResponsesEvent) -> None:
        if self._out.finished:
            self._out.note_quirk("unreadable_end", "error")
            return
        if says_no_error(event.error):
            found = error_fields_in({"code": event.code, "message": event.message})
        else:
            found = error_fields_in({"error": event.error})
        raise error_from(found or ErrorFields(event.code, "error", event.message))


def _key(event: ResponsesEvent) -> PartKey:
    return PartKey(event.item_key, event.content_index or 0)


def _piece(item: ResponsesItem, number: int) -> CallPiece:
    return CallPiece(number, item.call_id, CallFunction(item.name, item.arguments))


def _mended(text: str | None) -> str:
    """Return a text that can be encoded: half a character in it is lost."""
    return (text or "").encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


_READ: Final[Mapping[str, Callable[[OpenAIResponsesInterpreter, ResponsesEvent], None]]] = {
    "response.output_text.delta": OpenAIResponsesInterpreter._text_delta,
    "response.output_text.done": OpenAIResponsesInterpreter._text_done,
    "response.refusal.delta": OpenAIResponsesInterpreter._refusal_delta,
    "response.refusal.done": OpenAIResponsesInterpreter._refusal_done,
    "response.content_part.done": OpenAIResponsesInterpreter._part_done,
    "response.reasoning_summary_text.delta": OpenAIResponsesInterpreter._summary_delta,
    "response.reasoning_summary_text.done": OpenAIResponsesInterpreter._summary_done,
    "response.reasoning_summary_part.done": OpenAIResponsesInterpreter._summary_done,
    "response.reasoning_text.delta": OpenAIResponsesInterpreter._reasoning_delta,
    "response.reasoning_text.done": OpenAIResponsesInterpreter._reasoning_done,
    "response.reasoning.delta": OpenAIResponsesInterpreter._reasoning_delta,
    "response.reasoning.done": OpenAIResponsesInterpreter._reasoning_done,
    "response.function_call_arguments.delta": OpenAIResponsesInterpreter._arguments_delta,
    "response.function_call_arguments.done": OpenAIResponsesInterpreter._arguments_done,
    "response.output_item.added": OpenAIResponsesInterpreter._item_added,
    "response.output_item.done": OpenAIResponsesInterpreter._item_done,
    "response.completed": OpenAIResponsesInterpreter._terminal,
    "response.incomplete": OpenAIResponsesInterpreter._terminal,
    "response.failed": OpenAIResponsesInterpreter._terminal,
    "response.cancelled": OpenAIResponsesInterpreter._terminal,
    "error": OpenAIResponsesInterpreter._error,
}
