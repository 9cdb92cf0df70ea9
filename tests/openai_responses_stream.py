"""Writes the events of OpenAI's Responses API, as a server sends them: a test says what is in them.

    stream = ResponsesStream()
    body = stream.reasoning("I think") + stream.text("Hel", "lo") + stream.complete()

Written after the recorded sample and the types of OpenAI's SDK, which reads these streams in
`providers/test_openai_responses_sdk.py`. `whole` is the same answer as one body of JSON.
"""

import hashlib
import json
from typing import Any

Usage = tuple[int, int]

_USAGE: Usage = (7, 11)


def encrypted(model: str, reasoning_id: str, summary: list[str]) -> str:
    """The encrypted content of reasoning, which is valid with all that it was made of only."""
    sealed = json.dumps([model, reasoning_id, summary]).encode()
    return "gAAAA" + hashlib.sha256(sealed).hexdigest()


class ResponsesStream:
    """One response. Each method returns the bytes of the events that it adds."""

    def __init__(self, model: str = "gpt-5-example", number: int = 0) -> None:
        self.model = model
        self.output: list[dict[str, Any]] = []
        self._number = number  # of the response, so that two have no ids in common
        self._sequence = 0
        self._begun = False
        self._message: dict[str, Any] | None = None  # the one that is open
        self._reasoning: dict[str, Any] | None = None  # likewise

    # What the model says

    def text(self, *pieces: str) -> bytes:
        """Text, in the open message if there is one."""
        return self._said("output_text", pieces)

    def refusal(self, *pieces: str) -> bytes:
        """A refusal, in the open message if there is one."""
        return self._said("refusal", pieces)

    def reasoning_text(self, *pieces: str) -> bytes:
        """Reasoning as text, as some servers send it."""
        events = self._begin()
        if self._reasoning is None:
            events += self._close()
            events += self._item({"type": "reasoning", "summary": [], "content": []}, "rs")
            self._reasoning = self.output[-1]
            self._reasoning["content"].append({"type": "reasoning_text", "text": ""})
        for piece in pieces:
            self._reasoning["content"][0]["text"] += piece
            events += self._in_part("response.reasoning_text.delta", delta=piece)
        return events

    def reasoning(self, *summary: str, is_encrypted: bool = True) -> bytes:
        """Reasoning with a summary of these parts, each in two deltas; there may be none."""
        events = self._begin() + self._close()
        events += self._item({"type": "reasoning", "summary": []}, "rs")
        item = self.output[-1]
        for place, text in enumerate(summary):
            at = {"item_id": item["id"], "output_index": self._place, "summary_index": place}
            part = {"type": "summary_text", "text": text}
            events += self._event(
                "response.reasoning_summary_part.added", **at, part={**part, "text": ""}
            )
            for piece in (text[: len(text) // 2], text[len(text) // 2 :]):
                events += self._event("response.reasoning_summary_text.delta", **at, delta=piece)
            events += self._event("response.reasoning_summary_text.done", **at, text=text)
            events += self._event("response.reasoning_summary_part.done", **at, part=part)
            item["summary"].append(part)
        if is_encrypted:
            item["encrypted_content"] = encrypted(self.model, item["id"], list(summary))
        return events + self._done()

    def call(self, call_id: str, name: str, *arguments: str) -> bytes:
        """A function call, whose arguments come in these pieces."""
        events = self._begin() + self._close()
        called = {"call_id": call_id, "name": name, "arguments": "", "status": "in_progress"}
        events += self._item({"type": "function_call", **called}, "fc")
        at = {"item_id": self.output[-1]["id"], "output_index": self._place}
        for piece in arguments:
            events += self._event("response.function_call_arguments.delta", **at, delta=piece)
        whole = "".join(arguments)
        events += self._event("response.function_call_arguments.done", **at, arguments=whole)
        self.output[-1] |= {"arguments": whole, "status": "completed"}
        return events + self._done()

    # How it ends

    def complete(self, usage: Usage | None = _USAGE) -> bytes:
        """The model has finished."""
        return self._end("completed", usage)

    def incomplete(self, reason: str, usage: Usage | None = _USAGE) -> bytes:
        """The answer was cut short."""
        return self._end("incomplete", usage, incomplete_details={"reason": reason})

    def failed(self, code: str, message: str = "Something about the question.") -> bytes:
        """The response failed."""
        return self._end("failed", None, error={"code": code, "message": message})

    def error(self, code: str | None, message: str = "Something about the question.") -> bytes:
        """An error event, which has no response."""
        return self._begin() + self._event("error", code=code, message=message, param=None)

    def finish(self, reason: str, usage: Usage | None) -> bytes:
        """The end, by the finish reason of chat completions."""
        if reason == "length":
            return self.incomplete("max_output_tokens", usage)
        if reason == "content_filter":
            return self.incomplete(reason, usage)
        return self.complete(usage)

    def whole(self, status: str = "completed", usage: Usage = _USAGE, **more: Any) -> bytes:
        """The response so far as one body of JSON."""
        self._close()
        return _json(self._response(status, output=self.output, usage=_usage(usage), **more))

    # Events

    def queued(self) -> bytes:
        """The response waits for its turn."""
        events = self._begin()
        return events + self._event("response.queued", response=self._response("queued"))

    def unknown(self) -> bytes:
        """Events of hosted tools, and of a kind that nobody knows yet."""
        at = {"item_id": "ws_1", "output_index": 9}
        events = self._begin() + self._event("response.web_search_call.searching", **at)
        events += self._event("response.output_text.annotation.added", **at, annotation={"a": 1})
        return events + self._event("response.thought_bubble.popped", **at, delta="pop")

    def _begin(self) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        response = self._response("in_progress")
        created = self._event("response.created", response=response)
        return created + self._event("response.in_progress", response=response)

    def _said(self, kind: str, pieces: tuple[str, ...]) -> bytes:
        field = "text" if kind == "output_text" else "refusal"
        events = self._begin()
        if self._message is None:
            events += self._close()
            message = {"type": "message", "status": "in_progress", "role": "assistant"}
            events += self._item({**message, "content": []}, "msg")
            self._message = self.output[-1]
        parts = self._message["content"]
        if not parts or parts[-1]["type"] != kind:
            events += self._part_done()
            part = {"type": kind, field: ""}
            if kind == "output_text":
                part |= {"annotations": [], "logprobs": []}
            events += self._in_part("response.content_part.added", index=len(parts), part=part)
            parts.append(part)
        for piece in pieces:
            parts[-1][field] += piece
            more = {"logprobs": []} if kind == "output_text" else {}
            events += self._in_part(
                f"response.{kind}.delta", delta=piece, **more, obfuscation="x3Kd"
            )
        return events

    def _part_done(self) -> bytes:
        """The end of the open part, if there is one."""
        parts = self._message["content"] if self._message is not None else []
        if not parts:
            return b""
        part = parts[-1]
        if part["type"] == "output_text":
            events = self._in_part("response.output_text.done", text=part["text"], logprobs=[])
        else:
            events = self._in_part("response.refusal.done", refusal=part["refusal"])
        return events + self._in_part("response.content_part.done", part=part)

    def _close(self, status: str = "completed") -> bytes:
        """The end of the open message or reasoning."""
        events = b""
        if self._message is not None:
            events += self._part_done()
            self._message["status"] = status
            self._message = None
            events += self._done()
        elif self._reasoning is not None:
            [part] = self._reasoning["content"]
            events += self._in_part("response.reasoning_text.done", text=part["text"])
            self._reasoning = None
            events += self._done()
        return events

    def _item(self, item: dict[str, Any], prefix: str) -> bytes:
        identified = {"id": f"{prefix}_{self._number}_{len(self.output)}", **item}
        self.output.append(identified)
        return self._event("response.output_item.added", output_index=self._place, item=identified)

    def _done(self) -> bytes:
        return self._event(
            "response.output_item.done", output_index=self._place, item=self.output[-1]
        )

    def _in_part(self, kind: str, index: int | None = None, **fields: Any) -> bytes:
        item = self.output[-1]
        at = {"item_id": item["id"], "output_index": self._place}
        place = len(item["content"]) - 1 if index is None else index
        return self._event(kind, **at, content_index=place, **fields)

    @property
    def _place(self) -> int:
        return len(self.output) - 1

    def _end(self, status: str, usage: Usage | None, **more: Any) -> bytes:
        is_cut = status != "completed"
        events = self._begin() + self._close("incomplete" if is_cut else "completed")
        response = self._response(status, output=self.output, usage=_usage(usage), **more)
        return events + self._event(f"response.{status}", response=response)

    def _response(self, status: str, **more: Any) -> dict[str, Any]:
        return {
            "id": f"resp_{self._number}",
            "object": "response",
            "created_at": 1790000000,
            "status": status,
            "error": None,
            "incomplete_details": None,
            "model": self.model,
            "output": [],
            "parallel_tool_calls": True,
            "store": False,
            "tool_choice": "auto",
            "tools": [],
            "usage": None,
            **more,
        }

    def _event(self, kind: str, **fields: Any) -> bytes:
        data = {"type": kind, "sequence_number": self._sequence, **fields}
        self._sequence += 1
        return b"event: " + kind.encode() + b"\ndata: " + _json(data) + b"\n\n"


def _usage(usage: Usage | None) -> dict[str, Any] | None:
    if usage is None:
        return None
    return {
        "input_tokens": usage[0],
        "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 1},
        "output_tokens": usage[1],
        "output_tokens_details": {"reasoning_tokens": 3},
        "total_tokens": sum(usage),
    }


def _json(body: object) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
