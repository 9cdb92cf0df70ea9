"""Framing as it is sent."""

import gzip
import json

from tests.providers.reported.case import HELLO, THROTTLING, Case, clause, d, fin, native, sse

_A, _B = (json.dumps(each).encode() for each in HELLO)
_STOP = json.dumps(fin("stop")).encode()

# 5. Framing as it is sent.
FRAMING = (
    Case("no empty lines",
         b"data: %b\ndata: %b\ndata: %b\ndata: [DONE]\n" % (_A, _B, _STOP), "Hello"),
    Case("no empty line after the last",
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
    Case("a pretty-printed answer, after keep-alives",
         b": processing\n\n" * 3 + json.dumps({"choices": [
             {"index": 0, "finish_reason": "stop", "message": {"content": "Hello"}}]},
             indent=2).encode(), "Hello"),
    Case("a pretty-printed error, after text",
         sse(*HELLO, end=b"") + json.dumps(THROTTLING, indent=4).encode() + b"\n", "Hello",
         ending="provider_rate_limited"),
    Case("lines of JSON that end as others do", b"%b\r\n\r\n%b\r\n%b\r\n" % (_A, _B, _STOP),
         "Hello"),
    Case("an error that is an event of plain words", sse(*HELLO, b"event: error\ndata: gone\n\n"),
         "Hello", ending="provider_refused"),
    Case("a proxy's line with an error in it",
         sse(*HELLO, b'Report: {"error": "x"}\n\n', fin("stop")), "Hello"),
)  # fmt: skip
