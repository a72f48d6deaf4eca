"""The steps of a drainer and of the store: read, hold back, fold, hand over, judge, delete."""

from __future__ import annotations

from collections.abc import Iterator

from tests.model import truth
from tests.model.state import (
    END,
    HINT,
    LOST,
    NAMES,
    PROVISIONAL,
    RANK,
    START,
    STARTED,
    Batch,
    Bounds,
    Do,
    Drainer,
    Positions,
    Record,
    Rules,
    State,
    Step,
    Store,
    appended,
    replaced,
)

Open = frozenset[tuple[int, int]]


def apply(rules: Rules, store: Store, batch: Batch) -> tuple[bool, Store]:
    """Compare and set: the numbers and the mark together, or nothing."""
    if rules.compare_sequence and store.sequence != batch.sequence - 1:
        return False, store
    if rules.compare_sequence and rules.compare_positions and store.positions != batch.base:
        return False, store
    return True, Store(batch.sequence, batch.positions, tuple(sorted(store.counts + batch.counts)))


def rebuilt(state: State, positions: Positions) -> tuple[Open, Open]:
    """The open executions and the HINTs of the records before a mark, from the segments that are still there."""
    begun: set[int] = set()
    ended = set(state.closed)
    suggestions: dict[int, int] = {}
    hints: set[tuple[int, int]] = set()
    for content, position in zip(state.segments, positions, strict=True):
        for record in (content or ())[:position]:
            if record.kind == START:
                begun.add(record.keys[0])
            elif record.kind == END:
                ended.add(record.keys[0])
            elif record.kind == PROVISIONAL:
                suggestions.setdefault(record.keys[0], record.outcome)
            else:
                hints.update((key, record.outcome) for key in record.keys)
    return frozenset((key, suggestions.get(key, 0)) for key in begun - ended), frozenset(hints)


def restored(bounds: Bounds, state: State, number: int, store: Store) -> Drainer:
    """A drainer that takes the store's mark as what is counted."""
    open_, hints = rebuilt(state, store.positions)
    nothing = (-1,) * bounds.segments
    return Drainer(number, store.sequence, store.positions, store.positions, store.positions, open_, hints, nothing)


def steps(bounds: Bounds, rules: Rules, state: State, drainer: Drainer) -> Iterator[Step]:
    """All that a living drainer can do next."""
    if drainer.batch is None:
        yield from _poll(bounds, rules, state, drainer)
        store = state.store
        if rules.idle_reads_mark and (store.sequence, store.positions) != (drainer.sequence, drainer.base):
            yield Step(Do.RESTORE, 0, None, state._replace(drainer=restored(bounds, state, drainer.number, store)))
    else:
        yield from _send(bounds, rules, state, drainer, drainer.batch)
    yield from _verdicts(bounds, rules, state, drainer)
    if bounds.tidy:
        yield from _tidy(bounds, rules, state, drainer)


# Reading and folding


def _poll(bounds: Bounds, rules: Rules, state: State, drainer: Drainer) -> Iterator[Step]:
    if not bounds.torn:
        for segment in range(bounds.segments):
            drainer = _look(rules, state, drainer, segment)
        folded = fold(bounds, rules, state, drainer)
        yield Step(Do.POLL, 0, None, state._replace(drainer=folded))
        return
    segment = max(drainer.looking, 0)
    if drainer.looking < 0 and all(
        content is None or len(content) == position for content, position in zip(state.segments, drainer.positions, strict=True)
    ):
        return
    drainer = _look(rules, state, drainer, segment)
    if segment + 1 < bounds.segments:
        yield Step(Do.LOOK, segment, "", state._replace(drainer=drainer._replace(looking=segment + 1)))
    else:
        folded = fold(bounds, rules, state, drainer._replace(looking=-1))
        yield Step(Do.LOOK, segment, " and fold", state._replace(drainer=folded))


def _look(rules: Rules, state: State, drainer: Drainer, segment: int) -> Drainer:
    content = state.segments[segment]
    fences = drainer.fences
    if rules.hold_until_read or drainer.positions[segment] == drainer.seen[segment]:
        fences = tuple(fence if fence < 0 else fence & ~(1 << segment) for fence in fences)
    seen = drainer.seen if content is None else replaced(drainer.seen, segment, len(content))
    return drainer._replace(seen=seen, fences=fences)


def fold(bounds: Bounds, rules: Rules, state: State, drainer: Drainer) -> Drainer:
    """Fold all that can be folded of what was seen into one batch."""
    positions, fences = list(drainer.positions), list(drainer.fences)
    open_, hints = dict(drainer.open), set(drainer.hints)
    counts: list[tuple[int, int]] = []
    left, moved = bounds.most, True
    while moved:
        moved = False
        for segment, content in enumerate(state.segments):
            while content is not None and left and positions[segment] < drainer.seen[segment]:
                record = content[positions[segment]]
                key = record.keys[0]
                if record.kind == START:
                    open_[key] = 0
                    counts.append((key, STARTED))
                elif record.kind == HINT:
                    hints.update((named, record.outcome) for named in record.keys)
                    if not rules.hint_waits:
                        counts.append((key, record.outcome))
                elif key in open_:
                    if record.kind == END or not rules.provisional_waits:
                        del open_[key]
                        counts.append((key, record.outcome))
                    elif not open_[key]:
                        open_[key] = record.outcome
                elif rules.hold_back:
                    if _starts_ahead(state, drainer.seen, positions, key) or fences[segment] > 0:
                        break
                    if fences[segment] < 0:  # met now: every other segment has to be looked at once more
                        others = [other for other in range(bounds.segments) if other != segment and state.segments[other] is not None]
                        fences[segment] = sum(1 << other for other in others)
                        if others:
                            break
                fences[segment] = -1
                positions[segment] += 1
                left -= 1
                moved = True
    batch = None
    if tuple(positions) != drainer.positions:
        batch = Batch(drainer.sequence + 1, drainer.base, tuple(positions), tuple(sorted(counts)))
    return drainer._replace(
        positions=tuple(positions), open=frozenset(open_.items()), hints=frozenset(hints), fences=tuple(fences), batch=batch
    )


def _starts_ahead(state: State, seen: Positions, positions: list[int], key: int) -> bool:
    """Whether the START of the key was seen behind what is folded."""
    return any(
        record.kind == START and record.keys[0] == key
        for content, begin, end in zip(state.segments, positions, seen, strict=True)
        for record in (content or ())[begin:end]
    )


# Handing over


def _send(bounds: Bounds, rules: Rules, state: State, drainer: Drainer, batch: Batch) -> Iterator[Step]:
    number = batch.sequence
    if batch.half:
        store = state.store._replace(sequence=batch.sequence, positions=batch.positions)
        yield Step(Do.MARK, number, None, state._replace(store=store, drainer=_committed(drainer, batch)))
        return
    applied, store = apply(rules, state.store, batch)
    if applied and not rules.one_transaction:
        half = state.store._replace(counts=store.counts)
        after = state._replace(store=half, drainer=drainer._replace(batch=batch._replace(half=True)))
        yield Step(Do.NUMBERS, number, None, after)
        return
    if applied:
        after = state._replace(store=store)
        yield Step(Do.APPLY, number, None, after._replace(drainer=_committed(drainer, batch)))
        if state.faults[4]:
            faults = replaced(state.faults, 4, state.faults[4] - 1)
            yield Step(Do.UNANSWERED, number, None, after._replace(faults=faults))
    elif rules.restore_after_refusal:
        fresh = restored(bounds, state, drainer.number, state.store)
        yield Step(Do.REFUSE, number, None, state._replace(drainer=fresh))
    else:
        again = batch._replace(sequence=state.store.sequence + 1, base=state.store.positions)
        yield Step(Do.RENUMBER, number, None, state._replace(drainer=drainer._replace(batch=again)))
    if state.faults[3] and state.flying is None:
        faults = replaced(state.faults, 3, state.faults[3] - 1)
        yield Step(Do.DELAY, number, None, state._replace(flying=batch, faults=faults))


def _committed(drainer: Drainer, batch: Batch) -> Drainer:
    return drainer._replace(sequence=batch.sequence, base=batch.positions, batch=None)


# Verdicts


def _verdicts(bounds: Bounds, rules: Rules, state: State, drainer: Drainer) -> Iterator[Step]:
    own = bounds.own + drainer.number
    unread = any(
        content is not None and len(content) != position for content, position in zip(state.segments, drainer.positions, strict=True)
    )
    if unread and rules.verdict_reads_first:
        return
    if len(state.segments[own] or ()) != drainer.positions[own]:
        return  # it knows its own verdicts
    for key, suggestion in sorted(drainer.open):
        gone = truth.gone(bounds, state, bounds.executions[key].worker)
        if rules.grace and truth.waits(bounds, state, key) and not state.elapsed >> key & 1:
            continue
        if gone or suggestion:
            said = [outcome for named, outcome in drainer.hints if named == key] + ([suggestion] if suggestion else [])
            record = Record(END, (key,), min(said, key=RANK.__getitem__) if said else LOST)
            yield Step(Do.VERDICT, key, NAMES[record.outcome], appended(state, own, record))


# Deleting segments


def _tidy(bounds: Bounds, rules: Rules, state: State, drainer: Drainer) -> Iterator[Step]:
    # What makes a segment superfluous is true in every mark that the store may have by now or go back to.
    marks = [drainer.base if rules.keep_uncommitted else drainer.positions]
    if rules.ask_before_deleting:
        marks.append(state.store.positions)
    if rules.keep_window and state.older is not None:
        marks.append(state.older.positions)
    for segment, content in enumerate(state.segments):
        if not content or (rules.keep_writable and truth.writable(bounds, state, segment)):
            continue
        if not all(_superfluous(rules, state, segment, content, mark) for mark in marks):
            continue
        kept = [*state.segments[:segment], None, *state.segments[segment + 1 :]]
        begun = {record.keys[0] for other in kept for record in other or () if record.kind == START}
        closed = set(state.closed)
        if rules.note_closed:
            closed |= {record.keys[0] for record in content if record.kind == END}
        yield Step(Do.DELETE, segment, None, state._replace(segments=tuple(kept), closed=frozenset(closed & begun)))


def _superfluous(rules: Rules, state: State, segment: int, content: tuple[Record, ...], mark: Positions) -> bool:
    if mark[segment] != len(content):
        return False
    open_ = {key for key, _ in rebuilt(state, mark)[0]}
    unread = {
        record.keys[0]
        for other, position in zip(state.segments, mark, strict=True)
        for record in (other or ())[position:]
        if record.kind == START
    }
    for record in content:
        if record.kind == START and rules.keep_open and record.keys[0] in open_:
            return False
        if record.kind in (HINT, PROVISIONAL) and rules.keep_named and (open_ | unread).intersection(record.keys):
            return False
    return True
