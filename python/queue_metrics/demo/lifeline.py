"""What the demo's processes have in common: they record, say at the end what that took, and end when the demo is gone, however it went."""

from __future__ import annotations

import atexit
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


def instrumented(options: Options, queue: DemoQueue) -> None:
    """What a user writes: the one line that makes a queue's jobs count. Says at the end of the process what it asked of the store."""
    import queue_metrics as qm

    main = os.getpid()
    handles: list[Instrumentation] = []

    def note() -> None:
        if os.getpid() == main:
            work = [handle.status()["work"] for handle in handles]
            (options.root / f"{WORK_PREFIX}{main}.json").write_text(json.dumps(work))

    # Registered before anything of the package is: it speaks last, after the last records were counted.
    atexit.register(note)
    handles.append(qm.instrument(queue.app, store=options.store, state_dir=options.state, namespace=NAMESPACE, connection=CONNECTION))
