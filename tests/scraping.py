"""Metrics as Prometheus takes them: scraped, and read by the library's own parser."""

from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from tests.readers import call


class Scrape(NamedTuple):
    """What one scrape said: values by name and labels."""

    values: dict[tuple[str, frozenset[tuple[str, str]]], float]

    def value(self, name: str, **labels: str) -> float | None:
        """One value; None if there is none."""
        return self.values.get((f"headrace_{name}", frozenset(labels.items())))

    @property
    def names(self) -> set[str]:
        return {name for name, _ in self.values}


async def scrape(url: str, path: str = "/metrics") -> Scrape:
    response = await call(url.removesuffix(path), "GET", path)
    assert 200 == response.status
    families = text_string_to_metric_families(response.body.decode())
    return Scrape(
        {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in families
            for sample in family.samples
        }
    )
