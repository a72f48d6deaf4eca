"""The contract between a job library and the recorder; knows no job library."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from queue_metrics._core import Recorder


class HookContext:
    """What a hook is given: the recorder, and whom to tell what this process is."""

    __slots__ = ("connection", "known_pid", "on_child", "on_main", "on_producer", "recorder")

    def __init__(
        self,
        recorder: Recorder,
        *,
        on_main: Callable[[], None],
        on_child: Callable[[], None],
        on_producer: Callable[[], None],
        connection: str | None = None,
    ) -> None:
        """
        Args:
            recorder: the only way to record.
            on_main: to be called once in the main process of a worker, before it forks or executes anything.
            on_child: to be called in a process that executes jobs under a main, once, early.
            on_producer: to be called in any process when it enqueued its first job.
            connection: name for the broker that the user gave; None: the hook chooses.
        """
        self.recorder = recorder
        self.known_pid = 0
        """The process for which one of the three was called last; hooks compare it with their own to see a fork."""
        self.on_main = on_main
        self.on_child = on_child
        self.on_producer = on_producer
        self.connection = connection


class QueueDepth:
    """
    The state of one queue: counts of jobs, the age in seconds of the oldest ready one, and in how many seconds the first scheduled one is
    due; None is unknown, of the last also that nothing is scheduled.
    """

    __slots__ = ("connection", "due_in", "oldest_age", "queue", "ready", "reserved", "running", "scheduled")

    def __init__(
        self,
        connection: str,
        queue: str,
        *,
        ready: int | None = None,
        reserved: int | None = None,
        scheduled: int | None = None,
        running: int | None = None,
        oldest_age: float | None = None,
        due_in: float | None = None,
    ) -> None:
        self.connection = connection
        self.queue = queue
        self.ready = ready
        self.reserved = reserved
        self.scheduled = scheduled
        self.running = running
        self.oldest_age = oldest_age
        self.due_in = due_in


class DepthProbe(abc.ABC):
    """Asks a broker for the state of its queues over a connection of its own, never through the library's storage object."""

    connection: str
    """The connection whose queues it asks for; the lease is taken by this name."""

    local: bool = False
    """Whether it only reads local files: then a question is bounded and forks wait for it. No fork waits for a server."""

    known: Sequence[str] = ()
    """Queues of the connection that the store knows: asked too, where the broker can be asked for a queue by its name."""

    @abc.abstractmethod
    def ask(self) -> Sequence[QueueDepth]:
        """The state of every known queue now. May raise anything; the caller counts and logs it, at most once a minute."""

    @abc.abstractmethod
    def tick(self) -> None:
        """Called about once a second between questions; cheap, for probes that follow the age of what is in the queue."""

    @abc.abstractmethod
    def close(self) -> None:
        """Close the own connection; it is opened again by the next question. Called before every fork, unless a question runs."""

    @abc.abstractmethod
    def abandon(self) -> None:
        """Forget the own connection without closing it: called in a forked child."""


class Hook(abc.ABC):
    """One job library. At most one hook per target; installing twice changes nothing."""

    library: str
    """Name of the library, as in the table of `instrument`."""

    @abc.abstractmethod
    def install(self) -> None:
        """Wrap what must be wrapped."""

    @abc.abstractmethod
    def uninstall(self) -> None:
        """Put everything back; executions that run are still recorded to their end."""

    @abc.abstractmethod
    def probes(self) -> Sequence[DepthProbe]:
        """The depth probes for this target; empty when its broker cannot be asked."""

    @abc.abstractmethod
    def findings(self) -> Sequence[str]:
        """What `doctor` shows: how it is wrapped, what cannot be measured here and why."""


def guarded(recorder: Recorder, call: Callable[..., Any]) -> Callable[..., None]:
    """Our side of a signal or callback: an error of ours is counted and never reaches the library."""

    def receiver(*args: Any, **kwargs: Any) -> None:
        try:
            call(*args, **kwargs)
        except Exception:
            recorder.hook_error()

    return receiver
