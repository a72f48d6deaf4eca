"""The report of a spool: told by a drainer, read by whoever shows the numbers, and no obstacle when it cannot be read."""

from __future__ import annotations

import pytest

from queue_metrics.storage.base import Beat
from queue_metrics.storage.spools import back_since, goodbye_age, goodbye_beat, returned_since, spool_beat, spool_reports, worker_beats


def test_what_a_drainer_told_is_what_is_read() -> None:
    name, payload = spool_beat("ab" * 16, {"waiting": 7, "drops": {"spool_full": 3, "overflow": 0}, "damaged": 2, "segments": 9})
    (report,) = spool_reports([Beat("web-1:1:2", b"", 1.0), Beat(name, payload, 4.0)])
    assert (report.spool_id, report.age, report.waiting, dict(report.drops), report.damaged) == ("ab" * 16, 4.0, 7, {"spool_full": 3}, 2)


@pytest.mark.parametrize(
    ("reports", "since"),
    [
        ([], None),
        ([(4.0, None)], None),
        ([(4.0, (90.0, True))], 906.0),
        ([(4.0, (90.0, False))], None),
        ([(4.0, (90.0, True)), (2.0, (1.5, False))], 906.0),
        ([(4.0, (90.0, True)), (2.0, (800.0, False))], None),
        ([(4.0, (90.0, True)), (60.0, (800.0, False))], None),
        ([(4.0, (90.0, True)), (60.1, (800.0, False))], 906.0),
        ([(60.1, (90.0, True))], None),
    ],
    ids=[
        "nobody",
        "an older version",
        "it was away",
        "it never was",
        "who came later does not know",
        "who was there all the time knows better",
        "and speaks",
        "one that is silent itself knows nothing",
        "nobody speaks",
    ],
)
def test_that_the_store_was_away_is_what_the_drainer_says_that_it_answered_for_longest(
    reports: list[tuple[float, tuple[float, bool] | None]], since: float | None
) -> None:
    beats = [Beat(*spool_beat(f"{number:032x}", {}, contact), age) for number, (age, contact) in enumerate(reports)]
    assert returned_since(spool_reports(beats), 1000.0, 60.0) == since


@pytest.mark.parametrize(("uptime", "since"), [(100.0, 900.0), (-3600.0, None), (float("nan"), None), (None, None)])
def test_a_server_that_says_it_starts_in_the_future_tells_nothing(uptime: float | None, since: float | None) -> None:
    """Its clock was set back since; nobody would be lost until that moment."""
    assert back_since([Beat("web-1:1:2", b"", 400.0)], uptime, 1000.0, 60.0) == since


def test_a_store_is_not_back_later_than_now() -> None:
    assert back_since([Beat(*spool_beat("x", {}, (2.0, True)), -3600.0)], None, 1000.0, 60.0) == 1000.0


@pytest.mark.parametrize("answered", [b"-3600", b"NaN", b"Infinity", b"1e999", b"-0.001"])
def test_a_report_whose_answered_seconds_cannot_be_is_left_out(answered: bytes) -> None:
    payload = b'{"v":1,"waiting":1,"drops":{},"damaged":0,"returned":true,"answered":%s}'
    assert spool_reports([Beat("spool:x", payload % b"5", 0.0)])
    assert spool_reports([Beat("spool:x", payload % answered, 0.0)]) == []


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"v":1}',
        b'{"v":2,"waiting":1,"drops":{},"damaged":0}',
        b'{"v":1,"drops":3}',
        b'{"v":1,"waiting":1e999,"drops":{},"damaged":0}',
    ],
)
def test_a_damaged_or_newer_report_is_left_out(payload: bytes) -> None:
    assert spool_reports([Beat("spool:x", payload, 0.0)]) == []


def test_a_report_is_no_worker() -> None:
    beats = [Beat("spool:x", b"{}", 0.0), Beat("web-1:1:2", b"", 0.0)]
    assert [beat.worker_id for beat in worker_beats(beats)] == ["web-1:1:2"]


def test_a_goodbye_holds_until_somebody_comes_and_is_neither_a_spool_nor_a_worker() -> None:
    beats = [Beat(*goodbye_beat(said=True), 9.0), Beat("web-1:1:2", b"1", 1.0)]
    assert goodbye_age(beats) == 9.0
    assert goodbye_age([Beat(*goodbye_beat(said=False), 9.0), Beat("web-1:1:2", b"1", 1.0)]) is None
    assert goodbye_age([]) is None
    assert spool_reports(beats) == []
    assert [beat.worker_id for beat in worker_beats(beats)] == ["web-1:1:2"]
