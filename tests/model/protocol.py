"""The protocol as a machine: every step that the bounds and rules allow from a state, and what must hold in it."""

from __future__ import annotations

from collections.abc import Iterator

from tests.model import draining, truth
from tests.model.state import HINT, NAMES, STARTED, Bounds, Do, Record, Rules, State, Step, Store, appended, replaced


def first(bounds: Bounds) -> State:
    """Nothing has been written, nobody drains."""
    store = Store(0, (0,) * bounds.segments, ())
    return State(
        segments=((),) * bounds.segments,
        homes=(0,) * len(bounds.homes),
        dead=0,
        done=(0,) * len(bounds.executions),
        hinted=0,
        elapsed=0,
        closed=frozenset(),
        drainer=None,
        drainers=0,
        store=store,
        older=store if bounds.rollbacks else None,
        flying=None,
        faults=(bounds.kills, bounds.crashes, bounds.rollbacks, bounds.late, bounds.unknown),
    )


def steps(bounds: Bounds, rules: Rules, state: State) -> Iterator[Step]:
    """Every step from a state, faults included; a step may lead back to the same state."""
    yield from _workers(bounds, state)
    yield from _listeners_and_time(bounds, state)
    yield from _drainers_come_and_go(bounds, state)
    yield from _the_store_goes_back(state)
    if state.flying is not None:
        applied, store = draining.apply(rules, state.store, state.flying)
        answer = "applied" if applied else "refused"
        yield Step(Do.DELIVER, state.flying.sequence, answer, state._replace(store=store, flying=None))
    if state.drainer is not None:
        yield from draining.steps(bounds, rules, state, state.drainer)


def overcounted(state: State) -> str | None:
    """What is counted that did not happen, or twice; must be None in every state."""
    outcomes = [key for key, what in state.store.counts if what != STARTED]
    starts = [key for key, what in state.store.counts if what == STARTED]
    for key in range(len(state.done)):
        if starts.count(key) > truth.started(state, key):
            return f"execution {key} is counted as started {starts.count(key)} times"
        if outcomes.count(key) > truth.started(state, key):
            return f"execution {key} has {outcomes.count(key)} outcomes"
    return None


def differs(bounds: Bounds, state: State) -> str | None:
    """How the numbers differ from what happened; must be None when only faults could still change anything."""
    for key in range(len(state.done)):
        if not truth.started(state, key):
            continue
        counted = sorted(what for counted, what in state.store.counts if counted == key)
        allowed = truth.outcomes(bounds, state, key)
        if counted not in [[STARTED, outcome] for outcome in allowed]:
            seen = ", ".join("started" if what == STARTED else NAMES[what] for what in counted) or "nothing"
            wanted = " or ".join(NAMES[outcome] for outcome in sorted(allowed))
            return f"execution {key} counts {seen} instead of started, {wanted}"
    return None


def _workers(bounds: Bounds, state: State) -> Iterator[Step]:
    for worker, home in enumerate(bounds.homes):
        if truth.gone(bounds, state, worker):
            continue
        at = state.homes[worker]
        if at + 1 < len(home):
            yield Step(Do.ROTATE, worker, None, state._replace(homes=replaced(state.homes, worker, at + 1)))
        if state.faults[0]:
            faults = replaced(state.faults, 0, state.faults[0] - 1)
            yield Step(Do.KILL, worker, None, state._replace(dead=state.dead | 1 << worker, faults=faults))
        for key, execution in enumerate(bounds.executions):
            done = state.done[key]
            if execution.worker == worker and done < len(execution.steps):
                kind, outcome = execution.steps[done]
                record = Record(kind, (key,), outcome)
                after = appended(state, home[at], record)
                yield Step(Do.WRITE, worker, record, after._replace(done=replaced(state.done, key, done + 1)))
                break


def _listeners_and_time(bounds: Bounds, state: State) -> Iterator[Step]:
    for key, execution in enumerate(bounds.executions):
        if truth.can_hint(bounds, state, key):
            record = Record(HINT, truth.named(bounds, state, key), execution.hint)
            yield Step(Do.HEAR, key, record, appended(state, bounds.listener, record)._replace(hinted=state.hinted | 1 << key))
        if truth.waits(bounds, state, key) and not state.elapsed >> key & 1:
            yield Step(Do.WAIT, key, None, state._replace(elapsed=state.elapsed | 1 << key))


def _drainers_come_and_go(bounds: Bounds, state: State) -> Iterator[Step]:
    crashes = state.faults[1]
    if state.drainer is None:
        number = state.drainers
        fresh = draining.restored(bounds, state, number, state.store)
        yield Step(Do.TAKE_OVER, number, None, state._replace(drainer=fresh, drainers=number + 1))
    elif crashes:
        after = state._replace(drainer=None, faults=replaced(state.faults, 1, crashes - 1))
        yield Step(Do.CRASH, state.drainer.number, None, after)


def _the_store_goes_back(state: State) -> Iterator[Step]:
    left = state.faults[2] - 1
    if state.older is None or state.older == state.store:
        return
    yield Step(Do.KEEP, 0, None, state._replace(older=state.store))
    faults = replaced(state.faults, 2, left)
    yield Step(Do.GO_BACK, 0, None, state._replace(store=state.older, older=state.older if left else None, faults=faults))
