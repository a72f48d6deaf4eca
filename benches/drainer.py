"""CPU and memory of the drainer at 1,000 jobs a second, as its own process."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benches.rows import Row

SECONDS = 20
RATE = 1000


def rows(store: str | None = None) -> list[Row]:
    """Run `queue-metrics agent` beside a recorder that is given RATE jobs a second; read the agent's own CPU time and peak memory."""
    import queue_metrics as qm
    from queue_metrics import _core
    from queue_metrics.config import load_settings

    with tempfile.TemporaryDirectory(prefix="qm-bench-") as name:
        url = store or f"sqlite:///{name}/metrics.db"
        environment = {
            "PATH": os.defpath,
            "HOME": name,
            "QUEUE_METRICS_STORE": url,
            "QUEUE_METRICS_STATE_DIR": name,
            "QUEUE_METRICS_NAMESPACE": "bench",
        }
        settings = load_settings(store=url, state_dir=Path(name), namespace="bench")
        recorder = _core.Recorder(str(settings.spool), "bench")
        handles = [recorder.series("bench", "default", f"task{number}", _core.CLOCK_PROCESS) for number in range(20)]
        agent = subprocess.Popen([sys.executable, "-m", "queue_metrics", "agent"], env=environment, stdout=subprocess.DEVNULL)
        try:
            time.sleep(2)
            before = _cpu(agent.pid)
            begin = time.monotonic()
            sent = 0
            while time.monotonic() - begin < SECONDS:
                for _ in range(int((time.monotonic() - begin) * RATE) - sent):
                    recorder.finished(recorder.started(handles[sent % 20], str(sent), 0, _core.NO_TIME), _core.SUCCEEDED, None, 0)
                    sent += 1
                time.sleep(0.01)
            deadline = time.monotonic() + 30
            metrics = qm.connect(url)
            while sum(task.lifetime.counts.ended for task in metrics.tasks()) < sent and time.monotonic() < deadline:
                time.sleep(0.2)
            wall = time.monotonic() - begin
            used = _cpu(agent.pid) - before
            memory = _peak(agent.pid)
            counted = sum(task.lifetime.counts.ended for task in metrics.tasks())
        finally:
            agent.terminate()
            agent.wait(15)
    if counted != sent:
        raise RuntimeError(f"{sent} jobs were recorded, {counted} counted")
    return [
        Row(
            "CPU of the drainer at 1,000 jobs/s",
            used / wall,
            None,
            "cores",
            note=f"{sent:,} jobs of 20 tasks in {wall:.0f} s, SQLite, counted to the last",
        ),
        Row("memory of the drainer at 1,000 jobs/s", memory / 2**20, None, "MiB", note="peak resident, whole process with Python"),
    ]


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("the kernel tells no peak memory")
