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
from providers.assembler import Assembler
from providers.content_parts import texts_in
from providers.error_bodies import says_no_error
from providers.json_events import JsonInterpreter
from providers.openai_responses_endings import error_in, error_of, finish_of_response, usage_of
from providers.openai_responses_events import (
    ResponsesBody,
    ResponsesEvent,
    ResponsesItem,
    ResponsesPart,
    ResponsesTextDelta,
)
from providers.part_texts import ItemKey, PartKey, PartTexts
from providers.sink import Kind
from providers.sse import Event, StrayLine
from providers.tool_calls import CallFunction, CallPiece

# The name of the dialect in the provider data that it makes.
DIALECT: Final = "openai-responses"

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
        self._keys: dict[int | str, ItemKey] = {}  # of the items, by index and by id
        self._calls: dict[ItemKey, int] = {}  # numbers of the calls
        self._call_count = 0
        self._forms: dict[ItemKey, str] = {}  # which form of each reasoning is read
        self._kept: set[ItemKey] = set()  # the reasoning that was kept as data

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
        raise error_in(body.error)

    # Text and refusals

    def _text_delta(self, event: ResponsesEvent) -> None:
        self._parts.add("text", self._part_of(event), _delta(event))

    def _text_done(self, event: ResponsesEvent) -> None:
        self._parts.add_whole("text", self._part_of(event), event.text or "")

    def _refusal_delta(self, event: ResponsesEvent) -> None:
        self._parts.add("refusal", self._part_of(event), _delta(event))

    def _refusal_done(self, event: ResponsesEvent) -> None:
        self._parts.add_whole("refusal", self._part_of(event), event.refusal or "")

    def _part_done(self, event: ResponsesEvent) -> None:
        if event.part is not None:
            self._whole_part(event.part, self._part_of(event))

    def _whole_part(self, part: ResponsesPart, key: PartKey) -> None:
        if part.type == "reasoning_text":
            self._reasoning("content", key, part.text, is_whole=True)
            return
        self._parts.add_whole("text", key, part.text or "")
        self._parts.add_whole("refusal", key, part.refusal or "")

    # Reasoning

    def _summary_delta(self, event: ResponsesEvent) -> None:
        self._reasoning("summary", self._summary_part_of(event), _delta(event))

    def _summary_done(self, event: ResponsesEvent) -> None:
        said = event.text if event.part is None else event.part.text
        self._reasoning("summary", self._summary_part_of(event), said, is_whole=True)

    def _reasoning_delta(self, event: ResponsesEvent) -> None:
        self._reasoning("content", self._part_of(event), _delta(event))

    def _reasoning_done(self, event: ResponsesEvent) -> None:
        self._reasoning("content", self._part_of(event), event.text, is_whole=True)

    def _reasoning(
        self, form: str, key: PartKey, said: str | None, *, is_whole: bool = False
    ) -> None:
        """Read a piece of reasoning: of its summary or of its text, whichever came first."""
        if not said or self._forms.setdefault(key.item, form) != form:
            return
        if self._parts.last == "reasoning" and self._parts.is_new("reasoning", key):
            self._out.reasoning(_PARAGRAPH)
        if is_whole:
            self._parts.add_whole("reasoning", key, said)
        else:
            self._parts.add("reasoning", key, said)

    def _whole_reasoning(self, item: ResponsesItem, key: ItemKey) -> None:
        for place, part in enumerate(item.summary or ()):
            self._reasoning("summary", PartKey(key, place), part.text, is_whole=True)
        for place, part in enumerate(item.content or ()):
            self._reasoning("content", PartKey(key, place), part.text, is_whole=True)
        is_whole = item.status != "incomplete"
        if item.id and item.encrypted_content and is_whole and key not in self._kept:
            self._kept.add(key)
            self._keep(item)

    def _keep(self, item: ResponsesItem) -> None:
        """Keep whole reasoning as provider data, in the form in which it is sent back."""
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
        number = self._number_of(self._item_of(event))
        self._out.tool_call(CallPiece(number, None, CallFunction(None, event.delta)), number)

    def _arguments_done(self, event: ResponsesEvent) -> None:
        number = self._number_of(self._item_of(event))
        function = CallFunction(event.name, event.arguments)
        self._out.whole_call(CallPiece(number, None, function), number)

    def _number_of(self, key: ItemKey) -> int:
        """Return the number of a function call, which is a new one if it was not announced."""
        if (number := self._calls.get(key)) is None:
            number = self._calls[key] = self._call_count
            self._call_count += 1
            self._parts.last = None
        return number

    # Items

    def _key_of(self, index: int | None, item_id: str | None) -> ItemKey:
        """Return the key of an item, by its index, or by its id where the index is missing.

        Some servers make up an id for every event, some leave the index out.
        """
        key = self._keys.get(index) if index is not None else None
        if key is None and item_id is not None:
            key = self._keys.get(item_id)
        if key is None:
            key = item_id if index is None else index
        for name in (index, item_id):
            if name is not None and key is not None:
                self._keys.setdefault(name, key)
        return key

    def _item_of(self, event: ResponsesEvent) -> ItemKey:
        return self._key_of(event.output_index, event.item_id)

    def _part_of(self, event: ResponsesEvent) -> PartKey:
        return PartKey(self._item_of(event), event.content_index or 0)

    def _summary_part_of(self, event: ResponsesEvent) -> PartKey:
        return PartKey(self._item_of(event), event.summary_index or 0)

    def _item_added(self, event: ResponsesEvent) -> None:
        item = event.item
        if item is None:
            return
        for name in (event.output_index, item.id):  # what had it before was another item
            if name is not None:
                self._keys.pop(name, None)
        key = self._key_of(event.output_index, item.id)
        self._parts.forget(key)
        self._forms.pop(key, None)
        self._kept.discard(key)
        self._calls.pop(key, None)
        if item.type == "function_call":
            number = self._number_of(key)
            self._out.tool_call(_piece(item, number), number)

    def _item_done(self, event: ResponsesEvent) -> None:
        if event.item is not None:
            self._whole_item(event.item, event.output_index)

    def _whole_item(self, item: ResponsesItem, index: int | None) -> None:
        """Read a whole item; of one that came in deltas, only what they lacked."""
        key = self._key_of(index, item.id)
        if item.type == "message":
            for place, part in enumerate(item.content or ()):
                self._whole_part(part, PartKey(key, place))
        elif item.type == "reasoning":
            self._whole_reasoning(item, key)
        elif item.type == "function_call":
            number = self._number_of(key)
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
        if (usage := usage_of(response)) is not None:
            self._out.usage(usage)
        if status not in ("completed", "incomplete") and not says_no_error(response.error):
            raise error_in(response.error)
        if finish := finish_of_response(response, status, has_calls=self._call_count > 0):
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
        said = {kind: whole for kind, whole in said.items() if whole}
        if len(said) == 1:  # of text and refusals together, nothing tells the order
            for kind, whole in said.items():
                self._out.whole_text(kind, whole)
        for number, call in enumerate(calls):
            self._call_count = max(self._call_count, number + 1)
            self._out.whole_call(_piece(call, number), number)

    def _error(self, event: ResponsesEvent) -> None:
        if not self._out.finished:
            raise error_of(event)
        self._out.note_quirk("unreadable_end", "error")


def _delta(event: ResponsesEvent) -> str:
    delta = event.delta
    return delta if type(delta) is str else "".join(text for _, text in texts_in(delta))


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
