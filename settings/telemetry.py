"""Metrics, log and traces."""

from typing import Literal

from pydantic import Field

from settings.addresses import Host
from settings.values import Section


class MetricsSettings(Section):
    """Where Prometheus finds `/metrics`: on the server's own port, or on a separate one.

    Processes that share a port need a separate one each. Everyone who reaches that address may read
    the metrics: they contain no keys and no text of users.
    """

    host: Host = "127.0.0.1"
    port: int | None = Field(None, ge=0, le=65535)  # 0: any free port


class LogSettings(Section):
    """The log on standard error."""

    # Text is for people; JSON is for log collectors.
    format: Literal["text", "json"] = "text"
    level: Literal["debug", "info", "warning", "error"] = "info"


class TracesSettings(Section):
    """OpenTelemetry's traces. Its own variables (`OTEL_…`) set the target and the sampling."""

    enabled: bool = False
