"""Busy and idle time between two passes of the collector: of real counters, restarts, gaps and clocks that were set."""

from __future__ import annotations

import math
from typing import Any

import pytest

from queue_metrics.insights.efficiency import efficiency, spent_in
from queue_metrics.storage.base import Beat, StorageDriver
from queue_metrics.storage.efficiency import (
    ALL_KEY,
    COUNTERS_KEY,
    QUEUES_KEY,
    SERVERS_KEY,
    Counters,
    CrewMinute,
    EfficiencyRow,
    FleetRows,
    Spent,
    add_counters,
    add_efficiency,
    counters_of,
    fleet_minutes,
    fleet_rows,
    queue_crew,
    server_crews,
)
from tests.support.fleet import NOW, heartbeat

START = NOW // 60 * 60


def beat(now: float, **fields: Any) -> Beat:
    """A worker as a drainer saw it at `now`, which wrote its page at that moment."""
    host, pid = fields.get("host", "web-1"), fields.get("pid", 100)
    return Beat(f"{host}:{pid}:{fields.pop('start', 77)}", heartbeat(written=now, seen=now, **fields), 0.0)


def passes(*beats: list[Beat], start: Counters | None = None) -> list[EfficiencyRow | None]:
    """A pass each minute."""
    counters, rows = start, []
    for number, those in enumerate(beats):
        row, counters = efficiency(counters, those, START + 60 * number)
        rows.append(row)
    return rows


def test_a_row_is_the_difference_of_two_passes_and_no_lifetime_ratio() -> None:
    """L25: a week of idling, then an hour of work: lifetime says under 1 %."""
    week = 7 * 86400.0
    first, second, third = passes(
        [beat(START, idle=week, busy=0.0)], [beat(START + 60, idle=week, busy=60.0)], [beat(START + 120, idle=week + 45, busy=75.0)]
    )
    assert first is None, "what was before the first pass cannot be told apart"
    assert second is not None
    assert third is not None
    assert (second.all.spent, second.all.spent.ratio, second.seconds) == (Spent(60.0, 0.0), 1.0, 60.0)
    assert (third.all.spent.ratio, third.minute) == (0.25, START + 120)


def test_a_worker_that_is_new_or_restarted_counts_from_its_own_start() -> None:
    """The pid is the same, the start time another: so is the id, and nothing is inherited (L20)."""
    _, row = passes(
        [beat(START, busy=5000.0, idle=100.0, process_started=START - 9000)],
        [beat(START + 60, start=78, busy=10.0, idle=15.0, process_started=START + 30)],
    )
    assert row is not None
    assert row.all.spent == Spent(10.0, 15.0)


def test_one_that_was_there_and_not_seen_counts_from_now_on() -> None:
    old = {"process_started": START - 9000, "pid": 5}
    _, second, third = passes([beat(START)], [beat(START + 60, busy=5000.0, **old)], [beat(START + 120, busy=5020.0, idle=40.0, **old)])
    assert second is not None
    assert third is not None
    assert (second.all.spent, second.all.live) == (Spent(0.0, 0.0), 1)
    assert third.all.spent == Spent(20.0, 40.0)


def test_counters_never_go_backwards() -> None:
    rows = passes(
        [beat(START, busy=100.0, idle=100.0)],
        [beat(START + 60, busy=50.0, idle=160.0)],
        [beat(START + 120, busy=90.0, idle=200.0)],
        [beat(START + 180, busy=130.0, idle=210.0)],
    )
    assert [row.all.spent for row in rows if row is not None] == [Spent(0.0, 60.0), Spent(0.0, 40.0), Spent(30.0, 10.0)]


def test_a_second_pass_in_a_minute_changes_nothing_and_a_gap_is_said() -> None:
    _, counters = efficiency(None, [beat(START)], START)
    row, same = efficiency(counters, [beat(START + 30, busy=30.0)], START + 30)
    assert (row, same) == (None, counters)
    row, _ = efficiency(counters, [beat(START + 3600, busy=1800.0, idle=1800.0)], START + 3600)
    assert row is not None
    assert (row.seconds, row.all.spent.ratio) == (3600.0, 0.5)


def test_rows_tell_servers_and_queues_apart_and_who_executes_nothing_is_in_none() -> None:
    def crew(now: float, busy: float, idle: float) -> list[Beat]:
        return [
            beat(now, pid=1, host="web-1", state="busy", busy=busy, rss=100, cpu=9.0, cpu_share=(1.0, 2.0), queue="mail"),
            beat(now, pid=2, host="web-10", idle=idle, rss=300, cpu=9.0, cpu_share=(0.0, 2.0), queue="mail,sms"),
            beat(now, pid=3, host="web-1", role="producer", idle=idle),
            beat(now, pid=4, host="web-1", state="lost", queue=""),
        ]

    _, row = passes(crew(START, 0.0, 0.0), crew(START + 60, 50.0, 40.0))
    assert row is not None
    assert (row.all.spent, row.all.live, row.all.busy, row.all.idle) == (Spent(50.0, 40.0), 2, 1, 1)
    assert (row.all.rss_mean_bytes, row.all.cpu_mean_ratio) == (200.0, 0.25)
    assert {host: found.spent for host, found in row.servers.items()} == {"web-1": Spent(50.0, 0.0), "web-10": Spent(0.0, 40.0)}
    queues = {queue: found.spent for queue, found in row.queues.items()}
    assert queues == {("broker", "mail"): Spent(50.0, 40.0), ("broker", "sms"): Spent(0.0, 40.0)}


def test_the_hour_long_job_of_a_worker_counts_while_it_runs() -> None:
    """It writes its page between jobs only: what it has been doing since goes on, by the clock of its own host."""

    def at(number: int) -> list[Beat]:
        return [Beat("web-1:100:77", heartbeat(state="busy", written=START - 5000, seen=START - 777 + 60 * number, busy=10.0), 3.0)]

    _, second, third = passes(at(0), at(1), at(2))
    assert second is not None
    assert third is not None
    assert second.all.spent == third.all.spent == Spent(60.0, 0.0)


def test_what_is_stored_comes_back_and_is_kept_as_long_as_it_says(driver: StorageDriver) -> None:
    counters: Counters | None = None
    for number, days in enumerate((9, 8, 6, 0.5, 0.1, 0)):
        now = START - days * 86400
        beats = [beat(now, busy=30.0 * number, idle=30.0 * number, rss=5, cpu=9.0, cpu_share=(1.0, 4.0), queue="a\x00b")]
        row, counters = efficiency(counters, beats, now)
        with driver.transaction() as change:
            add_counters(change, counters)
            if row is not None:
                add_efficiency(change, row)
    assert counters_of(driver.get_hash(COUNTERS_KEY)) == counters
    rows = fleet_minutes(driver.get_sorted_set_by_score(ALL_KEY, 0, START))
    assert [round((START - row.at) / 86400, 1) for row in rows] == [6.0, 0.5, 0.1, 0.0]
    assert row is not None
    assert rows[-1].crew == row.all == server_crews(driver.get_sorted_set_by_score(SERVERS_KEY, 0, START))["web-1"][-1].crew
    assert len(server_crews(driver.get_sorted_set_by_score(SERVERS_KEY, 0, START))["web-1"]) == 4
    assert len(queue_crew(driver.get_sorted_set_by_score(QUEUES_KEY, 0, START), ("broker", "a\x00b"))) == 2


def by_row(rows: FleetRows) -> list[tuple[float, ...]]:
    return list(zip(*(getattr(rows, name) for name in rows.__slots__), strict=True))


def test_rows_of_a_version_before_are_read_and_of_one_to_come_are_not() -> None:
    old = '{"t":60,"at":60.5,"s":60.0,"all":[3.0,57.0,1000,0.25,2,1,1]}'
    new, later = "[2,120,120.5,60.0,4.0,56.0,null,null,2,1,1]", "[3,180,180.5,60.0,4.0,56.0,null,null,2,1,1]"
    for members, at in (([old, new, later], [60.5, 120.5]), ([new, later], [120.5]), ([new, "{"], [120.5]), ([], [])):
        pairs = [(member, 0.0) for member in members]
        whole = [(row.at, row.crew.spent, row.crew.rss_mean_bytes, row.crew.cpu_mean_ratio) for row in fleet_minutes(pairs)]
        assert [
            (at, Spent(busy, idle), *(None if math.isnan(each) else each for each in unknown))
            for at, busy, idle, *unknown, _ in by_row(fleet_rows(pairs))
        ] == whole
        assert [row[0] for row in whole] == at
    assert by_row(fleet_rows([("[2,1,null,1,1,1,1,1]", 0.0)])) == []
    assert [row[0] for row in by_row(fleet_rows([("[2,1,null,1,1,1,1,1]", 0.0), (new, 120.0)]))] == [120.5]


def test_damaged_rows_and_counters_are_left_out() -> None:
    damaged = ["{", "[]", '{"at":1,"s":2}', '{"at":1,"s":2,"all":[1]}', '{"at":"x","s":2,"all":[1,2,3,4,5,6,7]}', '{"at":1,"s":2,"all":5}']
    assert fleet_minutes([(member, 1.0) for member in damaged]) == []
    assert server_crews([('{"at":1,"s":2,"servers":{"h":[]}}', 1.0), ('{"at":1,"s":2,"servers":3}', 1.0)]) == {}
    for answer in ({}, {"at": "x"}, {"at": "[1,2]", "w": "[]"}, {"at": "[1]"}):
        assert counters_of(answer) is None


def test_a_row_that_reaches_beyond_the_window_counts_in_part() -> None:
    _, row = passes([beat(START)], [beat(START + 60, busy=60.0)])
    assert row is not None
    minutes = [CrewMinute(START + 60, 60.0, row.all).time]
    assert spent_in(minutes, START + 45, START + 600) == Spent(15.0, 0.0)
    assert spent_in(minutes, START, START + 15) == Spent(15.0, 0.0)
    assert spent_in(minutes, START + 60, START + 120) == Spent(0.0, 0.0)
    assert spent_in(minutes, START - 60, START + 600).seconds == pytest.approx(60.0)
