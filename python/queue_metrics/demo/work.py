"""
What the demo's jobs do: they really sleep, burn CPU, hold memory, fail, retry, run long and outlive their limit.

Knows no job library: `queue_huey` and `queue_celery` make tasks of what stands here.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from queue_metrics.demo.ledger import OK, RAISED, RETRY, TIMEOUT, Ledger

PAGE: Final = 4096


class JobFailed(Exception):
    """What a job of the demo raises when it is to fail."""


class RetryNow(Exception):
    """A job of the demo failed and has another attempt."""


def sleep(seconds: float, megabytes: int) -> None:
    """Wait, as for a network."""
    time.sleep(seconds)


def burn(seconds: float, megabytes: int) -> None:
    """Use the processor for so many seconds of CPU time."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        sum(range(2_000))


def remember(seconds: float, megabytes: int) -> None:
    """Hold memory that was really touched."""
    block = bytearray(megabytes << 20)
    for at in range(0, len(block), PAGE):
        block[at] = 1
    time.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Kind:
    """A task: its name, what it does, how often it comes, what is allowed."""

    name: str
    """`module.function`, as the libraries name tasks."""
    queue: str
    activity: Callable[[float, int], None]
    weight: int
    """Parts of all jobs."""
    typical_seconds: float
    """Median of the log-normal run time."""
    spread: float
    """Sigma of the log-normal."""
    megabytes: int = 0
    failing: float = 0.0
    """Share of attempts that fail."""
    retries: int = 0
    soft_limit: float | None = None
    """Seconds until the library interrupts it."""
    overlong: float = 0.0
    """Share of jobs that sleep far beyond the limit."""


KINDS: Final = (
    Kind("shop.send_mail", "default", sleep, 38, 0.08, 0.7),
    Kind("shop.resize_image", "default", burn, 20, 0.06, 0.5),
    Kind("shop.deliver_webhook", "default", sleep, 16, 0.05, 0.6, failing=0.3, retries=2),
    Kind("shop.charge_card", "default", sleep, 10, 0.06, 0.4, failing=0.12),
    Kind("shop.build_report", "reports", remember, 10, 0.25, 0.5, megabytes=30),
    Kind("shop.import_feed", "reports", sleep, 3, 0.15, 0.5, soft_limit=1.5, overlong=0.4),
    Kind("shop.export_orders", "reports", sleep, 3, 2.5, 0.4),
)
QUEUES: Final = tuple(dict.fromkeys(kind.queue for kind in KINDS))
RETRY_DELAY: Final = 1.0


@dataclass(frozen=True, slots=True)
class Job:
    """One job to enqueue: a kind and the arguments of its task."""

    kind: Kind
    seconds: float
    megabytes: int
    failures: int
    """Attempts that fail before one succeeds."""


def draw(chance: random.Random) -> Job:
    """The next job of the mix."""
    kind = chance.choices(KINDS, weights=[kind.weight for kind in KINDS])[0]
    seconds = min(kind.typical_seconds * chance.lognormvariate(0.0, kind.spread), 6.0)
    if kind.soft_limit is not None:
        # Well below the limit or far above: no ordinary job may be interrupted while it writes its own end.
        seconds = kind.soft_limit * 20 if chance.random() < kind.overlong else min(seconds, kind.soft_limit / 3)
    failures = 0
    while failures <= kind.retries and chance.random() < kind.failing:
        failures += 1
    return Job(kind, seconds, round(kind.megabytes * chance.uniform(0.5, 1.5)), failures)


def attempt(
    ledger: Ledger,
    kind: Kind,
    seconds: float,
    megabytes: int,
    *,
    fails: bool,
    retries_left: int,
    soft_limits: tuple[type[BaseException], ...],
) -> None:
    """
    The body of every task: one attempt at a job, noted in the ledger before and after.

    Raises:
        RetryNow: it failed and may be tried again.
        JobFailed: it failed for good.
    """
    ledger.begun()
    fate = RAISED
    try:
        kind.activity(seconds, megabytes)
        if fails and retries_left > 0:
            fate = RETRY
            raise RetryNow(f"{kind.name} failed, {retries_left} left")
        if fails:
            raise JobFailed(f"{kind.name} failed")
        fate = OK
    except soft_limits:
        fate = TIMEOUT
        raise
    finally:
        ledger.ended(fate)
