"""The dashboard and the page about metrics show those that there are."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tornado.ioloop import IOLoop

from app.server import Server
from tests.readers import Reader, call
from tests.scraping import scrape
from tests.serving import Serving
from tests.upstreams import ScriptedUpstream
from tests.webhook_receiver import Receiver

_DASHBOARD = Path(__file__).parents[2] / "deploy" / "grafana.json"


def _queries(part: Any) -> list[str]:
    """Every query in the dashboard, wherever it stands."""
    if isinstance(part, dict):
        own = [part[name] for name in ("expr", "query") if isinstance(part.get(name), str)]
        return own + [query for value in part.values() for query in _queries(value)]
    if isinstance(part, list):
        return [query for value in part for query in _queries(value)]
    return []


def _dashboard() -> dict[str, Any]:
    dashboard: dict[str, Any] = json.loads(_DASHBOARD.read_text("utf-8"))
    return dashboard


def _named() -> set[str]:
    """Every metric that the dashboard names."""
    return set(re.findall(r"\b(?:headrace|process)_\w+", " ".join(_queries(_dashboard()))))


@pytest.fixture
def headrace(io_loop: IOLoop, serve: Serving, providers: dict[str, dict[str, Any]]) -> Server:
    """A server that has a webhook, too, which nobody listens at."""
    hook = Receiver(port=9).settings()
    server: Server = io_loop.run_sync(lambda: serve.start(providers=providers, webhooks=[hook]))
    return server


@pytest.mark.gen_test
async def test_every_metric_it_names_exists_and_every_metric_of_ours_is_shown(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.fail(429, {"error": {"code": "rate_limit_exceeded"}})
    upstream.next_request()
    upstream.sample("deepseek-reasoning.sse")  # its usage has parts
    upstream.next_request()
    upstream.tokens("half")
    for _ in range(2):
        await (await Reader.ask(headrace.url)).end()
    leaving = await Reader.ask(headrace.url)
    await leaving.text("half")
    leaving.close()
    await headrace.relay.idle()
    await call(headrace.url, "GET", "/nowhere")

    scraped = (await scrape(headrace.url)).names

    assert set() == _named() - scraped
    ours = {re.sub(r"_(sum|count|bucket)$", "", name) for name in scraped if "headrace" in name}
    shown = {name.removesuffix("_bucket") for name in _named()}
    assert set() == ours - shown


@pytest.mark.gen_test
async def test_the_documented_metrics_are_those_there_are(headrace: Server) -> None:
    page = (_DASHBOARD.parents[1] / "docs" / "operating.md").read_text("utf-8")
    documented = set(re.findall(r"^\| `(headrace_\w+)` \|", page, re.MULTILINE))

    scraped = (await call(headrace.url, "GET", "/metrics")).body.decode()

    # Families by their first lines: those whose first value is yet to come have these, too.
    families = set(re.findall(r"^# TYPE (headrace_\w+) ", scraped, re.MULTILINE))
    assert documented == families


def test_no_two_panels_lie_on_each_other_and_each_has_a_number() -> None:
    panels = _dashboard()["panels"]
    taken = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert len(taken) == len(set(taken))
    assert len(panels) == len({panel["id"] for panel in panels})
    assert all(place[0] < 24 for place in taken)
