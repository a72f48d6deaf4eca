"""What the numbers take in a store."""

from __future__ import annotations

from collections import Counter

from queue_metrics.insights.series import KINDS
from queue_metrics.model import Footprint
from queue_metrics.storage.base import StorageDriver


def footprint(driver: StorageDriver, now: float) -> Footprint:
    """
    Ask a store how much it holds, at `now`, seconds since 1970.

    Raises:
        StoreError: as the driver says.
    """
    known, counted, about = driver.known_series(), driver.count_points(), driver.capabilities()
    names = {kind: name for name, (kind, _) in KINDS.items()}
    series, points = Counter(dict.fromkeys(KINDS, 0)), Counter(dict.fromkeys(KINDS, 0))
    for each in known:
        if each.kind in names:
            series[names[each.kind]] += 1
            points[names[each.kind]] += (counted or {}).get(each.id, 0)
    version = about.get("version")
    return Footprint(
        store=driver.url,
        driver=str(about["name"]),
        version=None if version is None else str(version),
        bytes=driver.size(),
        series=dict(series),
        asked_at=now,
        points=None if counted is None else dict(points),
    )
