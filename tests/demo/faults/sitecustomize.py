"""
Breaks one thing in every process of a demo, chosen by QM_DEMO_FAULT; loaded by Python itself when this directory is on PYTHONPATH.

`start` and `end` damage one record of that kind in the journal before it is read; `double` counts one batch twice.
"""

import os
from pathlib import Path
from typing import Any

HEADER, RECORD = 4096, 64
KINDS = {"start": 5, "end": 6}


def first_of_the_run(spool: Path) -> bool:
    """One fault a run, whichever process comes to it first."""
    try:
        os.close(os.open(spool / "fault", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


def damage(spool: Path, kind: int, seen: dict[Path, int]) -> None:
    """Damage the first record of a kind among those not seen before."""
    for path in sorted(spool.glob("*.seg")):
        data = path.read_bytes()
        at = seen.get(path, HEADER)
        # A mapped segment is as long as it will ever be: what is empty is still to come.
        while at + RECORD <= len(data) and any(data[at : at + 8]):
            if data[at + 4] == kind and first_of_the_run(spool):
                with path.open("r+b") as file:
                    file.seek(at)
                    file.write(bytes((data[at] ^ 0xFF,)))
                return
            at += RECORD
        seen[path] = at


def break_records(kind: int) -> None:
    """Put ourselves between the drain and the core's drainer."""
    from queue_metrics import _core

    real = _core.Drainer

    class Drainer:
        def __init__(self, spool: str, **settings: Any) -> None:
            self._spool = Path(spool)
            self._seen: dict[Path, int] = {}
            self._real = real(spool, **settings)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._real, name)

        def poll(self) -> int:
            damage(self._spool, kind, self._seen)
            return self._real.poll()

    _core.Drainer = Drainer  # type: ignore[assignment, misc]


def double_a_batch() -> None:
    """Count the first batch with an end in it once more, as if it came from another spool."""
    from queue_metrics import _core
    from queue_metrics.storage import sql

    real = sql.DatabaseStorageDriver.apply_batch
    done = False

    def apply_batch(self: Any, shard: int, batch: _core.Batch) -> Any:
        nonlocal done
        answer = real(self, shard, batch)
        if not done and any(_core.Value.decode(row.value).counter(1) for row in batch.rows):
            done = True
            rows = [(row.series, row.labels, row.step, row.bucket, row.value) for row in batch.rows]
            real(self, shard, _core.Batch("f" * 32, 1, b"", rows))
        return answer

    sql.DatabaseStorageDriver.apply_batch = apply_batch  # type: ignore[method-assign]


fault = os.environ.get("QM_DEMO_FAULT")
if fault in KINDS:
    break_records(KINDS[fault])
elif fault == "double":
    double_a_batch()
