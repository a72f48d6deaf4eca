"""The demo's worker: `python -m queue_metrics.demo.worker DIRECTORY` is its main process, in a process group of its own."""

from __future__ import annotations

import logging
import sys

from queue_metrics.demo.lifeline import hold, instrumented
from queue_metrics.demo.options import Options
from queue_metrics.demo.queues import open_queue


def main() -> int:
    """Execute jobs until told to stop."""
    options = Options.load(sys.argv[1])
    hold()
    # Failing jobs are what the demo is for: their tracebacks, and the kills, are no news.
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(process)d %(name)s %(levelname)s %(message)s")
    for name in ("huey", "huey.consumer", "celery.worker", "celery.app.trace"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    queue = open_queue(options)
    instrumented(options, queue)
    queue.run_worker()
    return 0


if __name__ == "__main__":
    sys.exit(main())
