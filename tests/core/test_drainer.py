"""The drainer reads segments of an independent writer and counts what a person counts by hand."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import msgpack
import pytest

from queue_metrics import _core
from queue_metrics.errors import DecodeError
from tests.core.spools import SECOND, TASK, Segment, Store, T
from tests.support.journal_oracle import encode_header, hash64, label_list
from tests.support.patience import PATIENCE

MINUTE, HOUR, DAY = T // SECOND, T // SECOND // 3600 * 3600, T // SECOND // 86400 * 86400
QUEUE = TASK[:2]


def test_counts_by_hand(tmp_path: Path) -> None:
    """Each record counts in the step of its own time, on its task, its queue and its exception."""
    segment = Segment(tmp_path, 1)
    segment.start(1, T + 59 * SECOND, ready_at=T + 58 * SECOND)
    segment.end(1, T + 61 * SECOND, runtime=2_000_000_499, cpu=1_500)
    segment.start(2, T + 60 * SECOND, ready_at=T + 61 * SECOND)
    segment.end(2, T + 62 * SECOND, outcome=_core.FAILED, flags=_core.RETRY_FOLLOWS, runtime=1_000_500, exception="ValueError")
    task = segment.define(1, *TASK)
    segment.write("ARRIVE", at=T, task=task, job=5, ready_at=T)
    segment.write("DISCARD", small=_core.EXPIRED, at=T, task=task, job=5)
    segment.write("DISCARD", small=_core.RESULT_ERROR, at=T, task=task, job=5)
    queue = segment.define(2, *QUEUE)
    for at, ready in ((T + 1, 9), (T + 5, 4), (T + 3, 7)):
        segment.write("GAUGE", flags=0b10001, at=at, queue=queue, ready=ready, reserved=0, scheduled=0, running=0, age=ready * 10)
    segment.write("GAUGE", flags=0b100001, at=T + 5, queue=queue, ready=90 * SECOND, reserved=0, scheduled=0, running=0, age=0)
    store = Store()
    assert store.drain(_core.Drainer(str(tmp_path))) == 1

    first, second = (store.values[1, TASK, 60, MINUTE + offset] for offset in (0, 60))
    assert [first.counter(index) for index in (0, 1, 2, 7, 9, 12)] == [1, 0, 0, 1, 1, 1]
    assert first.measure(1) == (1, SECOND, SECOND, SECOND)
    assert [second.counter(index) for index in (0, 1, 2, 8, 10)] == [1, 1, 1, 1, 1]
    assert second.measure(1) == (1, 0, 0, 0), "a wait below zero is taken as 0"
    assert second.measure(0) == (2, 2_000_000 + 1_001, 1_001, 2_000_000), "ns are rounded half up, each by itself"
    assert second.measure(2) == (1, 2, 2, 2)
    assert second.measure(3) is None
    assert second.sketch(2) is None
    day = store.values[1, TASK, 86400, DAY]
    assert day.sketch(0) == (4, False, 0, [(159, 1), (334, 1)])
    assert store.values[1, TASK, 3600, HOUR].sketch(2) == (5, False, 0, [(31, 1)])
    assert store.total(*TASK) == {"started": 2, "succeeded": 1, "failed": 1}
    total = store.values[1, TASK, 0, 0]
    assert total.measure(0) == (2, 2_001_001, None, None)
    assert {index: total.counter(index) for index in range(32, 87) if total.counter(index)} == {33: 1, 42: 1, 64: 1, 73: 1}

    minute = store.values[2, QUEUE, 60, MINUTE]
    assert minute.gauge(0) == (3, 20, 4, 9, 4, T + 5)
    assert minute.gauge(4) == (3, 200, 40, 90, 40, T + 5)
    assert minute.gauge(5) == (1, 90 * SECOND, 90 * SECOND, 90 * SECOND, 90 * SECOND, T + 5), "and no number of ready jobs"
    assert minute.gauge(1) is None
    assert minute.measure(2) is None
    assert store.total(*QUEUE, kind=2) == {"started": 2, "succeeded": 1, "failed": 1}
    assert store.values[2, QUEUE, 0, 0].gauge(0) is None
    assert store.total(*TASK, "ValueError", kind=3) == {"failed": 1}
    assert {key[2] for key in store.values if key[0] == 3} == {0, 3600, 86400}


def test_an_execution_counts_on_the_server_of_its_worker(tmp_path: Path) -> None:
    """Whoever writes the END, in whichever segment; who never said where it lives counts on `__undefined__`."""
    first, second = Segment(tmp_path, 1), Segment(tmp_path, 2)
    for worker, host in ((11, "web-1"), (12, "web-2")):
        identity = first.define(4, host, str(worker), "77")
        first.write("WORKER", flags=2, at=T, worker=worker, pid=1, parent=1, start_ticks=1, pid_namespace=0, boot=0, identity=identity)
    for key, worker in ((1, 11), (2, 12), (3, 12), (4, 99)):
        first.start(key, T + 59 * SECOND, ready_at=T + 58 * SECOND, worker=worker)
    first.end(1, T + 61 * SECOND, runtime=3_000, cpu=1_000)
    second.end(2, T + 61 * SECOND, runtime=5_000)
    second.end(4, T + 61 * SECOND, outcome=_core.FAILED)
    first.write("ARRIVE", at=T, task=first.define(1, *TASK), job=5, ready_at=T)
    store = Store()
    store.drain(_core.Drainer(str(tmp_path)))

    rows = {key: value for key, value in store.values.items() if key[0] in (5, 6)}
    assert {key[2] for key in rows if key[0] == 5} == {0, 60, 3600, 86400}
    assert {key[2] for key in rows if key[0] == 6} == {0, 3600}
    assert {key[1] for key in rows} == {labels for host in ("web-1", "web-2", "__undefined__") for labels in ((host,), (host, *TASK))}
    assert store.total("web-1", *TASK, kind=6) == store.total("web-1", kind=5) == {"started": 1, "succeeded": 1}
    assert store.total("web-2", *TASK, kind=6) == store.total("web-2", kind=5) == {"started": 2, "succeeded": 1}
    assert store.total("__undefined__", kind=5) == {"started": 1, "failed": 1}
    assert store.total(*TASK) == {"started": 4, "succeeded": 2, "failed": 1}
    minute = store.values[5, ("web-2",), 60, MINUTE + 60]
    assert (minute.counter(0), minute.counter(1), minute.measure(0)) == (0, 1, (1, 5, 5, 5))
    hour = store.values[6, ("web-1", *TASK), 3600, HOUR]
    assert (hour.measure(0), hour.measure(1), hour.measure(2)) == ((1, 3, 3, 3), (1, SECOND, SECOND, SECOND), (1, 1, 1, 1))
    assert all(value.sketch(0) is None and value.counter(7) == 0 and not any(map(value.counter, range(32, 87))) for value in rows.values())


def test_values_are_plain_message_pack(tmp_path: Path) -> None:
    """A reader without our package understands a row."""
    segment = Segment(tmp_path, 1)
    segment.start(1)
    segment.end(1, runtime=5_000_000)
    drainer = _core.Drainer(str(tmp_path))
    drainer.poll()
    batch = drainer.next_batch()
    assert batch is not None
    rows = {(row.kind, row.step, row.bucket): msgpack.unpackb(row.value) for row in batch.rows}
    assert rows[1, 60, MINUTE] == [1, [1, 1], [[1, 0, 5_000, 5_000, 5_000]], [], [[5, 0, 0, 393, 1]]]
    assert rows[2, 60, MINUTE] == [1, [1, 1], [[1, 0, 5_000, 5_000, 5_000]]]
    assert [(row.series, row.step, row.bucket) for row in batch.rows] == sorted((row.series, row.step, row.bucket) for row in batch.rows)
    assert batch.records == 2
    assert batch.spool_id == (tmp_path / "spool.id").read_text()


def test_an_end_waits_for_its_start_in_another_segment(tmp_path: Path) -> None:
    """Whichever is read first, one outcome is counted, and the END again is a duplicate."""
    older, newer = Segment(tmp_path, 1), Segment(tmp_path, 2)
    older.end(7)
    newer.start(7)
    newer.end(7)
    newer.end(8)
    older.start(9)
    store = Store()
    drainer = _core.Drainer(str(tmp_path))
    store.drain(drainer)
    assert store.total(*TASK) == {"started": 2, "succeeded": 1}
    assert (drainer.status()["duplicates"], drainer.status()["waiting"], drainer.status()["open"]) == (2, 0, 1)


def test_the_same_batch_until_it_is_committed(tmp_path: Path) -> None:
    segment = Segment(tmp_path, 1)
    segment.start(1)
    drainer = _core.Drainer(str(tmp_path))
    drainer.poll()
    first = drainer.next_batch()
    segment.end(1)
    drainer.poll()
    again = drainer.next_batch()
    assert first is not None
    assert again is not None
    assert (first.sequence, first.base, first.positions) == (again.sequence, again.base, again.positions)
    assert [row.value for row in first.rows] == [row.value for row in again.rows]
    drainer.committed()
    following = drainer.next_batch()
    assert following is not None
    assert (following.sequence, following.base) == (2, first.positions)


def test_any_mark_of_the_past_leads_to_the_same_numbers(tmp_path: Path) -> None:
    """A store that went back is counted up again by a new drainer, from every mark there was."""
    segments = [Segment(tmp_path, number) for number in (3, 1, 2)]
    for key in range(1, 60):
        segments[key % 3].start(key, T + key * SECOND, task=("broker", f"queue {key % 5}", "task"), ready_at=T)
        if key % 4:
            segments[(key + 1) % 3].end(key, T + key * 2 * SECOND, outcome=1 + key % 6, runtime=key * 1_000_000)
    store, states = Store(), []
    drainer = _core.Drainer(str(tmp_path))
    drainer.poll()
    while (batch := drainer.next_batch(3)) is not None:
        states.append(store.copy())
        assert store.apply(batch)
        drainer.committed()
    assert len(states) > 10
    for state in states:
        other = state.restored(tmp_path)
        state.drain(other)
        assert state.values == store.values
        assert other.status()["open"] == drainer.status()["open"] == 14


def test_at_most_so_many_series_in_a_batch(tmp_path: Path) -> None:
    segment = Segment(tmp_path, 1)
    for number in range(200):
        segment.start(number + 1, task=("broker", f"queue {number}", "task"))
    drainer, store, batches = _core.Drainer(str(tmp_path)), Store(), 0
    drainer.poll()
    while (batch := drainer.next_batch()) is not None:
        assert len({row.series for row in batch.rows}) == (100 if batches < 6 else 7)
        assert store.apply(batch)
        drainer.committed()
        batches += 1
    assert batches == 7, "33 queues, as many tasks and as many of them on the one server"


@pytest.mark.parametrize("name", ["a:b/{c}", 'quote"\n\\', "x" * 10_240, "ü∂🎉" * 300, " "])
def test_hostile_names_are_counted_under_themselves(tmp_path: Path, name: str) -> None:
    """Names are cut into many DEF records, which may be mixed with those of another process."""
    segment = Segment(tmp_path, 1)
    labels = label_list(1, name, name, name)
    segment.start(1, task=(name, name, name))
    segment.end(1, outcome=_core.FAILED, exception=name)
    store = Store()
    store.drain(_core.Drainer(str(tmp_path)))
    assert store.total(name, name, name) == {"started": 1, "failed": 1}
    assert store.total(name, name, name, name, kind=3) == {"failed": 1}
    assert _core.series_id(1, [name] * 3) == hash64(labels)


def test_what_nothing_defines_is_counted_as_undefined(tmp_path: Path) -> None:
    segment = Segment(tmp_path, 1)
    segment.write("START", at=T, key=1, task=99, job=1, ready_at=T, worker=1)
    segment.write("END", small=2, at=T, key=1, runtime=1, cpu=1, rss_peak=1, rss_change=1, exception=98, worker=1)
    segment.write("GAUGE", flags=1, at=T, queue=97, ready=1, reserved=0, scheduled=0, running=0, age=0)
    store, drainer = Store(), _core.Drainer(str(tmp_path))
    store.drain(drainer)
    unknown = ("__undefined__",) * 4
    assert store.total(*unknown[:3]) == {"started": 1, "failed": 1}
    assert store.total(*unknown, kind=3) == {"failed": 1}
    assert store.values[2, unknown[:2], 60, MINUTE].gauge(0) == (1, 1, 1, 1, 1, T)
    assert drainer.status()["undefined"] == 3


def test_a_gauge_of_a_clock_gone_wild_is_one_that_every_store_can_hold(tmp_path: Path) -> None:
    """The scripts of Redis have doubles: one moment beyond 2^53 µs would be refused there for ever, with all that is in its batch."""
    segment = Segment(tmp_path, 1)
    for at in (2**63 - 1, -(2**63)):
        segment.write("GAUGE", flags=1, at=at, queue=segment.define(2, *QUEUE), ready=1, reserved=0, scheduled=0, running=0, age=0)
    store = Store()
    store.drain(_core.Drainer(str(tmp_path)))
    last = 2**53 - 1
    bucket = last // 1_000_000 // 60 * 60
    assert store.values[2, QUEUE, 60, bucket].gauge(0) == (1, 1, 1, 1, 1, last)
    assert store.values[2, QUEUE, 60, 0].gauge(0) == (1, 1, 1, 1, 1, 0)


def test_damage_hides_nothing_else(tmp_path: Path) -> None:
    """Damaged slots are skipped, unknown kinds counted, files without header set aside, newer segments left where they are."""
    segment = Segment(tmp_path, 1)
    segment.start(1)
    segment.raw(b"\1" * 64)
    segment.raw(b"\0" * 64)
    segment.write("END", small=77, at=T, key=1, runtime=1, cpu=1, rss_peak=1, rss_change=1, exception=0, worker=1)
    segment.end(1)
    segment.raw(b"half a record")
    (tmp_path / f"{9:032x}.seg").write_bytes(b"no segment")
    (tmp_path / f"{8:032x}.seg").symlink_to(segment.path)
    (tmp_path / f"{6:032x}.seg").write_bytes(encode_header(bytes(15) + b"\7"))
    os.mkfifo(tmp_path / f"{5:032x}.seg")
    (tmp_path / f"{7:032x}.seg").write_bytes(encode_header(bytes(15) + b"\7", version=2))
    store, drainer = Store(), _core.Drainer(str(tmp_path))
    store.drain(drainer)
    status = drainer.status()
    assert store.total(*TASK) == {"started": 1, "succeeded": 1}
    assert (status["damaged"], status["unknown"], status["set_aside"], status["newer"]) == (2, 1, 4, 1)
    assert sorted(path.name for path in (tmp_path / "damaged").iterdir()) == [f"{number:032x}.seg" for number in (5, 6, 8, 9)]
    assert (tmp_path / f"{7:032x}.seg").exists()


def test_clocks_gone_wild_do_no_harm(tmp_path: Path) -> None:
    segment = Segment(tmp_path, 1)
    for key, at, ready_at in ((1, 2**63 - 1, -(2**63) + 1), (2, -(2**63), 2**63 - 1), (3, T, T - 2**50)):
        segment.start(key, at, ready_at=ready_at)
        segment.end(key, at, runtime=2**64 - 2)
    store = Store()
    store.drain(_core.Drainer(str(tmp_path)))
    assert store.total(*TASK) == {"started": 3, "succeeded": 3}
    total = store.values[1, TASK, 0, 0]
    assert (total.measure(0), total.measure(1), total.counter(10)) == (None, (1, 0, None, None), 1)


def test_a_mark_that_knows_more_than_there_is(tmp_path: Path) -> None:
    """Positions beyond a file or of no file are kept out of trouble; other bytes are refused and change nothing."""
    segment = Segment(tmp_path, 1)
    segment.start(1)
    drainer = _core.Drainer(str(tmp_path))
    with pytest.raises(DecodeError):
        drainer.restore(1, b"x" * 23)
    with pytest.raises(DecodeError):
        drainer.restore(1, (b"\2" * 16 + bytes(8)) * 2)
    assert drainer.poll() == 2
    drainer.restore(5, segment.id + (1_000).to_bytes(8, "little") + b"\5" * 16 + (3).to_bytes(8, "little"))
    assert (drainer.poll(), drainer.next_batch(), drainer.status()["lost_to_rollback"]) == (0, None, 0)


def test_a_spool_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        _core.Drainer(str(tmp_path / "file"))
    with pytest.raises(ValueError, match="grace"):
        _core.Drainer(str(tmp_path / "spool"), grace=-1)


def test_threads_may_share_a_drainer(tmp_path: Path) -> None:
    """Reading gives the interpreter lock away; each record is still counted once."""
    recorder = _core.Recorder(str(tmp_path), "host")
    handle = recorder.series(*TASK, _core.CLOCK_THREAD)
    drainer, store, lock, done = _core.Drainer(str(tmp_path), grace=0), Store(), threading.Lock(), threading.Event()

    def look() -> None:
        while not done.is_set():
            drainer.status()
            drainer.heartbeats(_core.clock_us())
            drainer.verdicts(recorder, _core.clock_us())
            with lock:
                store.drain(drainer)

    def work() -> None:
        for number in range(500):
            recorder.finished(recorder.started(handle, number, 0, _core.NO_TIME), _core.SUCCEEDED, None, 0)

    lookers, workers = [threading.Thread(target=look) for _ in range(3)], [threading.Thread(target=work) for _ in range(3)]
    for thread in lookers + workers:
        thread.start()
    for thread in workers:
        thread.join(PATIENCE)
    done.set()
    for thread in lookers:
        thread.join(PATIENCE)
    assert not any(thread.is_alive() for thread in lookers + workers)
    store.drain(drainer)
    assert store.total(*TASK) == {"started": 1500, "succeeded": 1500}


def test_a_drainer_that_is_to_stop_at_a_mark_folds_what_lies_before_it_and_no_more(tmp_path: Path) -> None:
    """Whatever was written since, also into segments that the mark does not know; the ENDs of both sides find their STARTs."""
    first, second = Segment(tmp_path, 1), Segment(tmp_path, 2)
    for key in range(10):
        first.start(key, T + key)
        if key < 7:
            (first if key % 2 else second).end(key, T + key, runtime=1_000)
    drainer, begun = _core.Drainer(str(tmp_path)), Store()
    begun.drain(drainer)
    expected, mark = begun.total(*TASK), begun.positions
    for key in range(7, 10):
        second.end(key, T + key, runtime=1_000)
    third = Segment(tmp_path, 3)
    third.start(20)
    third.end(20, runtime=1_000)

    again, late = _core.Drainer(str(tmp_path)), Store()
    again.restore(0, b"", mark)
    late.drain(again)
    assert late.total(*TASK) == expected == {"started": 10, "succeeded": 7}
    again.restore(late.sequence, mark)
    late.drain(again)
    assert late.total(*TASK) == {"started": 11, "succeeded": 11}
    with pytest.raises(DecodeError):
        again.restore(0, b"", b"no positions")
