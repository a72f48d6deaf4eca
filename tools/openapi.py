"""Writes docs/openapi.json anew: `python -m tools.openapi`. A test holds the committed file against the app."""

from __future__ import annotations

import json
from pathlib import Path

from queue_metrics.http.openapi import document
from queue_metrics.http.table import routes

PLACE = Path(__file__).parents[1] / "docs" / "openapi.json"


def main() -> None:
    """Write it."""
    told = document(routes(scrape_minutes=1, prometheus_namespace="").routes.values())
    PLACE.write_text(json.dumps(told, indent=1, ensure_ascii=False, sort_keys=False) + "\n")


if __name__ == "__main__":
    main()
