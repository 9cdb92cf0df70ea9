"""Traces, as the SDK's own exporters get them."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from telemetry import traces
from tests.launching import Launcher
from tests.readers import Reader
from tests.serving import Serving
from tests.upstreams import ScriptedUpstream

ROOT = Path(__file__).parents[2]
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    kept = InMemorySpanExporter()
    monkeypatch.setattr(traces, "otlp_exporter", lambda: kept)
    return kept


async def _spans(
    serve: Serving, exporter: InMemorySpanExporter, providers: dict[str, Any], **ask: Any
) -> list[ReadableSpan]:
    """The spans of one question, read to its end; the server is stopped, so that all are out."""
    server = await serve.start(providers=providers, traces={"enabled": True})
    reader = await Reader.ask(server.url, "canary question", **ask)
    await reader.end()
    await serve.stop(server)
    return sorted(exporter.get_finished_spans(), key=lambda span: span.start_time or 0)


@pytest.mark.gen_test
async def test_an_answer_is_a_span_of_its_callers_trace_with_the_upstream_call_beneath(
    serve: Serving, exporter: InMemorySpanExporter, providers: Any, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("canary", " answer")
    upstream.finish(usage=(7, 2))
    before = time.time_ns()
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "X-Request-Id": "mine"}

    answer, call = await _spans(serve, exporter, providers, headers=headers)

    assert ("answer", SpanKind.SERVER) == (answer.name, answer.kind)
    assert ("chat gpt-4o-mini", SpanKind.CLIENT) == (call.name, call.kind)
    assert answer.parent is not None
    assert answer.context is not None
    assert call.parent is not None
    assert (int(TRACE, 16), int(PARENT, 16)) == (answer.parent.trace_id, answer.parent.span_id)
    assert answer.context.span_id == call.parent.span_id
    moments = [
        before,
        answer.start_time,
        call.start_time,
        call.events[0].timestamp,
        call.end_time,
        answer.end_time,
        time.time_ns(),
    ]
    assert moments == sorted(moments)  # type: ignore[type-var]
    assert call.attributes is not None
    assert answer.attributes is not None
    assert {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 2,
        "gen_ai.conversation.id": answer.attributes["gen_ai.conversation.id"],
    } == dict(call.attributes)
    assert ("complete", "mine", 1) == (
        answer.attributes["headrace.answer.status"],
        answer.attributes["headrace.request.id"],
        answer.attributes["headrace.readers"],
    )
    assert "headrace" == answer.resource.attributes["service.name"]
    assert "canary" not in answer.to_json() + call.to_json()


@pytest.mark.gen_test
async def test_a_failure_is_an_error_of_both_spans(
    serve: Serving, exporter: InMemorySpanExporter, providers: Any, upstream: ScriptedUpstream
) -> None:
    upstream.fail(401, {"error": {"code": "invalid_api_key", "message": "canary"}})

    answer, call = await _spans(serve, exporter, providers)

    for span in (answer, call):
        assert StatusCode.ERROR == span.status.status_code
        assert span.attributes is not None
        assert "provider_unauthorized" == span.attributes["error.type"]
        assert "canary" not in span.to_json()
    assert answer.parent is None


@pytest.mark.gen_test
async def test_a_traceparent_that_is_none_begins_a_trace_of_its_own(
    serve: Serving, exporter: InMemorySpanExporter, providers: Any, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("x")
    upstream.finish()

    answer, _ = await _spans(serve, exporter, providers, headers={"traceparent": "00-canary"})

    assert answer.parent is None


@pytest.mark.gen_test
async def test_a_question_that_never_left_has_no_upstream_span(
    serve: Serving, exporter: InMemorySpanExporter
) -> None:
    gone = {"openai": {"base_url": "http://127.0.0.1:9/v1"}}

    (answer,) = await _spans(serve, exporter, gone)

    assert answer.attributes is not None
    assert "provider_unreachable" == answer.attributes["error.type"]


@pytest.mark.slow
def test_switched_off_nothing_of_it_is_imported() -> None:
    looks = "import server, sys; sys.exit(any(n.startswith('opentelemetry') for n in sys.modules))"

    assert 0 == subprocess.run([sys.executable, "-c", looks], cwd=ROOT, check=False).returncode


@pytest.mark.slow
@pytest.mark.gen_test
async def test_without_its_packages_the_start_says_what_to_install(launcher: Launcher) -> None:
    (launcher.folder / "opentelemetry.py").write_text("")  # not the real one

    said = await launcher.refused(HEADRACE_TRACES__ENABLED="true", PYTHONPATH=str(launcher.folder))

    assert 1 == said.count("\n")
    assert "requirements-traces.txt" in said


@pytest.mark.slow
@pytest.mark.gen_test
async def test_spans_reach_a_collector(launcher: Launcher, upstream: ScriptedUpstream) -> None:
    received = asyncio.get_running_loop().create_future()

    async def collect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.split("content-length: ")[1].split("\r\n")[0])
        body = await reader.readexactly(length)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()
        if not received.done():
            received.set_result((head.splitlines()[0], body))

    collector = await asyncio.start_server(collect, "127.0.0.1", 0)
    async with collector:
        port = collector.sockets[0].getsockname()[1]
        launcher.settings.write_text("port = 0")
        serving, url = await launcher.serve(
            HEADRACE_TRACES__ENABLED="true",
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}",
            OTEL_EXPORTER_OTLP_COMPRESSION="none",
        )
        await (await Reader.ask(url, "canary")).end()
        serving.terminate()
        line, body = await received
        assert 0 == await serving.wait()

    assert line.startswith("post /v1/traces ")
    assert b"chat demo" in body
    assert b"canary" not in body


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_collector_that_is_not_there_holds_nothing_up(launcher: Launcher) -> None:
    launcher.settings.write_text("port = 0")
    serving, url = await launcher.serve(
        HEADRACE_TRACES__ENABLED="true",
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9",
    )
    await (await Reader.ask(url)).end()
    began = time.monotonic()
    serving.terminate()

    assert 0 == await serving.wait()
    assert time.monotonic() - began < 8  # of which two are for the collector
