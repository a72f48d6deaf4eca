"""What the Huey hook puts on the instance and into messages, and that it takes everything away again."""

from __future__ import annotations

import logging
import pickle
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from huey import MemoryHuey, SqliteHuey
from huey.api import Task
from huey.serializer import Serializer, SignedSerializer

from queue_metrics import _core
from queue_metrics.hooks.base import HookContext
from queue_metrics.hooks.huey import HueyHook, ready_at
from tests.hooks.journal import NO_TIME, Journal


def nothing() -> None:
    pass


def context(directory: Path) -> HookContext:
    recorder = _core.Recorder(str(directory / "spool"), "testhost")
    return HookContext(recorder, on_main=nothing, on_child=nothing, on_producer=nothing)


def instance(**options: Any) -> MemoryHuey:
    huey = MemoryHuey("mail", **options)

    @huey.task(retries=1)
    def work(answer: object = 1) -> object:
        return answer

    huey.work = work
    return huey


@pytest.fixture
def huey() -> MemoryHuey:
    return instance()


@pytest.fixture
def hook(huey: MemoryHuey, tmp_path: Path) -> Iterator[HueyHook]:
    hook = HueyHook(huey, context(tmp_path))
    hook.install()
    yield hook
    hook.uninstall()


def test_a_consumer_without_the_hook_reads_a_stamped_message(huey: MemoryHuey, hook: HueyHook) -> None:
    huey.work("text")
    data = huey.storage.enqueued_items()[0]
    assert ready_at(data[-_core.STAMP_SIZE :]) is not None
    assert pickle.loads(data).args == ("text",)
    hook.uninstall()
    assert huey.dequeue().args == ("text",)


def test_a_message_without_a_stamp_is_executed_and_its_wait_unknown(huey: MemoryHuey, hook: HueyHook, tmp_path: Path) -> None:
    hook.uninstall()
    result = huey.work()
    hook.install()
    huey.execute(huey.dequeue())
    (start,) = Journal(tmp_path / "spool").of("START", result.id)
    assert start.ready_at == NO_TIME


def test_a_task_that_is_not_executed_lives_no_longer_than_its_users_want(
    huey: MemoryHuey, hook: HueyHook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("huey"), "disabled", True)  # a warning that pytest captures would keep its task
    result = huey.work()
    huey.work.schedule(delay=60)
    gone = [weakref.ref(task) for task in (*huey.pending(), *huey.scheduled())]
    assert [reference() for reference in gone] == [None, None]
    result.revoke()
    task = huey.dequeue()
    assert huey.execute(task) is None
    gone = [weakref.ref(task)]
    del task
    assert gone[0]() is None
    (discard,) = Journal(tmp_path / "spool").of("DISCARD", result.id)
    assert discard.small == _core.REVOKED


def test_tasks_out_of_messages_are_told_apart_whatever_happens_to_them_first(huey: MemoryHuey, hook: HueyHook, tmp_path: Path) -> None:
    results = [huey.work() for _ in range(100)]
    stamps = [ready_at(data[-_core.STAMP_SIZE :]) for data in huey.storage.enqueued_items()]
    tasks = [huey.dequeue() for _ in results]
    for task in tasks[::3]:
        huey.enqueue(task)  # it moves, and waits as long as it did
    moved = huey.storage.enqueued_items()
    assert [ready_at(data[-_core.STAMP_SIZE :]) for data in moved] == stamps[::3]
    for task in tasks:
        huey.execute(task)
        huey.execute(task)  # by hand: part of the first
    journal = Journal(tmp_path / "spool")
    starts = [journal.of("START", result.id) for result in results]
    assert [len(those) for those in starts] == [1] * 100
    assert [those[0].ready_at for those in starts] == [round((stamp or 0) * 1_000_000) for stamp in stamps]
    assert len(journal.of("ARRIVE")) == 100


@pytest.mark.parametrize("tail", [b"", b"\0", b"\x00qm\x01", b"x" * _core.STAMP_SIZE, b"\x00qm\x02" + bytes(16)])
def test_foreign_bytes_are_no_stamp(tail: bytes) -> None:
    assert ready_at(tail) is None


@pytest.mark.parametrize(
    "options", [{"compression": True}, {"compression": True, "use_zlib": True}, {"serializer": SignedSerializer("secret")}]
)
def test_other_serializers_are_left_alone_and_that_is_a_finding(options: dict[str, Any], tmp_path: Path) -> None:
    huey = instance(**options)
    hook = HueyHook(huey, context(tmp_path))
    hook.install()
    result = huey.work("text")
    task = huey.dequeue()
    assert huey.execute(task) == "text"
    assert Journal(tmp_path / "spool").outcomes(result.id) == ["succeeded"]
    assert any("cannot be stamped" in finding for finding in hook.findings())
    hook.uninstall()


def test_a_subclass_of_the_serializer_is_left_alone(tmp_path: Path) -> None:
    class Upside(Serializer):
        def _serialize(self, data: object) -> bytes:
            return bytes(reversed(super()._serialize(data)))

        def _deserialize(self, data: bytes) -> object:
            return super()._deserialize(bytes(reversed(data)))

    huey = instance(serializer=Upside())
    hook = HueyHook(huey, context(tmp_path))
    hook.install()
    huey.work()
    assert huey.execute(huey.dequeue()) == 1
    hook.uninstall()


def test_uninstall_puts_everything_back(huey: MemoryHuey, tmp_path: Path) -> None:
    owners = (huey, huey._registry, huey.work.task_class)
    before = [dict(vars(owner)) for owner in owners]
    receivers = {name: list(those) for name, those in huey._signal.receivers.items()}
    hook = HueyHook(huey, context(tmp_path))
    hook.install()
    hook.install()
    assert [dict(vars(owner)) for owner in owners] != before
    hook.uninstall()
    hook.uninstall()
    assert [dict(vars(owner)) for owner in owners] == before
    assert {name: those for name, those in huey._signal.receivers.items() if those or name in receivers} == receivers
    assert (huey._startup, huey._shutdown) == ({}, {})


def test_what_somebody_put_over_ours_stays_and_ours_passes_through(huey: MemoryHuey, tmp_path: Path) -> None:
    hook = HueyHook(huey, context(tmp_path))
    hook.install()
    kind = huey.work.task_class
    calls: list[str] = []

    def over(name: str, inner: Any) -> Any:
        def wrapper(*args: Any, **options: Any) -> Any:
            calls.append(name)
            return inner(*args, **options)

        return wrapper

    names = ("enqueue", "add_schedule", "serialize_task", "deserialize_task", "create_consumer")
    theirs = {name: over(name, getattr(huey, name)) for name in names}
    for name, wrapper in theirs.items():
        setattr(huey, name, wrapper)
    execute, register = over("execute", kind.execute), over("register", huey._registry.register)
    kind.execute, huey._registry.register = execute, register
    huey.work()
    assert huey.execute(huey.dequeue()) == 1
    hook.uninstall()
    assert {name: getattr(huey, name) for name in names} == theirs
    assert (vars(kind)["execute"], huey._registry.register) == (execute, register)
    calls.clear()
    huey.work()
    assert _core.read_stamp(huey.storage.enqueued_items()[0]) is None
    assert huey.execute(huey.dequeue()) == 1
    huey.add_schedule(huey.work.s(delay=60))

    @huey.task()
    def later() -> int:
        return 2

    assert not isinstance(vars(later.task_class)["execute"], _core.Method)
    huey.create_consumer(workers=1)
    assert set(calls) == {*names, "execute", "register"}
    journal = Journal(tmp_path / "spool")
    assert [len(journal.of(kind)) for kind in ("ARRIVE", "START", "END")] == [1, 1, 1]

    again = HueyHook(huey, context(tmp_path / "again"))
    again.install()
    huey.work()
    assert huey.execute(huey.dequeue()) == 1
    journal = Journal(tmp_path / "again" / "spool")
    assert [len(journal.of(kind)) for kind in ("ARRIVE", "START", "END")] == [1, 1, 1]
    again.uninstall()


def test_two_instances_in_a_process_are_told_apart(tmp_path: Path) -> None:
    hueys = [instance(), instance()]
    hooks = [HueyHook(huey, context(tmp_path / str(number))) for number, huey in enumerate(hueys)]
    for hook in hooks:
        hook.install()
    bare = instance()
    bare.work()
    assert _core.read_stamp(bare.storage.enqueued_items()[0]) is None
    assert bare.execute(bare.dequeue()) == 1
    for count, huey in enumerate(hueys, 1):
        for _ in range(count):
            huey.work()
            assert huey.execute(huey.dequeue()) == 1
    for number in range(2):
        journal = Journal(tmp_path / str(number) / "spool")
        assert [len(journal.of(kind)) for kind in ("ARRIVE", "START", "END")] == [number + 1] * 3
    before = type(hueys[0]).enqueue
    for hook in hooks:
        hook.uninstall()
    for huey in hueys:
        huey.work()
        assert _core.read_stamp(huey.storage.enqueued_items()[0]) is None
    assert before is type(hueys[0]).enqueue or "enqueue" not in vars(type(hueys[0]))


def test_an_inherited_execute_is_put_back_as_inherited(huey: MemoryHuey, hook: HueyHook) -> None:
    class Base(Task):
        def execute(self) -> str:
            return "base"

    class Empty(Base):
        pass

    huey._registry.register(Empty)
    assert isinstance(vars(Empty)["execute"], _core.Method)
    assert Empty().execute() == "base"
    hook.uninstall()
    assert "execute" not in vars(Empty)


def test_an_execute_that_is_no_plain_function_is_called_as_python_would(huey: MemoryHuey, hook: HueyHook, tmp_path: Path) -> None:
    class Static(Task):
        @staticmethod
        def execute() -> str:
            return "static"

    class Class(Task):
        @classmethod
        def execute(cls) -> str:
            return cls.__name__

    for kind, answer in ((Static, "static"), (Class, "Class")):
        huey._registry.register(kind)
        huey.enqueue(kind(id=answer))
        assert huey.execute(huey.dequeue()) == answer
        assert Journal(tmp_path / "spool").outcomes(answer) == ["succeeded"]


def test_immediate_mode_runs_in_the_caller_and_is_not_recorded(tmp_path: Path) -> None:
    huey = instance(immediate=True)
    hook = HueyHook(huey, context(tmp_path))
    hook.install()
    assert huey.work(5).get() == 5
    assert not (tmp_path / "spool").exists()
    assert any("immediate" in finding for finding in hook.findings())
    hook.uninstall()


def test_groups_and_chords_arrive_member_by_member(huey: MemoryHuey, hook: HueyHook, tmp_path: Path) -> None:
    from huey.api import chord, group

    huey.enqueue(group([huey.work.s(), huey.work.s()]))
    assert len(Journal(tmp_path / "spool").of("ARRIVE")) == 2
    huey.enqueue(chord([huey.work.s(), huey.work.s()], huey.work.s()))
    assert len(Journal(tmp_path / "spool").of("ARRIVE")) == 4
    while task := huey.dequeue():
        huey.execute(task)
    journal = Journal(tmp_path / "spool")
    assert len(journal.of("ARRIVE")) == len(journal.of("START")) == len(journal.of("END")) == 5


def test_a_storage_that_refuses_is_no_arrival(huey: MemoryHuey, hook: HueyHook, tmp_path: Path) -> None:
    def refuse(*_: object) -> None:
        raise OSError("full")

    huey.storage.enqueue = refuse
    with pytest.raises(OSError, match="full"):
        huey.work()
    assert not (tmp_path / "spool").exists()


def test_a_subclass_of_huey_keeps_its_methods(tmp_path: Path) -> None:
    class Own(SqliteHuey):
        enqueued = 0

        def enqueue(self, task: Any) -> Any:
            self.enqueued += 1
            return super().enqueue(task)

    huey = Own("own", filename=str(tmp_path / "own.db"))

    @huey.task()
    def work() -> None:
        pass

    hook = HueyHook(huey, context(tmp_path))
    hook.install()
    work()
    assert huey.enqueued == 1
    assert len(Journal(tmp_path / "spool").of("ARRIVE")) == 1
    hook.uninstall()
