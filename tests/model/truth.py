"""What really happened to each execution, told from what its worker did and not from what was counted."""

from __future__ import annotations

from tests.model.state import END, LOST, PROVISIONAL, RANK, Bounds, State


def started(state: State, execution: int) -> bool:
    return state.done[execution] > 0


def written(bounds: Bounds, state: State, execution: int, kind: str) -> int:
    """The outcome in the first record of this kind that its worker wrote, or 0."""
    for step, outcome in bounds.executions[execution].steps[: state.done[execution]]:
        if step == kind:
            return outcome
    return 0


def gone(bounds: Bounds, state: State, worker: int) -> bool:
    """Killed, or left after its last record."""
    if state.dead >> worker & 1:
        return True
    return all(
        execution.worker != worker or done == len(execution.steps) for execution, done in zip(bounds.executions, state.done, strict=True)
    )


def waits(bounds: Bounds, state: State, execution: int) -> bool:
    """Whether its outcome has to be found by a verdict."""
    return (
        started(state, execution)
        and not written(bounds, state, execution, END)
        and (gone(bounds, state, bounds.executions[execution].worker) or written(bounds, state, execution, PROVISIONAL) > 0)
    )


def graces_over(bounds: Bounds, state: State) -> bool:
    """Whether no grace is running."""
    return all(state.elapsed >> key & 1 or not waits(bounds, state, key) for key in range(len(bounds.executions)))


def named(bounds: Bounds, state: State, execution: int) -> tuple[int, ...]:
    """The executions that a HINT about this one names: those of the same job that have started."""
    job = bounds.executions[execution].job
    return tuple(
        key for key, other in enumerate(bounds.executions) if started(state, key) and (key == execution or (job >= 0 and other.job == job))
    )


def can_hint(bounds: Bounds, state: State, execution: int) -> bool:
    """HINTs come while the execution runs or within the grace: that the grace is long enough for them is an assumption."""
    return bounds.executions[execution].hint > 0 and started(state, execution) and not (state.hinted | state.elapsed) >> execution & 1


def outcomes(bounds: Bounds, state: State, execution: int) -> set[int]:
    """
    What docs/journal-format.md section 4 allows as the outcome of an execution whose end nobody can change any more.

    One outcome, but for two cases in which "first" has no meaning: two ENDs in two segments, and a HINT about another
    execution of the same job, which may come before or after the verdict.
    """
    steps = bounds.executions[execution].steps[: state.done[execution]]
    decided = [step_outcome for step, step_outcome in steps if step == END]
    if decided:
        return set(decided if len(bounds.homes[bounds.executions[execution].worker]) > 1 else decided[:1])
    own = [step_outcome for step, step_outcome in steps if step == PROVISIONAL][:1]
    own += [bounds.executions[execution].hint] if state.hinted >> execution & 1 else []
    job = bounds.executions[execution].job
    others = [
        other.hint
        for key, other in enumerate(bounds.executions)
        if key != execution and job >= 0 and other.job == job and state.hinted >> key & 1
    ]
    return {_worst(own), _worst(own + others)}


def _worst(said: list[int]) -> int:
    return min(said, key=RANK.__getitem__) if said else LOST


def writable(bounds: Bounds, state: State, segment: int) -> bool:
    """Whether a living process may still append to it: the shared lock of the segment tells."""
    if state.drainer is not None and segment == bounds.own + state.drainer.number:
        return True
    hears = segment == bounds.listener and any(
        execution.hint and not (state.hinted | state.elapsed) >> key & 1 for key, execution in enumerate(bounds.executions)
    )
    return hears or any(
        segment in home[at:] and not gone(bounds, state, worker)
        for worker, (home, at) in enumerate(zip(bounds.homes, state.homes, strict=True))
    )
