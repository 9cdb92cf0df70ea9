"""What the server tells of itself: metrics, log and traces."""

from typing import Literal

from pydantic import Field

from settings.addresses import Host
from settings.values import Section


class MetricsSettings(Section):
    """Where Prometheus finds `/metrics`: on the server's own port, or on one beside it.

    Of processes that share a port each needs one beside it, and each its own. Whoever reaches that
    address may read them: there are no keys, and no words of anybody's in it.
    """

    host: Host = "127.0.0.1"
    port: int | None = Field(None, ge=0, le=65535)  # 0: any free one


class LogSettings(Section):
    """What goes to standard error."""

    # A journal is read by people unless somebody says that a collector reads it.
    format: Literal["text", "json"] = "text"
    level: Literal["debug", "info", "warning", "error"] = "info"


class TracesSettings(Section):
    """OpenTelemetry. Where traces go, and how many, is said by its own variables (`OTEL_…`)."""

    enabled: bool = False
