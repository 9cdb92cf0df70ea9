"""Traces: a span for each answer, and one below it for each call to a provider.

Spans are made when an answer has ended, from times that were recorded anyway: nothing is carried
along while it runs, and without traces this module is not imported. Names follow OpenTelemetry's
conventions for generative AI; prompts and answers are not in them.

An answer belongs to the trace of its request (`traceparent`).
"""

import asyncio
import logging
import os
import time

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from relay.answer_record import AnswerRecord

# Seconds to export what is left when the process ends; the library's default is ten.
_LAST_WORDS_SECONDS = 2.0


def otlp_exporter() -> SpanExporter:
    """An exporter to `OTEL_EXPORTER_OTLP_ENDPOINT`, by default a collector on this machine."""
    logging.getLogger(OTLPSpanExporter.__module__).addFilter(_as_warning)
    return OTLPSpanExporter()


class Traces:
    """Makes spans of answers and hands them to `exporter`, in a thread of its own.

    It never blocks: the library queues 2,048 spans and drops the rest.
    """

    def __init__(self, exporter: SpanExporter) -> None:
        name = os.environ.get("OTEL_SERVICE_NAME", "headrace")
        self._provider = TracerProvider(
            resource=Resource.create({"service.name": name}), shutdown_on_exit=False
        )
        self._exporter = exporter
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("headrace")
        self._propagator = TraceContextTextMapPropagator()

    def finished(self, record: AnswerRecord) -> None:
        """Make the spans of an ended answer."""
        # Converts the loop's clock to wall-clock time in nanoseconds.
        ahead = time.time_ns() - int(asyncio.get_running_loop().time() * 1e9)
        answer = self._tracer.start_span(
            "answer",
            context=self._propagator.extract({"traceparent": record.caller.traceparent}),
            kind=SpanKind.SERVER,
            attributes=_of_answer(record),
            start_time=_at(record.asked_at, ahead),
        )
        if record.sent_at is not None:
            call = self._tracer.start_span(
                f"chat {record.provider_model}",
                context=set_span_in_context(answer),
                kind=SpanKind.CLIENT,
                attributes=_of_call(record),
                start_time=_at(record.sent_at, ahead),
            )
            if record.first_token_at is not None:
                call.add_event("first token", timestamp=_at(record.first_token_at, ahead))
            _fail(call, record.upstream_code)
            call.end(_at(record.closed_at, ahead))
        _fail(answer, record.code)
        answer.end(_at(record.ended_at, ahead))

    async def close(self) -> None:
        """Export what is left, for a short time, and stop."""
        loop = asyncio.get_running_loop()
        enough = loop.call_later(_LAST_WORDS_SECONDS, self._exporter.shutdown)
        await loop.run_in_executor(None, self._provider.shutdown)
        enough.cancel()


def _of_answer(record: AnswerRecord) -> dict[str, AttributeValue]:
    return {
        "gen_ai.conversation.id": record.conversation_id,
        "headrace.answer.id": record.answer_id,
        "headrace.answer.status": record.status.value,
        "headrace.request.id": record.caller.request_id,
        "headrace.readers": record.most_readers,
        "enduser.pseudo.id": record.user,
    }


def _of_call(record: AnswerRecord) -> dict[str, AttributeValue]:
    attributes: dict[str, AttributeValue] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": record.provider,
        "gen_ai.request.model": record.provider_model,
        "gen_ai.conversation.id": record.conversation_id,
        "gen_ai.usage.input_tokens": record.usage.input_tokens,
        "gen_ai.usage.output_tokens": record.usage.output_tokens,
    }
    parts = {
        "gen_ai.usage.cache_read.input_tokens": record.usage.cached_tokens,
        "gen_ai.usage.cache_creation.input_tokens": record.usage.cache_written_tokens,
        "headrace.usage.reasoning_tokens": record.usage.reasoning_tokens,
    }
    attributes |= {name: tokens for name, tokens in parts.items() if tokens}
    if record.usage.estimated or record.usage.running:
        attributes["headrace.usage.grade"] = record.usage.grade.value
    if record.finish_reason is not None:
        attributes["gen_ai.response.finish_reasons"] = [record.finish_reason]
    return attributes


def _fail(span: Span, code: str | None) -> None:
    if code is not None:
        span.set_attribute("error.type", code)
        span.set_status(Status(StatusCode.ERROR))


def _as_warning(record: logging.LogRecord) -> bool:
    """Log an unreachable collector as a warning: an ERROR means a bug of the server."""
    if record.levelno > logging.WARNING:
        record.levelno, record.levelname = logging.WARNING, "WARNING"
    return True


def _at(moment: float, ahead: int) -> int:
    return int(moment * 1e9) + ahead
