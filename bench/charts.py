"""Draws line charts as SVG, readable on light and dark pages: three charts want no library."""

import math
from html import escape

Series = dict[str, list[tuple[float, float]]]

_WIDTH, _HEIGHT = 720, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 150, 50, 55
# Told apart by people who do not see red and green, and on white as on black.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_GREY = "#808080"


def line_chart(title: str, x_label: str, y_label: str, series: Series) -> str:
    """An SVG document: one line for each name in `series`, both axes logarithmic."""
    points = [point for line in series.values() for point in line]
    x_ticks = sorted({x for x, _ in points})
    y_ticks = _powers(min(y for _, y in points), max(y for _, y in points))

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            _LEFT + _share(x, x_ticks[0], x_ticks[-1]) * (_WIDTH - _LEFT - _RIGHT),
            _HEIGHT - _BOTTOM - _share(y, y_ticks[0], y_ticks[-1]) * (_HEIGHT - _TOP - _BOTTOM),
        )

    parts = [_words(_LEFT, 24, title, size=16)]
    for tick in y_ticks:
        _, y = place(x_ticks[0], tick)
        parts.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" '
            f'stroke="{_GREY}" stroke-opacity="0.3"/>'
        )
        parts.append(_words(_LEFT - 8, y + 4, f"{tick:,g}", anchor="end"))
    for tick in x_ticks:
        x, _ = place(tick, y_ticks[0])
        parts.append(_words(x, _HEIGHT - _BOTTOM + 20, f"{tick:,g}", anchor="middle"))
    parts.append(_words((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 12, x_label, anchor="middle"))
    parts.append(_words(_LEFT, 42, y_label))
    ends = _apart({name: place(*line[-1])[1] for name, line in series.items()})
    for (name, line), colour in zip(series.items(), _COLOURS, strict=False):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in line))
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for x, y in (place(*point) for point in line):
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>')
        parts.append(_words(_WIDTH - _RIGHT + 10, ends[name] + 4, name, colour=colour))
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'role="img" font-family="sans-serif">\n<title>{escape(title)}</title>\n{body}\n</svg>\n'
    )


def _share(value: float, least: float, most: float) -> float:
    """Where the value lies between two others, on a logarithmic axis: 0 to 1."""
    return math.log(value / least) / math.log(most / least)


def _powers(least: float, most: float) -> list[float]:
    """1, 2 and 5 times powers of ten that include both values."""
    steps = [m * 10**e for e in range(-3, 8) for m in (1, 2, 5)]
    first = max(index for index, step in enumerate(steps) if step <= least)
    last = min(index for index, step in enumerate(steps) if step >= most)
    return steps[first : max(last, first + 1) + 1]


def _apart(ends: dict[str, float]) -> dict[str, float]:
    """The heights of the names at the ends of their lines, so far apart that all can be read."""
    placed: dict[str, float] = {}
    least = -math.inf
    for name, y in sorted(ends.items(), key=lambda end: end[1]):
        placed[name] = least = max(y, least + 16)
    return placed


def _words(
    x: float, y: float, words: str, *, size: int = 12, anchor: str = "start", colour: str = _GREY
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
        f'fill="{colour}">{escape(words)}</text>'
    )
