"""Which heartbeats a process that reports owes the store: of its spool, of all workers in it, of their server, of what was dropped."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from queue_metrics import _core
from queue_metrics.recording.contact import Contact
from queue_metrics.recording.drain import Drain
from queue_metrics.recording.servers import ServerSampler
from queue_metrics.recording.trouble import warner
from queue_metrics.storage.servers import server_beat
from queue_metrics.storage.spools import GOODBYE_SECONDS, ID_PREFIX, goodbye_beat, spool_beat

if TYPE_CHECKING:
    from queue_metrics.config import Settings
    from queue_metrics.storage.base import StorageDriver

_STOPPED = b"\x04"  # the state, byte 2 of a heartbeat
_ALIVE = (b"\x01", b"\x02", b"\x03")


class Beats:
    """Of one process, and while it drains of all that share its spool. A forked child makes its own."""

    def __init__(
        self,
        settings: Settings,
        recorder: _core.Recorder,
        store: StorageDriver,
        drain: Drain,
        server: ServerSampler,
        contact: Contact,
    ) -> None:
        self._settings = settings
        self._recorder = recorder
        self._store = store
        self._drain = drain
        self._server = server
        self._contact = contact
        self.family = 0
        """Pid of the main process of which this is one, or a child; 0: of nobody else."""
        self._told_drops = False
        self._warned_drops = 0

    def send(self, *, last: bool = False) -> None:
        """
        Of the spool and all its workers when this process drains; of this one when no drainer can see it; of the server by who attends.

        The last one of a process is sent by itself: another drainer would look at it some seconds after it is gone.

        Raises:
            StoreError: as the store.
        """
        beats = dict(self._drain.heartbeats(self._contact.told()))
        beats.update(self._own(also_without_drops=True))
        if last and not self._drain.elected:
            beats[self._recorder.worker_id] = self._recorder.heartbeat()
        beats.update(self._shared_drops())
        if self._drain.elected:
            beats.update([goodbye_beat(said=False)])
        if self._drain.attends and not last:  # a file system that hangs would hold up the exit
            beats.update([server_beat(socket.gethostname(), self._server.sample())])
        # Workers that stopped in good order are of no interest soon; with one job a child they would fill the store.
        stopped = {name: beat for name, beat in beats.items() if beat[2:3] == _STOPPED and not name.startswith(ID_PREFIX)}
        others = [(name, beat) for name, beat in beats.items() if name not in stopped]
        if others:
            self._store.heartbeat_many(others, 2 * self._settings.lost_seconds)
        if stopped:
            self._store.heartbeat_many(stopped.items(), self._settings.stale_seconds)
        if last and self._leaves_nothing(beats):
            self._store.heartbeat_many([goodbye_beat(said=True)], GOODBYE_SECONDS)

    def of_child(self) -> dict[str, bytes]:
        """What a process tells by itself though its main reports for it: what it could not write where that looks. Empty mostly."""
        return {**self._own(also_without_drops=False), **self._shared_drops()}

    def warn_of_drops(self) -> None:
        """Say so when records were dropped since the last time."""
        status = self._recorder.status()
        dropped = sum(status["drops"].values())
        if dropped > self._warned_drops:
            self._warned_drops = dropped
            reasons = ", ".join(f"{reason} {count}" for reason, count in status["drops"].items())
            warner.warn(
                "drops",
                f"records are dropped, so numbers will be too low ({reasons}; {status['last_error']}); jobs go on, "
                "`queue-metrics doctor` says what to do",
            )

    def _leaves_nothing(self, beats: dict[str, bytes]) -> bool:
        """Whether this drainer is the last process of its spool, and everything is counted."""
        left = self._drain.status() if self._drain.elected else {}
        alive = any(beat[2:3] in _ALIVE for name, beat in beats.items() if not name.startswith(ID_PREFIX))
        return bool(left) and not alive and not any(left[name] for name in ("waiting", "open", "provisional", "drops"))

    def _own(self, *, also_without_drops: bool) -> dict[str, bytes]:
        """The heartbeat and drops of a process without a page; of one that has a page the drainer tells."""
        status = self._recorder.status()
        if status["page"] or not (status["drops"] or also_without_drops):
            return {}
        return {self._recorder.worker_id: self._recorder.heartbeat()}

    def _shared_drops(self) -> dict[str, bytes]:
        """
        What was dropped before there was a page to count it in, of a main and its children under one name.

        The first page takes the count over, and then the store is told that none is left here, or it would be counted twice.
        """
        status = self._recorder.status()
        dropping = not status["page"] and bool(status["drops"])
        if not dropping and not self._told_drops:
            return {}
        self._told_drops = dropping
        name = f"{socket.gethostname()}:{self.family or os.getpid()}"
        return dict([spool_beat(name, status if dropping else {**status, "drops": {}})])
