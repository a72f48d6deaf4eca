"""What both job libraries have in common for the demo, and the choice between them; imports neither."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from queue_metrics.demo.options import Options
from queue_metrics.demo.work import Job


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is in a broker: jobs that can run, and jobs for later or handed out and not yet acknowledged."""

    ready: int
    later: int

    @property
    def empty(self) -> bool:
        return self.ready == 0 and self.later == 0


class DemoQueue(Protocol):
    """A job library with the demo's tasks in it."""

    @property
    def app(self) -> object:
        """What `queue_metrics.instrument` is given."""

    def send(self, job: Job) -> None:
        """Enqueue a job."""

    def waiting(self) -> Waiting:
        """What is in the broker now, schedule included."""

    def run_worker(self) -> None:
        """Be the main process of the worker until it is told to stop."""

    def clear(self) -> None:
        """Remove everything of this run from the broker."""


def open_queue(options: Options) -> DemoQueue:
    """
    The queue of a run.

    Raises:
        MissingDependency: its library is not installed.
    """
    if options.library == "celery":
        from queue_metrics.demo.queue_celery import CeleryQueue

        return CeleryQueue(options)
    from queue_metrics.demo.queue_huey import HueyQueue

    return HueyQueue(options)


def announce(options: Options) -> None:
    """Say that this process executes jobs; called in each process of a pool when it starts."""
    import os

    options.pool.mkdir(exist_ok=True)
    (options.pool / str(os.getpid())).touch()
