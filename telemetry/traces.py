"""Answers as traces: a span for each, and one beneath it for its upstream call.

Spans are made when an answer has ended, of moments that were noted anyway: nothing is carried
along while it runs, and with traces switched off this module is not even imported. Names follow
OpenTelemetry's conventions for generative AI; nobody's words are in them.

An answer belongs to the trace that its request was a part of (`traceparent`).
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

# At the end of the process. A collector that is away would otherwise be tried for ten.
_LAST_WORDS_SECONDS = 2.0


def otlp_exporter() -> SpanExporter:
    """Sends to where `OTEL_EXPORTER_OTLP_ENDPOINT` says, else to a collector on this machine."""
    logging.getLogger(OTLPSpanExporter.__module__).addFilter(_as_warning)
    return OTLPSpanExporter()


class Traces:
    """Makes spans of answers and hands them to `exporter`, in a thread of its own.

    What it cannot get rid of it drops: the library holds 2,048 spans, and waits for nobody.
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
        """Make the spans of an answer that ended."""
        # From the loop's clock to the world's, in nanoseconds.
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
        """Send what is left, or give it up soon."""
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
    if record.finish_reason is not None:
        attributes["gen_ai.response.finish_reasons"] = [record.finish_reason]
    return attributes


def _fail(span: Span, code: str | None) -> None:
    if code is not None:
        span.set_attribute("error.type", code)
        span.set_status(Status(StatusCode.ERROR))


def _as_warning(record: logging.LogRecord) -> bool:
    """A collector that is away is nothing to repair here: an ERROR is a bug of ours."""
    if record.levelno > logging.WARNING:
        record.levelno, record.levelname = logging.WARNING, "WARNING"
    return True


def _at(moment: float, ahead: int) -> int:
    return int(moment * 1e9) + ahead
