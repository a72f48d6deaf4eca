"""Whether a collector runs, and what it wrote down: answers of what it left in the store."""

from __future__ import annotations

from dataclasses import replace

from queue_metrics.insights.wording import duration
from queue_metrics.model.collector import CollectorAnswer
from queue_metrics.model.events import Event, EventsAnswer
from queue_metrics.storage.base import StorageDriver
from queue_metrics.storage.collector import GAP_SECONDS, READ_COLLECTOR, CollectorState, state_for_reader, state_of
from queue_metrics.storage.events import READ_OLDEST, events_of, reading_events

WHAT_TO_DO = (
    "run `queue-metrics serve` or `queue-metrics agent`, or `queue-metrics record-trends` each minute; "
    "one that runs and cannot pass says why in its log"
)

CLOCKS = f"set both clocks, and if none runs, {WHAT_TO_DO}"


def collector_answer(state: CollectorState, now: float) -> CollectorAnswer:
    """What the last pass says about now; of `state_for_reader`, so clocks matter only where the store does not tell its age."""
    if state.last_pass is None:
        text = f"No collector has ever run, so nobody keeps baselines, events and the history of workers and servers: {WHAT_TO_DO}."
        return CollectorAnswer(running=False, last_pass_seconds=None, message=text)
    age = max(now - state.last_pass, 0.0)
    if state.from_the_future(now):
        ahead = duration(state.last_pass - now)
        text = (
            f"The collector that passed last has a clock {ahead} ahead of the one here, so whether one still runs is not known: {CLOCKS}."
        )
        return CollectorAnswer(running=False, last_pass_seconds=age, message=text)
    if age > GAP_SECONDS:
        return _stopped(age)
    off = f" Switched off there: {', '.join(f'`duties.{name}`' for name in state.off)}." if state.off else ""
    return CollectorAnswer(running=True, last_pass_seconds=age, message=f"A collector runs; it passed {duration(age)} ago.{off}")


def _stopped(age: float) -> CollectorAnswer:
    text = f"No collector has run for {duration(age)}, so baselines, events and the history of workers stand still: {WHAT_TO_DO}."
    return CollectorAnswer(running=False, last_pass_seconds=age, message=text)


def aged(answer: CollectorAnswer, seconds: float) -> CollectorAnswer:
    """What an answer says so many seconds later, in which the store could not be asked anew."""
    last = answer.last_pass_seconds
    if last is None or (not answer.running and last <= GAP_SECONDS):
        return answer  # there was no pass, or its age is not known
    age = last + seconds
    if not answer.running:
        return _stopped(age)
    if age <= GAP_SECONDS:
        return replace(answer, last_pass_seconds=age, message=answer.message.replace(f"{duration(last)} ago", f"{duration(age)} ago"))
    text = f"The last pass of a collector that is known was {duration(age)} ago: whether one runs shows once the store can be read again."
    return CollectorAnswer(running=False, last_pass_seconds=age, message=text)


def uncounted(state: CollectorState, now: float) -> str:
    """Why the collector cannot tell on what a worker spent its time since the last pass but one, when it cannot."""
    if not collector_answer(state, now).running:
        return f"no collector runs: {WHAT_TO_DO}"
    return "`duties.workers` is switched off" if "workers" in state.off else "the collector has not seen it twice yet"


def events(driver: StorageDriver, after: int, limit: int, now: float) -> EventsAnswer:
    """What `logged` reads, and of when it is: the collector is asked first, so that its last pass is no younger than what is read."""
    collector = collector_now(driver, now)
    return EventsAnswer(*logged(driver, after, limit), collector)


def logged(driver: StorageDriver, after: int, limit: int) -> tuple[tuple[Event, ...], int, int]:
    """
    Events behind a number, oldest first; the number to ask behind next time; and how many fell out of the log before.

    A number that the store has not reached yet is of a store that was emptied since: then the log is read from its beginning.
    """
    view = driver.read_view(heartbeats=False, calls=(READ_COLLECTOR, READ_OLDEST, reading_events(after, limit)))
    state, oldest, found = view.answers
    if after > state_of(state).events:
        return logged(driver, 0, limit) if oldest else ((), 0, 0)
    missed = max(int(oldest[0][1]) - after - 1, 0) if oldest else 0
    return tuple(events_of(found)), int(found[-1][1]) if found else after, missed if after else 0


def collector_now(driver: StorageDriver, now: float) -> CollectorAnswer:
    """Whether a collector runs, of a look of its own."""
    view = driver.read_view(calls=(READ_COLLECTOR,))
    return collector_answer(state_for_reader(view.answers[0], view.beats, now), now)


def last_number(driver: StorageDriver) -> int:
    """The number of the newest event; 0 when there never was one."""
    return state_of(driver.execute([READ_COLLECTOR])[0]).events
