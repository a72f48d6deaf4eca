"""How the collector's own state rests in a store: one hash, whose change is how two collectors notice each other."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from queue_metrics.storage.base import DAY, MINUTE, Beat
from queue_metrics.storage.general import Call, GeneralOperations
from queue_metrics.storage.spools import ID_PREFIX

COLLECTOR = "collector"
READ_COLLECTOR = Call("get_hash", (COLLECTOR,))
"""The question, for a look at the store; `state_of` makes sense of its answer."""
GAP_SECONDS = 2.0 * MINUTE
"""Without a pass for so long no collector runs."""
SETTLED_SECONDS = 1.5 * MINUTE
"""Passes further apart than this have a gap between them: one is missing, as a store that was away for a minute makes it with cron."""
PASS_BEAT_SECONDS = float(DAY)
"""How long the store tells the age of a pass; a clock that is off by minutes makes little of what is older."""
_PASS_BEAT = ID_PREFIX + "collector"


_LOST_SECONDS = 300.0  # the default: who reads with a shorter one may read of workers that have it


def forgotten_seconds(lost_seconds: float) -> float:
    """After so long without a pass a heartbeat from before it has expired, so what is silent was so while the store was there."""
    return 2 * max(lost_seconds, _LOST_SECONDS) + MINUTE


@dataclass(frozen=True, slots=True)
class CollectorState:
    """What the collector of the last pass left."""

    last_pass: float | None
    """Its moment, seconds since 1970; None: there was none."""
    settled_since: float | None
    """Since when there has been no gap between passes, seconds since 1970."""
    owner: str
    """Who did it: host, process, and letters by chance."""
    events: int
    """The number of the last event."""
    off: tuple[str, ...] = ()
    """Duties that were switched off for the last pass, by their names in the settings."""
    asked: tuple[str, ...] = ()
    """Connections of which the depth was asked for the last pass."""

    def passed(self, now: float) -> bool:
        """Whether there was a pass in the minute of `now`. A moment far to come is of a clock that was wrong: it stops nobody."""
        return self.last_pass is not None and self.last_pass // MINUTE >= now // MINUTE and not self.from_the_future(now)

    def from_the_future(self, now: float) -> bool:
        """Whether the last pass was by a clock that was far ahead."""
        return self.last_pass is not None and self.last_pass - now > GAP_SECONDS

    def asks(self, connection: str, now: float) -> bool:
        """Whether passes ask for the depth of a connection: nobody else does, so it is as old as the last of them."""
        return connection in self.asked and self.last_pass is not None and abs(now - self.last_pass) <= GAP_SECONDS

    def settled(self, now: float) -> float:
        """Since when passes have had no gap, with one at `now`."""
        if self.last_pass is None or self.settled_since is None or abs(now - self.last_pass) > SETTLED_SECONDS:
            return now
        return self.settled_since


def pass_beat(last_pass: float) -> tuple[str, bytes]:
    """What to hand to `heartbeat_many` after a pass, so that the store's clock tells how long ago it was."""
    return _PASS_BEAT, f"{last_pass:.3f}".encode()


def clock_behind(answer: Mapping[str, str] | None, beats: Iterable[Beat], now: float) -> float:
    """
    By how many seconds the collector's clock is behind that of who reads: its last pass is as old as the store says.

    0 where the store does not say: the last pass was by an older version, or longer ago than a day.

    Args:
        answer: to `READ_COLLECTOR`.
        beats: whatever travels as a heartbeat, of the same look.
        now: seconds since 1970 by the reader's clock.
    """
    last_pass = state_of(answer).last_pass
    told = next((beat for beat in beats if beat.worker_id == _PASS_BEAT), None)
    if told is None or last_pass is None or _moment(told.payload.decode("ascii", "replace")) != last_pass:
        return 0.0
    return now - told.age - last_pass


def state_for_reader(answer: Mapping[str, str] | None, beats: Iterable[Beat], now: float) -> CollectorState:
    """The state by the clock of who reads, since the collector's may be minutes off; takes what `clock_behind` takes."""
    state, behind = state_of(answer), clock_behind(answer, beats, now)
    last_pass, settled = (None if each is None else each + behind for each in (state.last_pass, state.settled_since))
    return replace(state, last_pass=last_pass, settled_since=settled)


def settled_for_readers(state: CollectorState, back: float | None, now: float, *, lost_seconds: float) -> float | None:
    """
    Since when the store has been there without a gap, for who reads between two passes; None: as far as anybody knows always.

    By the passes, `now` while the next one is missing, and by what is known besides, since an outage may fit between two passes. Whether
    the store was away or the collector alone cannot be told from passes that are missing, so after a while they say nothing, or a
    collector that ran once would hide for ever who is lost.

    Args:
        state: of `state_for_reader`.
        back: of `back_since`, of the same look.
        now: seconds since 1970 by the reader's clock.
        lost_seconds: half of how long workers let their heartbeats live.
    """
    collects = state.last_pass is not None and abs(now - state.last_pass) <= forgotten_seconds(lost_seconds)
    return later(state.settled(now) if collects else None, back)


def later(moment: float | None, other: float | None) -> float | None:
    """The later one of two moments, as far as they are known."""
    return max((each for each in (moment, other) if each is not None), default=None)


def state_of(answer: Mapping[str, str] | None) -> CollectorState:
    """The state out of the answer of `READ_COLLECTOR`; what is missing or damaged is as if there was no pass."""
    told = answer or {}
    events = told.get("events", "0")
    return CollectorState(
        last_pass=_moment(told.get("last_pass")),
        settled_since=_moment(told.get("settled_since")),
        owner=told.get("owner", ""),
        events=int(events) if events.isascii() and events.isdigit() else 0,
        off=tuple(name for name in told.get("off", "").split(",") if name),
        asked=_names(told.get("asked")),
    )


def write_state(store: GeneralOperations, state: CollectorState) -> None:
    """Put a state in place of the last one."""
    told = {"last_pass": state.last_pass, "settled_since": state.settled_since}
    moments = {name: f"{moment:.3f}" for name, moment in told.items() if moment is not None}
    names = {"off": ",".join(state.off), "asked": json.dumps(state.asked)}
    store.set_hash(COLLECTOR, {**moments, "owner": state.owner, "events": str(state.events), **names})


def _names(text: str | None) -> tuple[str, ...]:
    try:
        told = json.loads(text or "[]")
    except ValueError:
        return ()
    return tuple(name for name in told if isinstance(name, str)) if isinstance(told, list) else ()


def _moment(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
