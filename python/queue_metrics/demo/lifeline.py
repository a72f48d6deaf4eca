"""What the demo's processes have in common: they record, say at the end what that took, and end when the demo is gone, however it went."""

from __future__ import annotations

import json
import os
import signal
import threading
from typing import TYPE_CHECKING, Final

from queue_metrics.demo.options import CONNECTION, NAMESPACE, Options
from queue_metrics.demo.queues import DemoQueue

if TYPE_CHECKING:
    from queue_metrics.instrument import Instrumentation

WORK_PREFIX: Final = "work-"


def hold(descriptor: int = 0) -> None:
    """
    Kill this process group as soon as the other end of a pipe is closed.

    The demo holds that end; a SIGKILL of it closes it as well. Pool children would otherwise live on and take jobs for ever.
    """

    def wait() -> None:
        while os.read(descriptor, 1):
            pass
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, name="demo-lifeline", daemon=True).start()


def instrumented(options: Options, queue: DemoQueue) -> Instrumentation:
    """What a user writes: the one line that makes a queue's jobs count."""
    import queue_metrics as qm

    return qm.instrument(queue.app, store=options.store, state_dir=options.state, namespace=NAMESPACE, connection=CONNECTION)


def leave(options: Options, handle: Instrumentation) -> None:
    """Count the last records, and note what this process asked of the store, for `run`."""
    handle.uninstall()
    work = handle.status()["work"]
    (options.root / f"{WORK_PREFIX}{os.getpid()}.json").write_text(json.dumps(work))
