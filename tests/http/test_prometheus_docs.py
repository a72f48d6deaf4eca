"""The tables of docs/prometheus.md, held against scrapes of a store in which everything has a number."""

from __future__ import annotations

import re

from prometheus_client.parser import text_string_to_metric_families

from tests.http.asking import ask
from tests.http.everything import app_of_everything
from tests.test_docs import named, page, table


def emitted(path: str) -> dict[str, tuple[str, list[str]]]:
    """Type and labels of each series of a scrape of everything."""
    found = {}
    for family in text_string_to_metric_families(ask(app_of_everything(), path).text):
        labels = [list(sample.labels) for sample in family.samples]
        assert labels, f"the store with everything has no {family.name}"
        name = family.name + ("_total" if family.type == "counter" else "")
        found[name] = (family.type, [label for label in labels[0] if label != "le"])
    return found


def test_the_table_of_series_is_that_of_a_scrape_of_everything() -> None:
    told = {named(row[0])[0]: (row[1], named(row[2])) for row in table(page("docs/prometheus.md"), "series")}
    assert told == emitted("/metrics")
    text = ask(app_of_everything(), "/metrics").text
    bounds = dict.fromkeys(re.findall(r'runtime_seconds_bucket\{.*?le="([\d.]+)"\}', text))
    assert f"the bounds {' '.join(bounds)} seconds" in page("docs/prometheus.md")


def test_the_tables_of_the_original_series_are_those_of_a_scrape_of_everything() -> None:
    text = page("docs/prometheus.md")
    told = {f"laravel_queue_{named(row[0])[0]}": (row[1], named(row[2])) for row in table(text, "series, behind `laravel_queue_`")}
    told |= {named(row[0])[0]: (row[1], named(row[2])) for row in table(text, "series of servers")}
    assert told == emitted("/prometheus")
