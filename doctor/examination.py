"""Runs all checks of the doctor and reports each finding as soon as it is there."""

from collections.abc import Callable, Iterable

from doctor.findings import Finding, Severity, as_text, ok, summary
from doctor.local_programs import local_programs
from doctor.machine import limits, ports
from doctor.store import store
from doctor.upstreams import upstreams
from doctor.webhooks import webhooks
from http_client.client import HttpClient
from settings import Settings


async def examine(settings: Settings, *, ask: bool, write_line: Callable[[str], None]) -> bool:
    """Run all checks and call `write_line` with each finding; returns whether nothing is wrong.

    With `ask` one question for a single token is sent to each provider, which costs that token.
    """
    found: list[Finding] = []

    def report(findings: Iterable[Finding]) -> None:
        for finding in findings:
            found.append(finding)
            write_line(as_text(finding))

    report([ok("settings", f"understood; providers: {', '.join(settings.providers)}")])
    client = HttpClient()
    try:
        report(limits(settings))
        report(await ports(settings, client))
        report(local_programs(settings))
        report(await store(settings))
        report(await upstreams(settings, client, ask=ask))
        report(await webhooks(settings, client))
    finally:
        client.close()
    write_line(summary(found))
    return all(finding.severity is not Severity.WRONG for finding in found)
