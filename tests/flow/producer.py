"""Keeps the workers of a trial loaded until a file says that it is enough: `python -m tests.flow.producer DIRECTORY`."""

from __future__ import annotations

import random
import sys
import time

from queue_metrics.demo.ledger import Ledger
from queue_metrics.demo.lifeline import hold, instrumented
from queue_metrics.demo.options import Options
from queue_metrics.demo.queues import open_queue
from queue_metrics.demo.work import draw

ENOUGH = "enough"
SILENT = "silent"
"""A file of this name: the producer records nothing."""


def main() -> None:
    options = Options.load(sys.argv[1])
    hold()
    queue = open_queue(options)
    if not (options.root / SILENT).exists():
        instrumented(options, queue)
    ledger, chance = Ledger(options.ledger), random.Random(options.seed)
    while not (options.root / ENOUGH).exists():
        # Enough ahead that a kill nearly always finds every worker with a job.
        for _ in range(8 * options.workers - queue.waiting().ready):
            queue.send(draw(chance))
            ledger.sent()
        time.sleep(0.05)


if __name__ == "__main__":
    main()
