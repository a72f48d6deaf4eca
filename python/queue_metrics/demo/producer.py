"""The demo's producer: `python -m queue_metrics.demo.producer DIRECTORY` enqueues jobs, all at once or as a day in a few minutes."""

from __future__ import annotations

import math
import random
import sys
import time

from queue_metrics.demo.ledger import Ledger
from queue_metrics.demo.lifeline import hold, instrumented
from queue_metrics.demo.options import Options
from queue_metrics.demo.queues import DemoQueue, open_queue
from queue_metrics.demo.work import draw

DAY_SECONDS = 240.0
"""A busy and a quiet time pass in so many seconds, so that the charts have something to show."""


def jobs_per_second(moment: float) -> float:
    """The load of the endless demo: 4 to 10 jobs a second in a slow wave, and a short rush in each."""
    wave = 7.0 + 3.0 * math.sin(2 * math.pi * moment / DAY_SECONDS)
    rush = 8.0 if moment % DAY_SECONDS > DAY_SECONDS - 15 else 0.0
    return wave + rush


def produce_all(queue: DemoQueue, ledger: Ledger, chance: random.Random, jobs: int, backlog: int) -> None:
    """Enqueue `jobs` jobs, never more than `backlog` ahead of the workers."""
    left = jobs
    while left:
        room = min(left, backlog - queue.waiting().ready)
        for _ in range(room):
            queue.send(draw(chance))
            ledger.sent()
        left -= max(room, 0)
        if left:
            time.sleep(0.05)


def produce_for_ever(queue: DemoQueue, ledger: Ledger, chance: random.Random) -> None:
    """Enqueue jobs at the rate of the moment, at random distances as real ones come."""
    start = time.monotonic()
    while True:
        time.sleep(chance.expovariate(jobs_per_second(time.monotonic() - start)))
        queue.send(draw(chance))
        ledger.sent()


def main() -> int:
    """Enqueue what the options say."""
    options = Options.load(sys.argv[1])
    hold()
    queue = open_queue(options)
    instrumented(options, queue)
    ledger, chance = Ledger(options.ledger), random.Random(options.seed)
    if options.jobs is None:
        produce_for_ever(queue, ledger, chance)
    else:
        # Enough ahead that a kill nearly always finds every worker with a job.
        produce_all(queue, ledger, chance, options.jobs, backlog=8 * options.workers)
    return 0


if __name__ == "__main__":
    sys.exit(main())
