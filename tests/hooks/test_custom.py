"""`track`: any code as an execution, sync and async."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from queue_metrics import _core
from queue_metrics.hooks.base import HookContext
from queue_metrics.hooks.custom import track
from tests.hooks.journal import Journal
from tests.support.journal_oracle import NO_U64, job_hash


def nothing() -> None:
    pass


class Tracking:
    """A spool, and the context that records there."""

    def __init__(self, directory: Path) -> None:
        self.spool = directory / "spool"
        self.recorder = _core.Recorder(str(self.spool), "testhost")
        self.context = HookContext(self.recorder, on_main=nothing, on_child=nothing, on_producer=nothing)

    def give(self) -> HookContext:
        return self.context

    def journal(self) -> Journal:
        return Journal(self.spool)


@pytest.fixture
def tracking(tmp_path: Path) -> Tracking:
    return Tracking(tmp_path)


def test_a_with_block_is_an_execution(tracking: Tracking) -> None:
    with track(tracking.give, task="import", queue="files", connection="disk", job_id=7):
        pass
    (start,) = tracking.journal().of("START", "7")
    assert tracking.journal().series(start) == ("disk", "files", "import")
    assert tracking.journal().outcomes("7") == ["succeeded"]


def test_an_exception_passes_unchanged_and_is_a_failure(tracking: Tracking) -> None:
    error = ValueError("mine")
    with pytest.raises(ValueError) as caught, track(tracking.give, task="t", job_id="j"):
        raise error
    assert caught.value is error
    assert tracking.journal().outcomes("j") == ["failed"]
    assert tracking.journal().exceptions("j") == ["ValueError"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, asyncio.CancelledError])
def test_an_interruption_is_a_cancellation(tracking: Tracking, error: type[BaseException]) -> None:
    with pytest.raises(error), track(tracking.give, task="t", job_id="j"):
        raise error
    assert tracking.journal().outcomes("j") == ["cancelled"]


def test_a_decorated_function_keeps_its_face_and_is_recorded_at_each_call(tracking: Tracking) -> None:
    @track(tracking.give, queue="q")
    def double(number: int, *, plus: int = 0) -> int:
        """Twice."""
        return 2 * number + plus

    assert (double(2), double(number=3, plus=1)) == (4, 7)
    assert (double.__name__, double.__doc__) == ("double", "Twice.")
    journal = tracking.journal()
    starts = journal.of("START")
    assert len({start.job for start in starts}) == 2, "each its own random id"
    assert {journal.series(start)[2] for start in starts} == {f"{__name__}.{double.__qualname__}"}


def test_a_track_inside_a_track_of_the_same_thread_is_part_of_it(tracking: Tracking) -> None:
    with track(tracking.give, task="outer"), track(tracking.give, task="inner"):
        pass
    assert [tracking.journal().series(start)[2] for start in tracking.journal().of("START")] == ["outer"]


def test_threads_are_recorded_each(tracking: Tracking) -> None:
    together = threading.Barrier(4)
    shared = track(tracking.give, task="t")

    @shared
    def work() -> None:
        together.wait(10)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal = tracking.journal()
    assert len(journal.of("START")) == len(journal.of("END")) == 4


def test_coroutines_that_overlap_in_one_thread_are_recorded_each_without_cpu_time(tracking: Tracking) -> None:
    @track(tracking.give, task="decorated")
    async def decorated(number: int) -> int:
        await asyncio.sleep(0.01)
        return number

    async def block(number: int) -> None:
        async with track(tracking.give, task="block", job_id=number):
            await asyncio.sleep(0.01 * (5 - number))

    async def everything() -> list[int]:
        await asyncio.gather(*(block(number) for number in range(5)))
        return await asyncio.gather(*(decorated(number) for number in range(5)))

    assert asyncio.run(everything()) == list(range(5))
    journal = tracking.journal()
    assert len(journal.of("START")) == 10
    ends = journal.of("END")
    assert len(ends) == 10
    assert all(end.cpu == NO_U64 for end in ends)


def test_with_blocks_that_overlap_in_coroutines_of_one_thread_are_recorded_each(tracking: Tracking) -> None:
    async def block(number: int) -> None:
        with track(tracking.give, task=f"block {number}", job_id=number):
            await asyncio.sleep(0.01 * (10 - number))
            if number % 2:
                raise ValueError

    async def everything() -> None:
        await asyncio.gather(*(block(number) for number in range(10)), return_exceptions=True)

    asyncio.run(everything())
    journal = tracking.journal()
    assert [journal.outcomes(number) for number in range(10)] == [["succeeded"], ["failed"]] * 5
    assert {journal.series(start)[2] for start in journal.of("START")} == {f"block {number}" for number in range(10)}
    assert all(end.cpu == NO_U64 for end in journal.of("END"))


def test_a_with_block_is_no_part_of_one_that_it_does_not_lie_in(tracking: Tracking) -> None:
    """The loop's own thread after the loop, and a thread beside it, nest and have CPU time as ever."""

    def in_a_thread() -> None:
        with track(tracking.give, task="t", job_id="thread"), track(tracking.give, task="t", job_id="part of it"):
            pass

    async def main() -> None:
        with track(tracking.give, task="t", job_id="loop"):
            await asyncio.to_thread(in_a_thread)

    asyncio.run(main())
    with track(tracking.give, task="t", job_id="after"):
        pass
    journal = tracking.journal()
    assert [journal.outcomes(job) for job in ("loop", "thread", "part of it", "after")] == [["succeeded"], ["succeeded"], [], ["succeeded"]]
    ends = {end.key: end for end in journal.of("END")}
    known = {start.job: ends[start.key].cpu != NO_U64 for start in journal.of("START")}
    assert known == {job_hash("loop"): False, job_hash("thread"): True, job_hash("after"): True}


def test_a_cancelled_coroutine_is_a_cancellation(tracking: Tracking) -> None:
    @track(tracking.give, task="t", job_id="j")
    async def forever() -> None:
        await asyncio.sleep(3600)

    async def cancel() -> None:
        task = asyncio.ensure_future(forever())
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancel())
    assert tracking.journal().outcomes("j") == ["cancelled"]


def test_static_and_class_methods_are_recorded_whichever_decorator_is_the_outer_one(tracking: Tracking) -> None:
    class Letters:
        @track(tracking.give, task="a")
        @staticmethod
        def outside(number: int) -> int:
            return number

        @staticmethod
        @track(tracking.give, task="b")
        def inside(number: int) -> int:
            return number

        @track(tracking.give, task="c")
        @classmethod
        def of_class(cls, number: int) -> tuple[type, int]:
            return cls, number

        @track(tracking.give, task="d")
        @staticmethod
        async def coroutine(number: int) -> int:
            return number

    letters = Letters()
    assert [letters.outside(1), Letters.outside(2), letters.inside(3)] == [1, 2, 3]
    assert letters.of_class(4) == Letters.of_class(4) == (Letters, 4)
    assert asyncio.run(letters.coroutine(5)) == 5
    journal = tracking.journal()
    assert sorted(journal.series(start)[2] for start in journal.of("START")) == ["a", "a", "b", "c", "c", "d"]


def test_generator_functions_are_refused(tracking: Tracking) -> None:
    with pytest.raises(TypeError, match="generator"):

        @track(tracking.give)
        def numbers() -> Iterator[int]:
            yield 1


def test_without_a_context_the_code_just_runs(tracking: Tracking) -> None:
    with track(lambda: None, task="t"):
        pass

    @track(lambda: None)
    def answer() -> int:
        return 42

    assert answer() == 42
    assert not tracking.spool.exists()


def test_a_forked_process_records_on(tracking: Tracking) -> None:
    with track(tracking.give, task="t", job_id="parent"):
        pid = os.fork()
        if pid == 0:
            with track(tracking.give, task="t", job_id="child"):
                pass
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
    assert tracking.journal().outcomes("parent") == ["succeeded"]
    assert tracking.journal().outcomes("child") == ["succeeded"]


@pytest.mark.parametrize("text", ["", 'a:b/{c}"\n', "é" * 3000, "x\ud800y\0z"])
def test_any_names_are_recorded(tracking: Tracking, text: str) -> None:
    with track(tracking.give, task=text, queue=text, connection=text or None, job_id=text):
        pass
    assert len(tracking.journal().of("END")) == 1
    assert tracking.recorder.status()["hook_errors"] == 0
