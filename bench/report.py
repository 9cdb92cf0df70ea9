"""Tables and charts of what `compare.py` measured."""

import math
from pathlib import Path
from typing import Any

from charts import Series, line_chart

_NOT_HERE = "–"

# Column: scenario, figure, digits after the point.
_COLUMNS = {
    "saturated, µs a token": ("saturated", "cpu_us_per_token", 1),
    "readers, µs a token": ("readers", "cpu_us_per_token", 1),
    "first token p50, ms": ("readers", "first_token_ms_p50", 1),
    "gap p99, ms": ("readers", "gap_ms_p99", 1),
    "trickle, µs a token": ("trickle", "cpu_us_per_token", 1),
    "added to first token p50, ms": ("latency", "added_ms_p50", 2),
    "KB an open stream": ("open", "kb_per_stream", 1),
    "left → upstream closed p50, ms": ("disconnect", "streaming_ms_p50", 1),
    "a question, ms CPU": ("question", "cpu_ms", 2),
}
_RATIOS = ("saturated", "readers", "trickle")
_CHECKED = (
    *("right", "cut by the time limit, right so far", "wrong", "errors"),
    *("left while streaming", "left a silent one", "left before its head"),
)
# The figures of `scale`, and their digits.
_SCALE = (
    *(("streams", 0), ("cut", 0), ("wrong", 0), ("errors", 0)),
    *(("gap_ms_p99", 0), ("kb_per_stream", 1)),
)
_CHARTS = {
    "cpu": (
        "CPU per token, 25 tokens a second for each stream",
        ("open streams", "µs per token"),
        "cpu_us_per_token",
    ),
    "memory": ("Memory of an open stream", ("open streams", "KB per stream"), "kb_per_stream"),
    "burst": (
        "First token when many ask within half a second",
        ("questions", "ms to the first token, median"),
        "first_token_ms_p50",
    ),
}
_HEAD = """# Gateways on the same work

Made by `make bench` on {date}; nothing here is written by hand. Linux {kernel}, Python {python},
{cores} cores: the gateway on one of them, upstream and client on another, shared with whatever else
the machine did. `bench/scenarios.py` says what is measured.

Headrace parses, stores and can resume every answer, and each request carries an API key. Its peers
relay and store nothing. CPU is that of all processes of a gateway, without MongoDB's own server.

"""


def write(results: dict[str, Any], folder: Path) -> None:
    """Write RESULTS.md and the charts into `folder`."""
    if "machine" not in results:
        return
    words = _HEAD.format(**results["machine"]) + tables(results)
    charts = folder / "charts"
    charts.mkdir(exist_ok=True)
    for name, (title, (x_label, y_label), figure) in _CHARTS.items():
        if series := _series(results, name, figure):
            (charts / f"{name}.svg").write_text(line_chart(title, x_label, y_label, series))
            words += f"\n![{title}](charts/{name}.svg)\n"
    (folder / "RESULTS.md").write_text(words)


def tables(results: dict[str, Any]) -> str:
    """The figures of all targets, the ratios to nginx, and what was right and wrong."""
    targets: dict[str, dict[str, Any]] = results.get("targets", {})
    rows = [
        [name, *(_figure(measured, *column) for column in _COLUMNS.values())]
        for name, measured in targets.items()
    ]
    ratios = [
        [name, *(_ratio(measured, targets.get("nginx", {}), scenario) for scenario in _RATIOS)]
        for name, measured in targets.items()
        if name != "nginx"
    ]
    checked = [
        [
            name,
            *(_total(measured, figure) for figure in ("right", "cut", "wrong", "errors")),
            *(
                _figure(measured, "disconnect", f"{kind}_closed", 2)
                for kind in ("streaming", "silent", "no_head")
            ),
        ]
        for name, measured in targets.items()
    ]
    scales = [
        [
            name,
            *(_figure(measured, "scale", figure, digits) for figure, digits in _SCALE),
        ]
        for name, measured in targets.items()
        if "scale" in measured
    ]
    parts = [
        _table(["", *_COLUMNS], rows),
        "CPU per token, as a ratio to nginx's:\n\n" + _table(["", *_RATIOS], ratios),
        "Texts of all scenarios, and the share of upstream connections that were closed within 8 s "
        "after their clients had left:\n\n"
        + _table(
            ["", *_CHECKED],
            checked,
        ),
    ]
    if scales:
        parts.append(
            "As many open streams at one process as it has descriptors for, up to 10,000; a token "
            "every 5 s for each, cut after 20 s:\n\n"
            + _table(
                ["", "streams", "right so far", "wrong", "errors", "late p99, ms", "KB a stream"],
                scales,
            )
        )
    return "\n".join(parts)


def _figure(measured: dict[str, Any], scenario: str, figure: str, digits: int) -> str:
    value = measured.get(scenario, {}).get(figure, math.nan)
    return _NOT_HERE if math.isnan(value) else f"{value:,.{digits}f}"


def _ratio(measured: dict[str, Any], base: dict[str, Any], scenario: str) -> str:
    own, other = (
        each.get(scenario, {}).get("cpu_us_per_token", math.nan) for each in (measured, base)
    )
    return _NOT_HERE if math.isnan(own / other) else f"{own / other:.1f}"


def _total(measured: dict[str, Any], figure: str) -> str:
    names = ("saturated", "readers", "trickle", "latency")
    return f"{sum(measured.get(name, {}).get(figure, 0) for name in names):,.0f}"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _series(results: dict[str, Any], chart: str, figure: str) -> Series:
    series: Series = {}
    for name, measured in results.get("targets", {}).items():
        points = measured.get("charts", {}).get(chart, {})
        line = [
            (float(count), figures[figure])
            for count, figures in points.items()
            if figures.get(figure, 0) > 0  # a logarithmic axis has no room for less
        ]
        if line:
            series[name] = line
    return series
