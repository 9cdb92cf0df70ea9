"""What providers and gateways were reported to send, in our own words, and what is right for each.

A case is a response, and what its reader must see: every text once, and an ending that is true.
They are sorted by what goes wrong with whoever reads carelessly.
"""

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

STOPPED = "complete"


@dataclass(frozen=True)
class Case:
    """One response, and what comes of it. `ending` is STOPPED, or the code that it fails with."""

    name: str
    body: bytes
    text: str = ""
    reasoning: str = ""
    calls: tuple[tuple[str, str, str], ...] = ()  # id, name, arguments
    ending: str = STOPPED
    finish: str = "stop"
    dialect: str = "openai"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    retry_after: float | None = None

    def __str__(self) -> str:
        return self.name


def sse(*events: Any, end: bytes = b"data: [DONE]\n\n") -> bytes:
    """Events: dicts as JSON, bytes as they are, framed or not."""
    framed = []
    for event in events:
        data = event if isinstance(event, bytes) else json.dumps(event, ensure_ascii=False).encode()
        framed.append(data if data.endswith(b"\n") else b"data: " + data + b"\n\n")
    return b"".join(framed) + end


def d(*, index: Any = 0, fin: Any = None, **delta: Any) -> dict[str, Any]:
    """A chunk with a delta."""
    return {"choices": [{"index": index, "delta": delta, "finish_reason": fin}]}


def fin(word: Any, index: Any = 0) -> dict[str, Any]:
    """A chunk with an empty delta and a finish reason."""
    return d(index=index, fin=word)


def call(**piece: Any) -> dict[str, Any]:
    """A chunk with a piece of a tool call."""
    return d(tool_calls=[piece])


def native(content: Any, word: Any = "null", **output: Any) -> dict[str, Any]:
    """An event of DashScope's own."""
    return {"output": {"choices": [{"message": {"content": content}, "finish_reason": word}]}}


def clause(result: Any, *, end: Any = False, **more: Any) -> dict[str, Any]:
    """An event of Qianfan v1."""
    return {"result": result, "is_end": end, "finish_reason": "normal", **more}


HELLO = (d(content="Hel"), d(content="lo"))
USAGE = {"prompt_tokens": 3, "completion_tokens": 2}
THROTTLED = (
    "id:1\nevent:error\n:HTTP_STATUS/429\n"
    'data:{"code":"Throttling.AllocationQuota","message":"Allocated quota exceeded."}'
)
THROTTLING = {"error": {"code": "rate_limit_exceeded", "message": "slow down"}}
F = {"name": "weather", "arguments": ""}

# 1. An unknown word does not mean success.
WORDS = (
    Case(
        "throttled in the content",
        sse(*HELLO, d(content=THROTTLED, fin="error_finish")),
        text="Hello",
        ending="provider_rate_limited",
    ),
    Case(
        "throttled in the content, and marked in the next chunk",
        sse(*HELLO, d(content=THROTTLED), fin("error_finish")),
        text="Hello",
        ending="provider_rate_limited",
    ),
    Case(
        "throttled in the content, and then nothing",
        sse(*HELLO, d(content=THROTTLED)),
        text="Hello",
        ending="provider_rate_limited",
    ),
    Case(
        "somebody asked for an example of such an event",
        sse(d(content="So: "), d(content=THROTTLED), d(content="."), fin("stop")),
        text=f"So: {THROTTLED}.",
    ),
    Case(
        "an error's JSON as the content",
        sse(d(content='{"error":{"message":"no","code":"insufficient_quota"}}', fin="error")),
        ending="provider_quota_exceeded",
    ),
    Case(
        "words in the chunk that breaks off",
        sse(*HELLO, d(content=" wor", fin="error")),
        text="Hello wor",
        ending="stream_broken",
    ),
    Case("Gemini's word through a gateway", sse(*HELLO, fin("SAFETY")), "Hello",
         finish="content_filter"),
    Case("another of its words", sse(*HELLO, fin("PROHIBITED_CONTENT")), "Hello",
         finish="content_filter"),
    Case("a guardrail", sse(*HELLO, fin("guardrail_intervened")), "Hello", finish="content_filter"),
    Case("a limit in capitals", sse(*HELLO, fin("MAX_TOKENS")), "Hello", finish="length"),
    Case("a call that came out malformed", sse(*HELLO, fin("MALFORMED_FUNCTION_CALL")), "Hello",
         ending="stream_broken"),
    Case("an error in any spelling", sse(*HELLO, fin("Engine-Error")), "Hello",
         ending="stream_broken"),
    Case("a word that nobody knows", sse(*HELLO, fin("eot_id")), "Hello"),
    Case(
        "DashScope's own, with a word for an error",
        sse(native("Hel"), native(THROTTLED, "error_finish"), end=b""),
        text="Hel",
        ending="provider_rate_limited",
        dialect="dashscope",
    ),
    Case(
        "DashScope's own, filtered by a word",
        sse(native("Hello"), native("", "content_filter"), end=b""),
        text="Hello",
        finish="content_filter",
        dialect="dashscope",
    ),
    Case(
        "Qianfan v1, with a word for an error",
        sse(clause("Hello"), clause("", end=True, finish_reason="system_error"), end=b""),
        text="Hello",
        ending="stream_broken",
        dialect="qianfan-v1",
    ),
    Case("a word that says that it goes on, and then a cut",
         sse(d(content="Hel", fin="FINISH_REASON_UNSPECIFIED"), d(content="lo", fin=0), end=b""),
         "Hello", ending="stream_broken"),
    Case("a limit as others call it", sse(*HELLO, fin("max_output")), "Hello", finish="length"),
    Case("a filter as others call it", sse(*HELLO, fin("MODEL_ARMOR")), "Hello",
         finish="content_filter"),
    Case("too many calls are no calls", sse(*HELLO, fin("TOO_MANY_TOOL_CALLS")), "Hello",
         ending="stream_broken"),
    Case("an error within the choice", sse(*HELLO, {"choices": [
        {"index": 0, "delta": {"content": ""}, "finish_reason": "error",
         "error": {"code": 502, "message": "gone"}}]}), "Hello", ending="provider_overloaded"),
    Case("an error's JSON as a part of the content",
         sse(d(content=[{"type": "text", "text": '{"error":{"code":"rate_limit_exceeded"}}'}],
               fin="error")), ending="provider_rate_limited"),
    Case("Qianfan v1's answer in one piece that is no end",
         b'{"result":"Hel","is_end":false}', "Hel", ending="stream_broken", dialect="qianfan-v1"),
    Case("Qianfan's piece that must not be shown",
         sse({"choices": [{"index": 0, "flag": 3, "delta": {"content": "bad"}}]},
             d(content="good"), fin("stop")), "good", finish="content_filter", dialect="qianfan"),
    Case("a limit that was reached", sse(*HELLO, fin("limit_reached")), "Hello", finish="length"),
    Case("an error within the choice that is none", sse(*HELLO, {"choices": [
        {"index": 0, "delta": {}, "finish_reason": "stop",
         "error": {"code": 200, "message": "OK."}}]}), "Hello"),
    Case("an error that holds a field of an answer's",
         sse(*HELLO, b'event: error\ndata: {"choices":[],"message":"gone"}\n\n'), "Hello",
         ending="provider_refused"),
)  # fmt: skip

# 2. A finish mark is not the end of listening.
MARKS = (
    Case("a mark on every chunk",
         sse(d(content="He", fin="stop"), d(content="ll", fin="stop"), d(content="o", fin="stop")),
         "Hello"),
    Case("a mark ahead of the text", sse(d(content="Hel"), fin("stop"), d(content="lo")), "Hello"),
    Case("two marks, and usage between them",
         sse(*HELLO, fin("stop"), {"choices": [], "usage": USAGE}, fin("stop")), "Hello"),
    Case("a mark behind [DONE]", sse(*HELLO, b"[DONE]", fin("stop"), end=b""), "Hello"),
    Case("what nobody can read behind the mark",
         sse(*HELLO, fin("stop"), b'{"choices": [{"del', b'{"choices": 7}'), "Hello"),
    Case("text behind a mark, and nothing behind that",
         sse(d(content="Hel"), fin("stop"), d(content="lo"), end=b""), "Hello",
         ending="stream_broken"),
    Case("a tool call with a mark on every piece",
         sse(d(tool_calls=[{"index": 0, "id": "c1", "function": {**F, "arguments": '{"x"'}}],
               fin="tool_calls"),
             d(tool_calls=[{"index": 0, "function": {"arguments": ":1}"}}], fin="tool_calls")),
         calls=(("c1", "weather", '{"x":1}'),), finish="tool_calls"),
    Case("a mark ahead of the text, of DashScope's",
         sse(native("Hel", "stop"), native("lo"), end=b""), "Hello", dialect="dashscope"),
    Case("an end ahead of the text, of Qianfan v1",
         sse(clause("Hel", end=True), clause("lo", end=True), end=b""), "Hello",
         dialect="qianfan-v1"),
    Case("each stage of a pipeline with a [DONE] of its own",
         sse(d(reasoning_content="Hm"), fin("stop"), b"[DONE]", *HELLO, fin("stop")),
         "Hello", "Hm"),
)  # fmt: skip

# 3. One odd field does not kill an event.
FIELDS = (
    Case("a number for a text", sse(d(content=6), d(content=0), d(content=1.5), fin("stop")),
         "601.5"),
    Case("a number as it was written",
         sse(b'{"choices":[{"index":0,"delta":{"content":1.50}}]}', fin("stop")), "1.50"),
    Case("a truth value for a text", sse(d(content=True), d(content=False), fin("stop")),
         "truefalse"),
    Case("usage as texts",
         sse(*HELLO, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
                      "usage": {"prompt_tokens": "3", "completion_tokens": "2.0"}}), "Hello"),
    Case("usage that is none", sse(*HELLO, {**fin("stop"), "usage": "n/a"}), "Hello"),
    Case("reasoning as a part of the content",
         sse(d(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}]),
             d(content=[{"type": "text", "text": "Hi"}]), fin("stop")), "Hi", "Hm"),
    Case("texts in a list", sse(d(content=["Hel", "lo"]), fin("stop")), "Hello"),
    Case("one part alone", sse(d(content={"type": "text", "text": "Hi"}), fin("stop")), "Hi"),
    Case("an index as a text", sse(d(index="0", content="Hi"), fin("stop", "0")), "Hi"),
    Case("a choice in place of a list of them",
         sse({"choices": d(content="Hi")["choices"][0]}, fin("stop")), "Hi"),
    Case("a delta in a list",
         sse({"choices": [{"index": 0, "delta": [{"content": "Hi"}]}]}, fin("stop")), "Hi"),
    Case("nothing among the choices",
         sse({"choices": [None, {"index": 0, "delta": {"content": "Hi"}}]}, fin("stop")), "Hi"),
    Case("a mark in a list", sse(d(content="Hi"), fin(["stop"])), "Hi"),
    Case("fields of strange types beside the text",
         sse({"id": 5, "created": "now", "code": None, "error": None, "message": [],
              "choices": [{"index": 0, "delta": {"content": "Hi", "refusal": False,
                                                 "tool_calls": None, "role": 3},
                           "logprobs": "no", "flag": "none", "finish_reason": None}]},
             fin("stop")), "Hi"),
    Case("arguments as an object, and an index as a text",
         sse(call(index="0", id=7, function={"name": "weather", "arguments": {"x": 1.5}}),
             fin("tool_calls")), calls=(("7", "weather", '{"x": 1.5}'),), finish="tool_calls"),
    Case("an event encoded twice", sse(json.dumps(json.dumps(d(content="Hi"))).encode(),
                                       fin("stop")), "Hi"),
    Case("an event of which nothing is left", sse(*HELLO, {"choices": 5}, fin("stop")), "Hello",
         ending="provider_bad_response"),
    Case("DashScope's content as a number",
         sse(native(6), native("!", "stop"), end=b""), "6!", dialect="dashscope"),
    Case("DashScope's output in a list",
         sse({"output": [native("Hi", "stop")["output"]]}, end=b""), "Hi", dialect="dashscope"),
    Case("Qianfan v1's result as a number, and its end as one",
         sse(clause(6), clause("!", end=1), end=b""), "6!", dialect="qianfan-v1"),
    Case("Qianfan's flag as a text",
         sse({"choices": [{"index": 0, "flag": "0", "delta": {"content": "Hi"}}]}, fin("stop")),
         "Hi", dialect="qianfan"),
    Case("a delta that is its text", sse({"choices": [{"index": 0, "delta": "Hi"}]}, fin("stop")),
         "Hi"),
    Case("the older completions", sse({"choices": [{"index": 0, "text": "Hi"}]}, fin("stop")),
         "Hi"),
    Case("a tab and a line end that nobody escaped",
         sse(b'{"choices":[{"index":0,"delta":{"content":"a\tb"}}]}', fin("stop")), "a\tb"),
    Case("events in a wrapper", sse(*({"data": each} for each in HELLO),
                                    {"response": fin("stop")}), "Hello"),
    Case("errors that are none", sse(*({**each, "error": {"message": "", "type": "", "code": None}}
                                       for each in HELLO), {**fin("stop"), "error": "0"}),
         "Hello"),
    Case("Qianfan v1's error that is none",
         sse(clause("Hi", error_code="0"), clause("", end=True, error_code=0), end=b""), "Hi",
         dialect="qianfan-v1"),
)  # fmt: skip

# 4. Identity is not taken on trust.
IDENTITY = (
    Case("reasoning as choice 0, text as choice 1",
         sse(d(index=0, reasoning_content="Hm"), d(index=1, content="Hi"), fin("stop", 1)),
         "Hi", "Hm"),
    Case("the same, and the mark of the text's choice last",
         sse(d(index=0, reasoning_content="Hm"), fin("stop", 0), d(index=1, content="Hi"),
             fin("length", 1)), "Hi", "Hm", finish="length"),
    Case("the same, marked at the other choice only",
         sse(d(index=0, reasoning_content="Hm"), d(index=1, content="Hi"), fin("stop", 0)),
         "Hi", "Hm"),
    Case("two answers, of which the first to speak is ours",
         sse(d(index=1, content="B"), d(index=0, content="A"), fin("stop", 0),
             d(index=1, content="b"), fin("length", 1)), "Bb", finish="length"),
    Case("two answers, of which ours was cut off",
         sse(d(index=0, content="A"), d(index=1, content="B"), fin("stop", 1), end=b""), "A",
         ending="stream_broken"),
    Case("a tool call whose pieces have an id each",
         sse(call(index=0, id="c1", function=F),
             call(index=0, id="c2", function={"arguments": "{"}),
             call(index=0, id="c3", function={"arguments": '"x":1}'}), fin("tool_calls")),
         calls=(("c1", "weather", '{"x":1}'),), finish="tool_calls"),
    Case("the same, with the name each time",
         sse(call(index=0, id="c1", function={"name": "weather", "arguments": '{"x"'}),
             call(index=0, id="c2", function={"name": "weather", "arguments": ":1}"}),
             call(index=0, id="c3", function={"name": "weather", "arguments": ""}),
             fin("tool_calls")),
         calls=(("c1", "weather", '{"x":1}'),), finish="tool_calls"),
    Case("calls that all have the index 0",
         sse(call(index=0, id="c1", function={"name": "weather", "arguments": "{}"}),
             call(index=0, id="c2", function={"name": "weather", "arguments": '{"x":1}'}),
             call(index=0, id="c3", function={"name": "time", "arguments": "{}"}),
             fin("tool_calls")),
         calls=(("c1", "weather", "{}"), ("c2", "weather", '{"x":1}'), ("c3", "time", "{}")),
         finish="tool_calls"),
    Case("the same, opened before their arguments",
         sse(call(index=0, id="c1", function={"name": "weather", "arguments": "{}"}),
             call(index=0, id="c2", function={"name": "weather", "arguments": ""}),
             call(index=0, function={"arguments": '{"x":1}'}), fin("tool_calls")),
         calls=(("c1", "weather", "{}"), ("c2", "weather", '{"x":1}')), finish="tool_calls"),
    Case("calls known by their ids alone",
         sse(call(id="c1", function={"name": "weather", "arguments": '{"x"'}),
             call(id="c2", function={"name": "time", "arguments": "{"}),
             call(id="c1", function={"arguments": ":1}"}),
             call(id="c2", function={"arguments": "}"}),
             fin("tool_calls")),
         calls=(("c1", "weather", '{"x":1}'), ("c2", "time", "{}")), finish="tool_calls"),
    Case("an index that moves on under one id",
         sse(call(index=0, id="c1", function={"name": "weather", "arguments": '{"x"'}),
             call(index=1, id="c1", function={"arguments": ":1}"}), fin("tool_calls")),
         calls=(("c1", "weather", '{"x":1}'),), finish="tool_calls"),
    Case("the whole message behind its deltas",
         sse(d(reasoning_content="Hm"), *HELLO,
             {"object": "chat.completion", "choices": [
                 {"index": 0, "finish_reason": "stop",
                  "message": {"content": "Hello", "reasoning_content": "Hm"}}]}), "Hello", "Hm"),
    Case("the same, trimmed",
         sse(d(content="\nHel"), d(content="lo "), {"choices": [
             {"index": 0, "finish_reason": "stop", "message": {"content": "Hello"}}]}), "\nHello "),
    Case("the same, with what the deltas lacked",
         sse(*HELLO, {"choices": [
             {"index": 0, "finish_reason": "stop", "message": {"content": "Hello!"}}]}), "Hello!"),
    Case("the same, beside an empty delta",
         sse(*HELLO, {"choices": [{"index": 0, "finish_reason": "stop", "delta": {},
                                   "message": {"content": "Hello"}}]}), "Hello"),
    Case("a whole message with its tool call behind the pieces",
         sse(call(index=0, id="c1", function={"name": "weather", "arguments": '{"x":1}'}),
             {"choices": [{"index": 0, "finish_reason": "tool_calls", "message": {"tool_calls": [
                 {"id": "c1", "function": {"name": "weather", "arguments": '{"x": 1}'}}]}}]}),
         calls=(("c1", "weather", '{"x":1}'),), finish="tool_calls"),
    Case("a whole message and no deltas",
         sse({"choices": [{"index": 0, "message": {"content": "Hello"}, "finish_reason": "stop"}]}),
         "Hello"),
    Case("the deprecated function_call",
         sse(d(function_call={"name": "weather", "arguments": ""}),
             d(function_call={"arguments": '{"x":1}'}), fin("function_call")),
         calls=(("", "weather", '{"x":1}'),), finish="tool_calls"),
    Case("DashScope's text as choice 1",
         sse({"output": {"choices": [
             {"index": 0, "message": {"reasoning_content": "Hm"}, "finish_reason": "null"},
             {"index": 1, "message": {"content": "Hi"}, "finish_reason": "stop"}]}}, end=b""),
         "Hi", "Hm", dialect="dashscope"),
    Case("DashScope's call with an id for each piece",
         sse(*({"output": {"choices": [{"message": {"content": "", "tool_calls": [piece]},
                                        "finish_reason": word}]}}
               for piece, word in (
                   ({"index": 0, "id": "c1", "function": {"name": "weather", "arguments": '{"x"'}},
                    "null"),
                   ({"index": 0, "id": "c2", "function": {"arguments": ":1}"}}, "tool_calls"))),
             end=b""),
         calls=(("c1", "weather", '{"x":1}'),), finish="tool_calls", dialect="dashscope"),
    Case("an index that counts chunks",
         sse(d(index=0, role="assistant"), d(index=1, content="He"), d(index=2, content="ll"),
             d(index=3, content="o"), d(index=4, content="!"), fin("stop", 5)), "Hello!"),
    Case("an index that counts two chunks",
         sse(d(index=0, content="Hel"), d(index=1, content="lo"), fin("stop", 2)), "Hello"),
    Case("two answers that take turns",
         sse(d(index=0, content="A"), d(index=1, content="B"), d(index=0, content="a"),
             d(index=1, content="b"), d(index=2, content="C"), fin("stop", 0)), "Aa"),
    Case("two answers, of which only the other was finished",
         sse(d(index=0, content="A"), d(index=1, content="B"), d(index=1, content="b"),
             fin("stop", 1)), "A", ending="stream_broken"),
    Case("an empty call beside every text",
         sse(*(d(content=words, tool_calls=[{"index": 0, "id": "", "function":
                                             {"name": "", "arguments": ""}}], function_call={})
               for words in ("Hel", "lo")), fin("stop")), "Hello"),
    Case("a call that opens with an empty object",
         sse(call(index=0, id="c1", function={"name": "weather", "arguments": "{}"}),
             call(index=0, function={"arguments": '{"x"'}),
             call(index=0, function={"arguments": ":1}"}), fin("tool_calls")),
         calls=(("c1", "weather", '{"x":1}'),), finish="tool_calls"),
    Case("a call without arguments, and text behind it",
         sse(call(index=0, id="c1", function={"name": "weather", "arguments": "{}"}),
             d(content="Hi"), fin("tool_calls")), "Hi",
         calls=(("c1", "weather", "{}"),), finish="tool_calls"),
    Case("arguments said once more",
         sse(call(index=0, id="c1", function={"name": "weather", "arguments": '{"x"'}),
             call(index=0, function={"arguments": ':"}"}'}),
             call(index=0, id="c1", function={"name": "weather", "arguments": '{"x":"}"}'}),
             call(index=0, function={"arguments": "\n"}), fin("tool_calls")),
         calls=(("c1", "weather", '{"x":"}"}'),), finish="tool_calls"),
    Case("one id for two calls",
         sse(call(index=0, id="c", function={"name": "weather", "arguments": ""}),
             call(index=1, id="c", function={"name": "time", "arguments": ""}),
             call(index=0, id="c", function={"arguments": '{"x":1}'}),
             call(index=1, id="c", function={"arguments": '{"y":2}'}), fin("tool_calls")),
         calls=(("c", "weather", '{"x":1}'), ("c", "time", '{"y":2}')), finish="tool_calls"),
    Case("the word null for an id",
         sse(d(tool_calls=[
             {"id": "null", "function": {"name": "weather", "arguments": "{}"}},
             {"id": "null", "function": {"name": "time", "arguments": '{"y":2}'}}]),
             fin("tool_calls")),
         calls=(("", "weather", "{}"), ("", "time", '{"y":2}')), finish="tool_calls"),
    Case("messages in place of deltas",
         sse(d(role="assistant"), *({"choices": [{"index": 0, "message": {"content": words},
                                                  "finish_reason": None}]}
                                    for words in ("Hel", "lo")), fin("stop")), "Hello"),
    Case("three answers of a word each",
         sse(d(index=0, content="A"), d(index=1, content="B"), d(index=2, content="C"),
             fin("stop", 0), fin("length", 1), fin("length", 2)), "A"),
    Case("three answers side by side",
         sse({"choices": [{"index": n, "delta": {"content": words}, "finish_reason": "stop"}
                          for n, words in enumerate("ABC")]}), "A"),
    Case("an index that counts chunks, some of which are empty",
         sse(d(index=0, reasoning_content="H"), d(index=1, reasoning_content="m"),
             d(index=2, content=""), d(index=3, content="Hel"), d(index=4, content="lo"),
             fin("stop", 5)), "Hello", "Hm"),
    Case("an index that counts many chunks",
         sse(*(d(index=n, content=words) for n, words in enumerate("Hello, hello!", 1)),
             fin("stop", 14)), "Hello, hello!"),
    Case("two answers that come one behind the other",
         sse(d(index=0, content="A"), d(index=1, content="B"), fin("stop", 0)), "A"),
    Case("arguments said once more, while another call is open",
         sse(call(index=0, id="a", function={"name": "weather", "arguments": '{"x":'}),
             call(index=1, id="b", function={"name": "time", "arguments": '{"y":1}'}),
             call(index=1, id="b", function={"arguments": '{"y":1}'}),
             call(index=0, function={"arguments": "1}"}), fin("tool_calls")),
         calls=(("a", "weather", '{"x":1}'), ("b", "time", '{"y":1}')), finish="tool_calls"),
    Case("an empty call that is called null",
         sse(*(d(content=words, tool_calls=[{"index": 0, "id": "null",
                                             "function": {"name": "", "arguments": {}}}])
               for words in ("Hel", "lo")), fin("stop")), "Hello"),
    Case("messages beside empty deltas",
         sse(*({"choices": [{"index": 0, "delta": {}, "message": {"content": words}}]}
               for words in ("Hel", "lo")), fin("stop")), "Hello"),
)  # fmt: skip

_A, _B = (json.dumps(each).encode() for each in HELLO)
_STOP = json.dumps(fin("stop")).encode()

# 5. Framing as it is sent.
FRAMING = (
    Case("no empty lines",
         b"data: %b\ndata: %b\ndata: %b\ndata: [DONE]\n" % (_A, _B, _STOP), "Hello"),
    Case("no empty line behind the last",
         b"data: %b\n\ndata: %b\n\ndata: %b" % (_A, _B, _STOP), "Hello"),
    Case("a time of day as a sign of life",
         sse(d(content="Hel"), b"2024-04-27 01:35:43.68", d(content="lo"), fin("stop")), "Hello"),
    Case("words as a sign of life", sse(b"ping", *HELLO, b"keep-alive", fin("stop")), "Hello"),
    Case("a blank before the field",
         b" data: %b\n\n data: %b\n\n\tdata: %b\n\n" % (_A, _B, _STOP), "Hello"),
    Case("a blank before the colon, and capitals",
         b"data : %b\n\nDATA: %b\n\nData:%b\n\n" % (_A, _B, _STOP), "Hello"),
    Case("the field's name twice", b"data: data: %b\n\ndata: data: %b\n\n" % (_A, _B)
         + sse(fin("stop")), "Hello"),
    Case("two objects in one event", sse(_A + _B, _STOP), "Hello"),
    Case("a list of objects in one event", sse(b"[%b,%b]" % (_A, _B), _STOP), "Hello"),
    Case("lines of JSON in place of events", b"%b\n%b\n%b\n" % (_A, _B, _STOP), "Hello"),
    Case("a line of JSON ahead of events", b'{"type":"ping"}\n\n' + sse(*HELLO, fin("stop")),
         "Hello"),
    Case("lines that mean nothing between the events",
         b"hello\n\n" + sse(d(content="Hel")) [:-14] + b"<!-- proxy -->\n\n"
         + sse(d(content="lo"), fin("stop")), "Hello"),
    Case("comments, names, ids and retries between",
         b": hi\n\nretry: 5\nid: 7\nevent: chunk\ndata: %b\n\n:\n\nevent: ping\n\n" % _A
         + sse(_B, _STOP), "Hello"),
    Case("gzip, though it was not asked for", gzip.compress(sse(*HELLO, fin("stop"))), "Hello",
         headers={"Content-Encoding": "gzip"}),
    Case("a stream labelled as a page", sse(*HELLO, fin("stop")), "Hello",
         headers={"Content-Type": "text/html; charset=utf-8"}),
    Case("a broken event in the middle",
         sse(d(content="Hel"), b'{"choices":[{"index":0,"delta":{"cont', fin("stop")), "Hel",
         ending="provider_bad_response"),
    Case("DashScope's without empty lines",
         b"".join(b"id:%d\nevent:result\ndata:%b\n" % (n, json.dumps(each).encode())
                  for n, each in enumerate((native("Hel"), native("lo", "stop")))),
         "Hello", dialect="dashscope"),
    Case("Qianfan v1's with a blank before",
         b"".join(b" data: %b\n\n" % json.dumps(each).encode()
                  for each in (clause("Hel"), clause("lo", end=True))),
         "Hello", dialect="qianfan-v1"),
    Case("[DONE] without its field", sse(*HELLO, fin("stop"), d(content="!"), b"[DONE]\n\n",
                                         end=b""), "Hello!"),
    Case("a line that lost its colon", b"data %b\n\ndata=%b\n\n" % (_A, _B) + sse(_STOP),
         "Hello"),
    Case("a bare line ahead of the empty one", b"data: %b\n%b\ndata: %b\n\ndata: [DONE]\n\n"
         % (_A, _B, _STOP), "Hello"),
    Case("an error in a bare line ahead of the empty one",
         b'data: %b\n{"error":{"code":"rate_limit_exceeded"}}\n' % _A, "Hel",
         ending="provider_rate_limited"),
    Case("a name that is the next event's, and no empty lines",
         b'event:result\ndata:%b\nevent:error\ndata:{"code":"Throttling"}\n'
         % json.dumps(native("Hel")).encode(), "Hel", ending="provider_rate_limited",
         dialect="dashscope"),
    Case("a byte order mark in the middle", b"data: %b\n\n\xef\xbb\xbfdata: %b\n\n" % (_A, _B)
         + sse(_STOP), "Hello"),
    Case("an answer written for people, behind signs of life",
         b": processing\n\n" * 3 + json.dumps({"choices": [
             {"index": 0, "finish_reason": "stop", "message": {"content": "Hello"}}]},
             indent=2).encode(), "Hello"),
    Case("an error written for people, behind text",
         sse(*HELLO, end=b"") + json.dumps(THROTTLING, indent=4).encode() + b"\n", "Hello",
         ending="provider_rate_limited"),
    Case("lines of JSON that end as others do", b"%b\r\n\r\n%b\r\n%b\r\n" % (_A, _B, _STOP),
         "Hello"),
    Case("an error that is an event of plain words", sse(*HELLO, b"event: error\ndata: gone\n\n"),
         "Hello", ending="provider_refused"),
    Case("a proxy's line with an error in it",
         sse(*HELLO, b'Report: {"error": "x"}\n\n', fin("stop")), "Hello"),
)  # fmt: skip


def refusal(name: str, status: int, body: Any, ending: str, **more: Any) -> Case:
    """A response that is a refusal, as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", **more.pop("headers", {})}
    return Case(name, data, ending=ending, status=status, headers=headers, **more)


def error(**said: Any) -> dict[str, Any]:
    return {"error": said}


# 6. Every refusal is read like an answer.
REFUSALS = (
    Case("201", sse(*HELLO, fin("stop")), "Hello", status=201),
    Case("202, with an answer in one piece",
         b'{"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]}',
         "Hi", status=202, headers={"Content-Type": "application/json"}),
    refusal("an error in a list", 404, [error(code=404, message="no model", status="NOT_FOUND")],
            "model_not_found"),
    refusal("an error in a list, under 200", 200, [error(code="insufficient_quota")],
            "provider_quota_exceeded"),
    refusal("a gateway's word for no money", 403, error(code="insufficient_user_quota"),
            "provider_quota_exceeded"),
    refusal("another", 403, error(code="", type="new_api_error", message="x",
                                  param="") | {"code": "quota_not_enough"},
            "provider_quota_exceeded"),
    refusal("no balance, in words", 429, error(type="insufficient_balance_error"),
            "provider_quota_exceeded"),
    refusal("too long, as vLLM says it", 400, error(
        message="This prompt is longer than the maximum model length of 4096", code=400,
        type="BadRequestError"), "context_too_long"),
    refusal("too long, as others say it", 400, error(
        message="prompt is too long: 210000 tokens > 200000 maximum"), "context_too_long"),
    refusal("an error within an error", 500, error(message=json.dumps(error(
        code="context_length_exceeded"))), "context_too_long"),
    refusal("an error as a text of JSON", 400, {"error": json.dumps({"code": "invalid_api_key"})},
            "provider_unauthorized"),
    refusal("an error without a wrapper", 429, {"code": "rate_limit", "msg": "slow"},
            "provider_rate_limited", headers={"Retry-After": "20"}, retry_after=20.0),
    refusal("a wait that is asked for", 429, error(code="rate_limit_exceeded"),
            "provider_rate_limited", headers={"Retry-After": "20"}, retry_after=20.0),
    refusal("a wait of an overloaded one", 503, b"<html>busy</html>", "provider_overloaded",
            headers={"Retry-After": "7"}, retry_after=7.0),
    refusal("an error that came compressed", 429, gzip.compress(json.dumps(error(
        code="insufficient_quota")).encode()), "provider_quota_exceeded",
        headers={"Content-Encoding": "gzip"}),
    refusal("ERNIE: messages must be odd in number", 200,
            {"error_code": 336006, "error_msg": "the length of messages must be an odd number"},
            "provider_bad_request", dialect="qianfan-v1"),
    refusal("ERNIE: too long", 200, {"error_code": 336007, "error_msg": "max input tokens"},
            "context_too_long", dialect="qianfan-v1"),
    refusal("ERNIE's error through another dialect", 200,
            {"error_code": 18, "error_msg": "Open api qps limit", "code": "qps_request_limit"},
            "provider_rate_limited"),
    refusal("ERNIE with another's error", 400, error(code="model_not_found"), "model_not_found",
            dialect="qianfan-v1"),
    refusal("DashScope with another's error", 401, error(code="invalid_api_key"),
            "provider_unauthorized", dialect="dashscope"),
    refusal("DashScope, in a list", 429, [{"code": "Throttling", "message": "x"}],
            "provider_rate_limited", dialect="dashscope"),
    Case("an error behind text", sse(*HELLO, error(code="data_inspection_failed")), "Hello",
         ending="content_filtered"),
    Case("nothing wrong, by its code", sse({"code": 200, "message": "success", "choices": None},
                                           *HELLO, fin("stop")), "Hello"),
    refusal("MiniMax: no balance", 200, {"base_resp": {"status_code": 1008, "status_msg": "no"}},
            "provider_quota_exceeded"),
    Case("MiniMax: filtered behind text", sse(*HELLO, {
        "choices": None, "base_resp": {"status_code": 1027, "status_msg": "x"}}), "Hello",
         ending="content_filtered"),
    Case("an error without a wrapper in a stream", sse(*HELLO, {
        "type": "invalid_request_error", "code": "no_such_thing", "message": "x"}), "Hello",
         ending="provider_bad_request"),
    Case("MiniMax: nothing wrong", sse(*HELLO, {
        **fin("stop"), "base_resp": {"status_code": 0, "status_msg": ""}}), "Hello"),
    Case("an object that says it is an error", sse(*HELLO, {
        "object": "error", "type": "InternalServerError", "message": "x", "code": None}), "Hello",
         ending="provider_overloaded"),
    Case("ERNIE's error in another's stream", sse(*HELLO, {"error_code": 4, "error_msg": "x"}),
         "Hello", ending="provider_refused"),
    Case("a detail in a stream", sse(*HELLO, {"detail": "Internal error"}), "Hello",
         ending="provider_overloaded"),
    Case("Anthropic's error", sse(b'event: error\ndata: {"type":"error","error":'
                                  b'{"type":"overloaded_error","message":"x"}}\n\n'),
         ending="provider_overloaded"),
    Case("reports that are no errors",
         sse({"type": "status", "message": "thinking"}, {"event": "search", "detail": "the web"},
             {"status": "running", "progress": 3}, *HELLO, fin("stop")), "Hello"),
    refusal("Tencent's wrapper and capitals", 200,
            {"Response": {"Error": {"Code": "RequestLimitExceeded", "Message": "x"}}},
            "provider_rate_limited"),
    refusal("Google's key, under 400", 400, [error(
        code=400, status="INVALID_ARGUMENT", details=[{"reason": "API_KEY_INVALID"}])],
            "provider_unauthorized"),
    refusal("Google's wait", 429, [error(
        code=429, status="RESOURCE_EXHAUSTED", details=[{"retryDelay": "17s"}])],
            "provider_rate_limited", retry_after=17.0),
    refusal("a code that says more than its type", 400, error(
        code="SensitiveContentDetected.SevereViolation", type="BadRequest"), "content_filtered"),
    refusal("a balancer is no balance", 502, error(code="load_balancer_error"),
            "provider_overloaded"),
    refusal("a message alone", 400, {"message": "too many tokens: size limit exceeded"},
            "context_too_long"),
    refusal("too long, as TGI says it", 422, {"error": "Input validation error: `inputs` tokens + "
            "`max_new_tokens` must be <= 4096", "error_type": "validation"}, "context_too_long"),
    refusal("a wrong path", 404, error(message="Invalid URL (POST /chat/completions)",
                                       type="invalid_request_error"), "provider_refused"),
    refusal("tokens a day", 429, error(code="daily_token_limit_exceeded"),
            "provider_rate_limited"),
    refusal("a sign of life ahead of the refusal", 429,
            b'data: {"type":"ping"}\n\ndata: {"error":{"code":"insufficient_quota"}}\n\n',
            "provider_quota_exceeded"),
    Case("DashScope: an error beside an empty output",
         sse(native("Hel"), {"code": "Throttling", "message": "x", "output": {}}, end=b""), "Hel",
         ending="provider_rate_limited", dialect="dashscope"),
    Case("more reports that are no errors", sse(
        {"status": 404, "type": "fetch", "url": "x"}, {"status": "500"}, {"status_code": 204},
        {"header": {"code": "0000"}}, {"type": "stats", "data": {"error": 0.02}},
        {"detail": "searching"}, {"type": "tool_error", "message": "retrying"},
        {"type": "x", "success": False, "message": "cache miss"},
        {"type": "code_interpreter", "code": "import math"}, {"code": "00000", "message": "ok"},
        {"code": 200.0}, *HELLO, fin("stop"), {"type": "rate_limit_error", "message": "0"}),
         "Hello"),
    Case("an error as deep as nobody reads", sse(
        b'{"error":' + b"[" * 700 + b"]" * 700 + b"}"), ending="provider_refused"),
)  # fmt: skip

CASES = (*WORDS, *MARKS, *FIELDS, *IDENTITY, *FRAMING, *REFUSALS)
