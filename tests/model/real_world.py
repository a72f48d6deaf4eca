"""The world of the model made real: segment files by the independent writer, processes that die, the package's drainer and store."""

from __future__ import annotations

import fcntl
import os
import subprocess
import uuid
from collections import Counter
from pathlib import Path

from queue_metrics import _core
from queue_metrics.storage.base import Mark
from queue_metrics.storage.memory import MemoryStorageDriver
from tests.model import truth
from tests.model.schedules import Schedule
from tests.model.state import END, HINT, PROVISIONAL, START, STARTED, Bounds, Do, Record, State, Step
from tests.support import journal_oracle as journal

GRACE, WINDOW = 10.0, 20.0
SECOND = 1_000_000  # µs
BOOT_ID = uuid.UUID(Path("/proc/sys/kernel/random/boot_id").read_text().strip()).bytes
NAMESPACE = os.stat("/proc/self/ns/pid").st_ino
TASK = 1


def labels(execution: int) -> bytes:
    """Each execution has a task of its own, so that its counts can be told apart."""
    return journal.label_list(TASK, "model", "queue", f"execution {execution}")


class Worker:
    """A process that can be killed; what it is said to write is written by the test."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(["sleep", "600"])
        stat = Path(f"/proc/{self.process.pid}/stat").read_text()
        self.start_ticks = int(stat.rpartition(")")[2].split()[19])
        self.key = int.from_bytes(os.urandom(8), "little") | 1
        self.identity = journal.label_list(4, "model", str(self.process.pid), str(self.start_ticks))

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


class Segment:
    """A segment file as docs/journal-format.md describes it, with its shared lock."""

    def __init__(self, spool: Path, creator: Worker, at: int) -> None:
        self.id = os.urandom(16)
        self.known: set[int] = set()
        header = journal.encode_header(
            self.id,
            boot_id=BOOT_ID,
            created=at,
            pid=creator.process.pid,
            start_ticks=creator.start_ticks,
            pid_namespace=NAMESPACE,
        )
        unnamed = spool / f".{self.id.hex()}.tmp"
        self.file = os.open(unnamed, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600)
        os.write(self.file, header)
        fcntl.flock(self.file, fcntl.LOCK_SH)
        self.path = spool / f"{self.id.hex()}.seg"
        unnamed.rename(self.path)

    def write(self, kind: str, **fields: int) -> None:
        os.write(self.file, journal.encode(self.id, kind, **fields))

    def define(self, label_list: bytes) -> int:
        number = journal.hash64(label_list)
        if number not in self.known:
            self.known.add(number)
            for definition in journal.encode_definition(self.id, label_list):
                os.write(self.file, definition)
        return number

    def introduce(self, worker: Worker, at: int) -> None:
        if worker.key in self.known:
            return
        self.known.add(worker.key)
        self.write(
            "WORKER",
            flags=2,
            at=at,
            worker=worker.key,
            pid=worker.process.pid,
            parent=os.getpid(),
            start_ticks=worker.start_ticks,
            pid_namespace=NAMESPACE,
            boot=int.from_bytes(BOOT_ID[:8], "little"),
            identity=self.define(worker.identity),
        )

    def release(self) -> None:
        """Nobody can append any more."""
        if self.file >= 0:
            os.close(self.file)
            self.file = -1


class RealWorld:
    """Does to the package what a schedule did to the model. Time is a number that this class moves."""

    def __init__(self, spool: Path, bounds: Bounds) -> None:
        self.bounds = bounds
        self.spool = spool
        self.now = _core.clock_us()
        self.workers = [Worker() for _ in bounds.homes]
        self.listener = Worker()
        self.segments: dict[int, Segment] = {}
        self.drainer: _core.Drainer | None = None
        self.recorder: _core.Recorder | None = None
        self.batch: _core.Batch | None = None
        self.flying: _core.Batch | None = None
        self.store = MemoryStorageDriver()
        self.mark = Mark(0, b"")  # that the drainer believes in
        self.applied: list[_core.Batch] = []
        self.older: list[_core.Batch] = []
        self.done: Counter[str] = Counter()  # what the package really did: so that a test knows it was there

    def close(self) -> None:
        for worker in (*self.workers, self.listener):
            worker.kill()
        for segment in self.segments.values():
            segment.release()

    def replay(self, schedule: Schedule) -> None:
        """Take every step, let everything come to rest, and compare."""
        for step in schedule.steps:
            self.now += 1000
            self._take(step)
            self._let_go(step.after)
            self._nothing_too_much(step.after)
        self._rest()
        for key in range(len(self.bounds.executions)):
            counted = self.counted(key)
            if not truth.started(schedule.last, key):
                assert counted == [0] * 7, f"execution {key} never started and counts {counted}"
                continue
            allowed = [[1, *(int(outcome == one) for one in range(1, 7))] for outcome in truth.outcomes(self.bounds, schedule.last, key)]
            assert counted in allowed, f"execution {key} counts {counted} and not {allowed} (started, then one outcome each)"

    def counted(self, execution: int) -> list[int]:
        """Started, succeeded, failed, retried, timed_out, cancelled, lost."""
        series = journal.hash64(labels(execution))
        total = self.store.read_totals([series]).get(series)
        value = _core.Value.decode(total) if total else _core.Value()
        return [value.counter(index) for index in range(7)]

    def _take(self, step: Step) -> None:
        match step.do:
            case Do.WRITE | Do.HEAR:
                assert isinstance(step.detail, Record)
                self._write(step.after, step.detail)
            case Do.KILL:
                self.workers[step.number].kill()
            case Do.TAKE_OVER:
                self._take_over()
            case Do.CRASH:
                self.drainer = self.recorder = self.batch = None
            case Do.KEEP:
                self.older = list(self.applied)
            case Do.GO_BACK:
                self._go_back()
            case Do.DELIVER:
                if self.flying is not None:
                    self._apply(self.flying)
            case Do.DELAY:
                self.flying = self.batch
            case Do.LOOK | Do.POLL:
                self._poll()
            case Do.RESTORE:
                self._restore()
            case Do.APPLY | Do.REFUSE | Do.RENUMBER | Do.MARK:
                self._send()
            case Do.UNANSWERED | Do.NUMBERS:
                if self.batch is not None:
                    self._apply(self.batch)
            case Do.VERDICT:
                self._judge(truth.graces_over(self.bounds, step.after))
            case Do.DELETE:
                self._tidy(step.after)
            case Do.ROTATE | Do.WAIT:
                pass  # seen by the next record, and by the next verdict

    def _write(self, state: State, record: Record) -> None:
        key = record.keys[0]
        execution = self.bounds.executions[key]
        writer, place = self.workers[execution.worker], self.bounds.homes[execution.worker][state.homes[execution.worker]]
        if record.kind == HINT:
            writer, place = self.listener, self.bounds.listener
        if place not in self.segments:
            self.segments[place] = Segment(self.spool, writer, self.now)
        segment = self.segments[place]
        segment.introduce(writer, self.now)
        job = journal.job_hash(f"job {execution.job if execution.job >= 0 else ~key}")
        if record.kind == START:
            segment.write(
                "START",
                at=self.now,
                key=key + 1,
                task=segment.define(labels(key)),
                job=job,
                ready_at=journal.NO_TIME,
                worker=writer.key,
            )
        elif record.kind == HINT:
            segment.write("HINT", small=record.outcome, at=self.now, job=job, worker=writer.key, exception=0)
        else:
            assert record.kind in (END, PROVISIONAL)
            segment.write(
                "END",
                flags=2 if record.kind == PROVISIONAL else 0,
                small=record.outcome,
                at=self.now,
                key=key + 1,
                runtime=1000,
                cpu=journal.NO_U64,
                rss_peak=2**32 - 1,
                rss_change=-(2**31),
                exception=0,
                worker=writer.key,
            )

    def _let_go(self, state: State) -> None:
        for worker, process in enumerate(self.workers):
            if truth.gone(self.bounds, state, worker):
                process.kill()
        for place, segment in self.segments.items():
            if not truth.writable(self.bounds, state, place):
                segment.release()

    def _take_over(self) -> None:
        self.drainer = _core.Drainer(str(self.spool), grace=GRACE, window=WINDOW)
        self.recorder = _core.Recorder(str(self.spool), "model")
        self._restore()

    def _restore(self) -> None:
        assert self.drainer is not None
        self.mark = self.store.read_mark(self.drainer.spool_id, 0)
        self.drainer.restore(self.mark.sequence, self.mark.positions)
        self.batch = None

    def _poll(self) -> None:
        assert self.drainer is not None
        if self.batch is None:
            self.drainer.poll()
            self.batch = self.drainer.next_batch(8)

    def _apply(self, batch: _core.Batch) -> bool:
        done = self.store.apply_batch(0, batch).applied
        self.done["applied" if done else "refused"] += 1
        if done:
            self.applied.append(batch)
        return done

    def _send(self) -> None:
        if self.batch is None or self.drainer is None:
            return
        if self._apply(self.batch):
            self.drainer.committed()
            self.mark = Mark(self.batch.sequence, self.batch.positions)
            self.batch = None
        else:
            self._restore()

    def _go_back(self) -> None:
        self.store, again, self.applied = MemoryStorageDriver(), self.older, []
        for batch in again:
            assert self._apply(batch), "what the store had once it can have again"

    def _judge(self, grace_over: bool) -> None:
        """A death is seen, and the grace later the verdict falls."""
        assert self.drainer is not None
        assert self.recorder is not None
        self.done["verdicts"] += self.drainer.verdicts(self.recorder, self.now)
        if not grace_over:
            return
        self.now += int(GRACE + 1) * SECOND
        self.done["verdicts"] += self.drainer.verdicts(self.recorder, self.now)
        self._poll()  # a verdict may wait until what was written before the end of the grace is folded
        self.done["verdicts"] += self.drainer.verdicts(self.recorder, self.now)

    def _tidy(self, state: State) -> None:
        """Delete what may go; the window passes if the store cannot go back behind it and no grace is running."""
        assert self.drainer is not None
        if self.store.read_mark(self.drainer.spool_id, 0) != self.mark:
            self._restore()
            return
        self.drainer.tidy(self.now)
        if truth.graces_over(self.bounds, state) and (state.older is None or self.older == self.applied):
            self.now += int(WINDOW + 1) * SECOND
            self.done["deleted"] += self.drainer.tidy(self.now)

    def _rest(self) -> None:
        """Drain until nothing happens any more."""
        if self.drainer is None:
            self._take_over()
        self._restore()
        idle = 0
        for _ in range(100):
            self._poll()
            idle = idle + 1 if self.batch is None else 0
            while self.batch is not None:
                self._send()
                self._poll()
            self._judge(grace_over=True)
            if idle == 3:
                return
        raise AssertionError("the drainer never came to rest")

    def _nothing_too_much(self, state: State) -> None:
        for key in range(len(self.bounds.executions)):
            counted = self.counted(key)
            begun = int(truth.started(state, key))
            assert counted[STARTED] <= begun, f"execution {key} is counted as started {counted[STARTED]} times"
            assert sum(counted[1:]) <= begun, f"execution {key} has outcomes {counted[1:]}"
